"""Whom the applier obeys, and which device it believes to be."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.support.doubted_agent import (
    AGENT,
    FIREWALL,
    OPEN,
    OTHER,
    ROOT,
    apply,
    authority,
    claim,
    clock,
    gateway,
    laptop,
    manifest,
    other_device,
    standing,
)
from tests.support.simulated_agent import SimulatedAgent, a_policy
from tests.support.simulated_gateway import TENANT, HandClock, SimulatedGateway

from shieldwall.agent.applier import protocol
from shieldwall.agent.applier.adoption import check_successor
from shieldwall.agent.applier.authority import believed as believed_for
from shieldwall.agent.applier.pin import Authority, Change, PinFile
from shieldwall.agent.applier.protocol import Standing
from shieldwall.agent.applier.refusals import (
    DeviceProofError,
    LeaveRefusedError,
    NotPinnedError,
    PinRefusedError,
    SuccessorWeakerError,
)
from shieldwall.contract.messages import UNPROTECTED, Envelope, Protection
from shieldwall.contract.strict_json import decode
from shieldwall.trust.device_key import DeviceKey
from shieldwall.trust.onboarding import InvalidPackageError

__all__ = ["clock", "gateway", "laptop"]


def test_only_root_says_whom_a_device_obeys(tmp_path: Path, laptop: SimulatedAgent) -> None:
    fresh = SimulatedAgent(directory=tmp_path / "fresh", gateway=laptop.gateway, clock=laptop.clock)
    wanted = authority(laptop)

    with pytest.raises(NotPinnedError):
        fresh.desk(protocol.Adopt(authority=wanted), AGENT)
    with pytest.raises(NotPinnedError):
        fresh.desk(protocol.Apply(manifest=manifest(laptop.gateway)), ROOT)
    fresh.desk(protocol.Adopt(authority=wanted), ROOT)

    assert standing(fresh).tenant_id == TENANT


def test_not_even_root_makes_a_managed_device_obey_another_tenant(laptop: SimulatedAgent, clock: HandClock) -> None:
    stranger = SimulatedGateway(clock=clock)
    theirs = replace(authority(laptop), trust_root=stranger.root)

    for asker in (ROOT, AGENT):
        with pytest.raises(PinRefusedError):
            laptop.desk(protocol.Adopt(authority=theirs), asker)


def test_the_agent_cannot_move_the_way_to_the_server(laptop: SimulatedAgent) -> None:
    elsewhere = replace(authority(laptop), server_urls=("https://evil.example",))

    laptop.desk(protocol.Adopt(authority=elsewhere), AGENT)

    pin = PinFile(directory=laptop.applier).find()
    assert pin is not None
    assert pin.authority.server_urls == authority(laptop).server_urls
    laptop.desk(protocol.Adopt(authority=elsewhere), ROOT)
    pin = PinFile(directory=laptop.applier).find()
    assert pin is not None
    assert pin.authority.server_urls == ("https://evil.example",), "root may"


def test_a_root_of_another_tenant_is_no_authority(tmp_path: Path, laptop: SimulatedAgent) -> None:
    fresh = SimulatedAgent(directory=tmp_path / "fresh", gateway=laptop.gateway, clock=laptop.clock)
    mixed = Authority(
        tenant_id="00000000-0000-4000-8000-0000000000ff",  # type: ignore[arg-type]  # an id as it travels
        trust_root=laptop.gateway.root,
        server_urls=("https://x",),
    )

    with pytest.raises(PinRefusedError):
        fresh.desk(protocol.Adopt(authority=mixed), ROOT)


# Who it is


def test_a_new_key_is_taken_once_it_is_proven_and_a_manifest_names_it(
    laptop: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    former = laptop.state.get_key()
    laptop.state.wishes.put_rotation()
    laptop.check_in()
    present = laptop.state.get_key()

    assert present.thumbprint != former.thumbprint
    now = standing(laptop)
    assert (now.device is not None and now.device.key, now.successor) == (present.thumbprint, None)
    gateway.assign(gateway.publish(a_policy(revision=2, firewall="strict")))
    laptop.check_in()
    assert laptop.enforcer.now == {FIREWALL: "strict"}


def test_a_claim_alone_changes_nothing(laptop: SimulatedAgent) -> None:
    key = DeviceKey.generate()
    desk = laptop.desk
    look = desk(protocol.Look(), AGENT)
    assert isinstance(look, Standing)
    mine = claim(key, laptop.gateway.device.id, nonce=look.nonce)

    desk(protocol.Adopt(claim=mine), AGENT)

    assert standing(laptop).device == look.device, "it is who it was until the tenant says otherwise"
    laptop.enforcer.now = {FIREWALL: "off"}
    laptop.desk.warden.refresh()
    assert laptop.enforcer.now == {FIREWALL: "on"}


@pytest.mark.parametrize("weaker", [UNPROTECTED, OPEN])
def test_a_protected_device_becomes_no_other_one_that_is_protected_less(
    laptop: SimulatedAgent, gateway: SimulatedGateway, weaker: Protection
) -> None:
    gateway.protect()
    laptop.check_in()
    other = other_device(laptop, weaker)

    with pytest.raises(SuccessorWeakerError):
        apply(laptop, gateway.manifest(other))

    now = standing(laptop)
    assert now.protected
    assert now.device is not None
    assert now.device.id == gateway.device.id
    assert laptop.desk.warden.refresh() is not None
    assert laptop.enforcer.now == {FIREWALL: "on"}


def test_a_protected_device_becomes_another_one_that_is_protected_as_much(
    laptop: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    gateway.protect()
    laptop.check_in()

    apply(laptop, gateway.manifest(other_device(laptop)))

    now = standing(laptop)
    assert now.protected
    assert now.device is not None
    assert now.device.id == OTHER


def test_what_weakens_a_setting_is_no_promotion(laptop: SimulatedAgent, gateway: SimulatedGateway) -> None:
    gateway.protect()
    laptop.check_in()
    other = other_device(laptop)
    present = laptop.desk.warden.pin()
    assert present is not None
    believed = believed_for(present, gateway.manifest(other), laptop.clock.now())

    check_successor(present, believed, Change(kind="strengthen", settings=1))
    check_successor(replace(present, protected=False), believed, Change(kind="weaken", weakened=(FIREWALL,)))
    with pytest.raises(SuccessorWeakerError):
        check_successor(present, believed, Change(kind="weaken", settings=1, weakened=(FIREWALL,)))


def test_a_protected_device_does_not_leave_under_the_name_of_another_one(
    laptop: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    gateway.protect()
    laptop.check_in()
    other = other_device(laptop)
    other.leaving = True
    package = decode(gateway.offboarding_bytes(device_ids=(OTHER,)), Envelope)

    with pytest.raises(LeaveRefusedError, match="which this one is not yet"):
        laptop.desk(protocol.Release(manifest=gateway.manifest(other)), AGENT)
    with pytest.raises(InvalidPackageError):
        laptop.desk(protocol.Release(package=package), AGENT)
    assert laptop.enforcer.now == {FIREWALL: "on"}


def test_a_claim_needs_the_key_a_nonce_of_ours_and_each_nonce_once(laptop: SimulatedAgent) -> None:
    key, thief, desk = DeviceKey.generate(), DeviceKey.generate(), laptop.desk

    def nonce() -> str:
        look = desk(protocol.Look(), AGENT)
        assert isinstance(look, Standing)
        return look.nonce

    device_id = laptop.gateway.device.id
    with pytest.raises(DeviceProofError, match="not signed"):
        desk(protocol.Adopt(claim=claim(key, device_id, nonce=nonce(), signer=thief)), AGENT)
    with pytest.raises(DeviceProofError, match="nonce"):
        desk(protocol.Adopt(claim=claim(key, device_id, nonce="0" * 32)), AGENT)
    once = nonce()
    desk(protocol.Adopt(claim=claim(key, device_id, nonce=once)), AGENT)
    with pytest.raises(DeviceProofError, match="nonce"):
        desk(protocol.Adopt(claim=claim(key, device_id, nonce=once)), AGENT)
    old = nonce()
    laptop.clock.advance(minutes=10)
    with pytest.raises(DeviceProofError, match="nonce"):
        desk(protocol.Adopt(claim=claim(key, device_id, nonce=old)), AGENT)
    broken = replace(claim(key, device_id, nonce=nonce()), public_key="AAAA")
    with pytest.raises(DeviceProofError, match="cannot be read"):
        desk(protocol.Adopt(claim=broken), AGENT)
