"""What the applier enforces. The agent is whatever a test wants it to be; the warden, its files and keys are real."""

from __future__ import annotations

from pathlib import Path

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
    policies,
    standing,
)
from tests.support.simulated_agent import KilledError, MemoryEnforcer, SimulatedAgent, a_policy
from tests.support.simulated_gateway import SimulatedGateway

from shieldwall.agent.applier import protocol
from shieldwall.agent.applier.pin import PinDamagedError
from shieldwall.agent.applier.ports import Asker
from shieldwall.agent.applier.protocol import Outcome
from shieldwall.trust import payload_types, refusals, strict_base64
from shieldwall.trust.dsse import EnvelopeKey, seal

__all__ = ["clock", "gateway", "laptop"]


def test_a_new_manifest_holds_once_its_policies_came_along(laptop: SimulatedAgent, gateway: SimulatedGateway) -> None:
    gateway.assign(gateway.publish(a_policy(revision=2, firewall="strict")))
    new = manifest(gateway)

    lacking = apply(laptop, new)
    assert lacking == protocol.Lacking(digests=(gateway.device.items[0].digest,))
    assert laptop.enforcer.now == {FIREWALL: "on"}, "half of it changes nothing"

    outcome = apply(laptop, new, *policies(gateway))
    assert isinstance(outcome, Outcome)
    assert outcome.report is not None
    assert laptop.enforcer.now == {FIREWALL: "strict"}
    assert standing(laptop).enforced == gateway.device.target


def test_the_manifest_that_holds_may_come_again_and_an_older_one_may_not(
    laptop: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    older = manifest(gateway)
    gateway.assign(gateway.publish(a_policy(revision=2, firewall="strict")))
    newer = manifest(gateway)
    apply(laptop, newer, *policies(gateway))

    assert isinstance(apply(laptop, newer), Outcome)
    with pytest.raises(refusals.ManifestNotNewerError):
        apply(laptop, older)
    assert laptop.enforcer.now == {FIREWALL: "strict"}


def test_one_version_stands_for_one_manifest(laptop: SimulatedAgent, gateway: SimulatedGateway) -> None:
    gateway.manifest_counter -= 1
    gateway.assign()
    twin = manifest(gateway)

    with pytest.raises(refusals.ManifestNotNewerError):
        apply(laptop, twin)
    assert laptop.enforcer.now == {FIREWALL: "on"}


@pytest.mark.parametrize("asker", [AGENT, ROOT])
def test_nobody_can_enforce_what_the_tenant_has_not_signed(
    laptop: SimulatedAgent, gateway: SimulatedGateway, asker: Asker
) -> None:
    gateway.manifest_key = EnvelopeKey.generate()
    gateway.assign()

    with pytest.raises(refusals.ManifestSignatureError):
        apply(laptop, manifest(gateway), asker=asker)
    assert laptop.enforcer.now == {FIREWALL: "on"}


def test_a_policy_of_a_thief_is_refused_and_not_kept(laptop: SimulatedAgent, gateway: SimulatedGateway) -> None:
    item = gateway.publish(a_policy(revision=2, firewall="off"))
    gateway.assign(item)
    payload = strict_base64.decode(gateway.policies[item.digest].payload)
    forged = seal(payload, payload_types.POLICY, EnvelopeKey.generate())

    with pytest.raises(refusals.PolicySignatureError):
        apply(laptop, manifest(gateway), forged)
    assert not (laptop.applier / "policies" / item.digest).exists()
    assert laptop.enforcer.now == {FIREWALL: "on"}


def test_a_policy_that_the_manifest_does_not_name_fills_no_disk(
    laptop: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    other = gateway.publish(a_policy(2, firewall="off"))

    with pytest.raises(refusals.PolicyDigestError):
        apply(laptop, manifest(gateway), gateway.policies[other.digest])
    assert len(list((laptop.applier / "policies").iterdir())) == 1


def test_the_manifest_of_another_device_is_not_ours(
    laptop: SimulatedAgent, gateway: SimulatedGateway, tmp_path: Path
) -> None:
    other = SimulatedAgent(directory=tmp_path / "other", gateway=gateway, clock=laptop.clock)
    other.onboard()
    theirs = gateway.devices[other.state.get_key().thumbprint]

    with pytest.raises(refusals.ManifestDeviceError):
        apply(laptop, gateway.manifest(theirs))


def test_a_manifest_that_comes_too_late_is_refused(laptop: SimulatedAgent, gateway: SimulatedGateway) -> None:
    gateway.assign()
    late = manifest(gateway)
    laptop.clock.advance(days=8)

    with pytest.raises(refusals.ManifestExpiredError):
        apply(laptop, late)


def test_what_holds_goes_on_holding_when_it_has_expired(laptop: SimulatedAgent) -> None:
    laptop.clock.advance(days=300)
    laptop.enforcer.now = {FIREWALL: "off"}

    laptop.desk.warden.start()

    assert laptop.enforcer.now == {FIREWALL: "on"}


# Restarts and restored files


def test_after_a_restart_it_enforces_by_itself(laptop: SimulatedAgent) -> None:
    laptop.enforcer = MemoryEnforcer(own={FIREWALL: "off"})

    laptop.desk.warden.start()

    assert laptop.enforcer.now == {FIREWALL: "on"}, "no agent and no network was asked"


def test_an_older_state_of_the_agent_changes_nothing(laptop: SimulatedAgent, gateway: SimulatedGateway) -> None:
    yesterday = {path: path.read_bytes() for path in laptop.directory.rglob("*") if path.is_file()}
    gateway.assign(gateway.publish(a_policy(revision=2, firewall="strict")))
    laptop.check_in()
    sequence = (laptop.directory / "sequence.json").read_bytes()
    for path, content in yesterday.items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    (laptop.directory / "sequence.json").write_bytes(sequence)  # a rolled back number is the server's to notice

    with pytest.raises(refusals.ManifestNotNewerError):
        laptop.restart()
    assert laptop.enforcer.now == {FIREWALL: "strict"}

    laptop.check_in()
    assert laptop.enforcer.now == {FIREWALL: "strict"}
    assert laptop.state.standing().enforced == gateway.device.target, "and the server has given what is current"


def test_an_older_shelf_is_not_believed(laptop: SimulatedAgent, gateway: SimulatedGateway) -> None:
    shelf = {path: path.read_bytes() for path in (laptop.applier / "policies").iterdir()}
    older = (laptop.applier / "manifest.json").read_bytes()
    gateway.assign(gateway.publish(a_policy(revision=2, firewall="strict")))
    laptop.check_in()
    (laptop.applier / "manifest.json").write_bytes(older)
    for path, content in shelf.items():
        path.write_bytes(content)

    laptop.desk.warden.start()

    assert laptop.enforcer.now == {FIREWALL: "strict"}
    assert "shelfNotBelieved" in [event for event, _ in laptop.applier_log]


@pytest.mark.parametrize("name", ["manifest.json", "pin.json"])
@pytest.mark.parametrize("content", [b"", b"{}", b"\x00" * 100, b'{"format":1}'])
def test_a_damaged_file_makes_nothing_new_believed(laptop: SimulatedAgent, name: str, content: bytes) -> None:
    (laptop.applier / name).write_bytes(content)

    if name == "pin.json":
        with pytest.raises(PinDamagedError):
            laptop.desk.warden.start()
    else:
        laptop.desk.warden.start()
    assert laptop.enforcer.now == {FIREWALL: "on"}


def test_a_crash_between_shelf_and_pin_is_finished(laptop: SimulatedAgent, gateway: SimulatedGateway) -> None:
    pin = (laptop.applier / "pin.json").read_bytes()
    gateway.assign(gateway.publish(a_policy(revision=2, firewall="strict")))
    gateway.protect()
    new = manifest(gateway)
    apply(laptop, new, *policies(gateway))
    (laptop.applier / "pin.json").write_bytes(pin)

    laptop.desk.warden.start()

    assert laptop.enforcer.now == {FIREWALL: "strict"}
    assert standing(laptop).protected, "the floors rose with it"


def test_a_crash_in_the_middle_of_enforcing_is_finished_at_the_next_look(
    laptop: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    def dies(name: str) -> None:
        raise KilledError(name)

    gateway.assign(gateway.publish(a_policy(revision=2, firewall="strict")))
    laptop.enforcer.step = dies
    with pytest.raises(KilledError):
        apply(laptop, manifest(gateway), *policies(gateway))
    laptop.enforcer.step = lambda _name: None

    laptop.desk.warden.refresh()

    assert laptop.enforcer.now == {FIREWALL: "strict"}


def test_what_a_change_does_is_judged_and_kept(laptop: SimulatedAgent, gateway: SimulatedGateway) -> None:
    gateway.assign()
    laptop.check_in()

    assert standing(laptop).change is not None
    (_, facts) = next(entry for entry in reversed(laptop.applier_log) if entry[0] == "newTarget")
    assert facts["kind"] == "neutral"
