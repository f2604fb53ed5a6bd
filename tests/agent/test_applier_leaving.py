"""By whose word a device is let go, and by whose not."""

from __future__ import annotations

import pytest
from tests.support.doubted_agent import (
    AGENT,
    FIREWALL,
    ROOT,
    apply,
    clock,
    gateway,
    laptop,
    manifest,
    standing,
)
from tests.support.simulated_agent import KilledError, SimulatedAgent, a_policy
from tests.support.simulated_gateway import SimulatedGateway

from shieldwall.agent.applier import protocol
from shieldwall.agent.applier.protocol import Outcome
from shieldwall.agent.applier.refusals import (
    LeaveRefusedError,
    TamperProtectedError,
)
from shieldwall.contract.messages import Envelope
from shieldwall.contract.strict_json import decode
from shieldwall.trust import refusals
from shieldwall.trust.onboarding import PackageExpiredError

__all__ = ["clock", "gateway", "laptop"]


def test_the_word_of_root_counts_where_the_device_is_not_protected(laptop: SimulatedAgent) -> None:
    with pytest.raises(LeaveRefusedError):
        laptop.desk(protocol.Release(), AGENT)
    assert laptop.enforcer.now == {FIREWALL: "on"}

    laptop.desk(protocol.Release(), ROOT)

    assert laptop.enforcer.now == {FIREWALL: "off"}
    assert standing(laptop).tenant_id is None
    assert not (laptop.applier / "manifest.json").exists()


def test_the_word_of_root_does_not_count_on_a_protected_device(
    laptop: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    gateway.protect()
    laptop.check_in()
    laptop.state.drop_manifest()  # what the agent knows of protection does not matter

    with pytest.raises(TamperProtectedError):
        laptop.desk(protocol.Release(), ROOT)
    with pytest.raises(LeaveRefusedError):
        laptop.desk(protocol.Release(manifest=manifest(gateway)), ROOT)
    assert laptop.enforcer.now == {FIREWALL: "on"}


def test_an_order_lets_a_protected_device_go(laptop: SimulatedAgent, gateway: SimulatedGateway) -> None:
    gateway.protect()
    laptop.check_in()
    gateway.device.leaving = True
    order = manifest(gateway)

    assert apply(laptop, order) == Outcome(held="leaving"), "an order is carried out, not enforced"
    laptop.desk(protocol.Release(manifest=order), AGENT)

    assert laptop.enforcer.now == {FIREWALL: "off"}
    laptop.desk(protocol.Release(manifest=order), AGENT)  # again, after an answer that was lost


def test_a_package_lets_a_protected_device_go_in_time(laptop: SimulatedAgent, gateway: SimulatedGateway) -> None:
    gateway.protect()
    laptop.check_in()
    package = decode(gateway.offboarding_bytes(), Envelope)
    laptop.clock.advance(days=8)
    with pytest.raises(PackageExpiredError):
        laptop.desk(protocol.Release(package=package), ROOT)
    laptop.clock.advance(days=-8)

    laptop.desk(protocol.Release(package=package), AGENT)

    assert laptop.enforcer.now == {FIREWALL: "off"}


def test_a_departure_that_was_allowed_is_carried_through(laptop: SimulatedAgent, gateway: SimulatedGateway) -> None:
    def dies(name: str) -> None:
        raise KilledError(name)

    gateway.protect()
    laptop.check_in()
    laptop.enforcer.step = dies
    with pytest.raises(KilledError):
        laptop.desk(protocol.Release(package=decode(gateway.offboarding_bytes(), Envelope)), AGENT)
    laptop.enforcer.step = lambda _name: None
    assert isinstance(laptop.desk(protocol.Refresh(), AGENT), Outcome)
    assert laptop.enforcer.now == {FIREWALL: "on"}

    laptop.desk.warden.start()

    assert laptop.enforcer.now == {FIREWALL: "off"}, "the proof needs no second look"


def test_an_old_order_for_this_device_is_no_order_any_more(laptop: SimulatedAgent, gateway: SimulatedGateway) -> None:
    gateway.device.leaving = True
    order = manifest(gateway)
    gateway.device.leaving = False
    gateway.assign(gateway.publish(a_policy(revision=2, firewall="strict")))
    laptop.check_in()

    with pytest.raises(refusals.ManifestNotNewerError):
        laptop.desk(protocol.Release(manifest=order), AGENT)
