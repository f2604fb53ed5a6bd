"""What the applier believes. The agent is whatever a test wants it to be; the warden, its files and keys are real."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.support.simulated_agent import KilledError, MemoryEnforcer, SimulatedAgent, a_policy
from tests.support.simulated_gateway import TENANT, HandClock, SimulatedDevice, SimulatedGateway

from shieldwall.agent.applier import protocol
from shieldwall.agent.applier.adoption import check_successor
from shieldwall.agent.applier.authority import Claim, claim_text
from shieldwall.agent.applier.authority import believed as believed_for
from shieldwall.agent.applier.confirming import NothingToConfirmError, Unconfirmed
from shieldwall.agent.applier.pin import Authority, Change, PinDamagedError, PinFile
from shieldwall.agent.applier.ports import Asker
from shieldwall.agent.applier.protocol import Outcome, Standing
from shieldwall.agent.applier.refusals import (
    DeviceProofError,
    LeaveRefusedError,
    NotPinnedError,
    PinRefusedError,
    SuccessorWeakerError,
    TamperProtectedError,
)
from shieldwall.agent.service.proving import authority_of
from shieldwall.contract.ids import DeviceId, SettingId
from shieldwall.contract.messages import UNPROTECTED, Envelope, Manifest, Protection, TimeStatement
from shieldwall.contract.strict_json import decode, encode
from shieldwall.trust import moments, payload_types, refusals, strict_base64
from shieldwall.trust.device_key import DeviceKey, SigningKey, public_key_bytes
from shieldwall.trust.dsse import EnvelopeKey, seal
from shieldwall.trust.onboarding import InvalidPackageError, PackageExpiredError

ROOT, AGENT = Asker(uid=0), Asker(uid=64_000)
FIREWALL = SettingId("firewall")


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def gateway(clock: HandClock) -> SimulatedGateway:
    return SimulatedGateway(clock=clock)


@pytest.fixture
def laptop(tmp_path: Path, gateway: SimulatedGateway, clock: HandClock) -> SimulatedAgent:
    """An onboarded device whose applier obeys the tenant, knows its name, and enforces one policy."""
    laptop = SimulatedAgent(
        directory=tmp_path / "state", gateway=gateway, clock=clock, enforcer=MemoryEnforcer(own={FIREWALL: "off"})
    )
    laptop.onboard()
    gateway.assign(gateway.publish(a_policy(firewall="on")))
    laptop.check_in()
    assert laptop.enforcer.now == {FIREWALL: "on"}
    return laptop


def manifest(gateway: SimulatedGateway) -> Envelope:
    return gateway.manifest(gateway.device)


def policies(gateway: SimulatedGateway) -> tuple[Envelope, ...]:
    return tuple(gateway.policies[item.digest] for item in gateway.device.items)


def apply(laptop: SimulatedAgent, envelope: Envelope, *given: Envelope, asker: Asker = AGENT) -> protocol.Answer:
    return laptop.desk(protocol.Apply(manifest=envelope, policies=given), asker)


def claim(key: SigningKey, device_id: str, *, nonce: str, signer: SigningKey | None = None) -> Claim:
    text = claim_text(TENANT, DeviceId(device_id), key.thumbprint, nonce)
    return Claim(
        id=DeviceId(device_id),
        public_key=strict_base64.encode(public_key_bytes(key.public_key)),
        nonce=nonce,
        signature=strict_base64.encode((signer or key).sign(text)),
    )


def standing(laptop: SimulatedAgent) -> Standing:
    answer = laptop.desk(protocol.Look(), AGENT)
    assert isinstance(answer, Standing)
    return answer


def authority(laptop: SimulatedAgent) -> Authority:
    return authority_of(laptop.state.get_identity().server)


def signed_time(
    gateway: SimulatedGateway, nonce: str, *, ahead: timedelta = timedelta(), key: str = "time"
) -> Envelope:
    time = moments.write(gateway.clock.now() + ahead)
    return seal(encode(TimeStatement(tenant_id=TENANT, nonce=nonce, time=time)), payload_types.TIME, gateway.keys[key])


# What is enforced


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


# Whom it obeys


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
    laptop.state.wish_rotation()
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


OTHER = DeviceId("00000000-0000-4000-8000-0000000000ff")
PROTECTED = Protection(tamper=True)
OPEN = Protection(tamper=True, troubleshooting_until="2030-01-01T00:00:00Z")


def other_device(laptop: SimulatedAgent, protection: Protection = PROTECTED) -> SimulatedDevice:
    """Claim to be another device of the tenant, whose key whoever owns the agent has."""
    key, desk = DeviceKey.generate(), laptop.desk
    look = desk(protocol.Look(), AGENT)
    assert isinstance(look, Standing)
    desk(protocol.Adopt(claim=claim(key, OTHER, nonce=look.nonce)), AGENT)
    return dataclasses.replace(laptop.gateway.device, id=OTHER, key=key.public_key, protection=protection)


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


# Leaving


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


# Time


def test_a_clock_that_is_off_is_corrected_by_time_signed_for_our_nonce(
    laptop: SimulatedAgent, gateway: SimulatedGateway, clock: HandClock
) -> None:
    laptop.clock = HandClock(at=clock.at + timedelta(days=400))
    gateway.assign()
    envelope = manifest(gateway)
    desk = laptop.desk
    with pytest.raises(refusals.ManifestExpiredError):
        desk(protocol.Apply(manifest=envelope), AGENT)
    look = desk(protocol.Look(), AGENT)
    assert isinstance(look, Standing)

    for time in (signed_time(gateway, "0" * 32), signed_time(gateway, look.nonce, key="policy")):
        with pytest.raises(refusals.RefusedTimeError):
            desk(protocol.Apply(manifest=envelope, time=time), AGENT)
    answered = desk(protocol.Look(), AGENT)
    assert isinstance(answered, Standing)
    desk(protocol.Apply(manifest=envelope, time=signed_time(gateway, answered.nonce)), AGENT)

    assert laptop.enforcer.now == {FIREWALL: "off"}


def test_time_never_goes_back_behind_what_was_signed(laptop: SimulatedAgent, gateway: SimulatedGateway) -> None:
    desk = laptop.desk
    look = desk(protocol.Look(), AGENT)
    assert isinstance(look, Standing)
    before = signed_time(gateway, look.nonce, ahead=-timedelta(days=3))

    with pytest.raises(refusals.RefusedTimeError, match="lies before"):
        desk(protocol.Apply(manifest=manifest(gateway), time=before), AGENT)


def test_a_clock_set_back_revives_no_expired_manifest(laptop: SimulatedAgent, gateway: SimulatedGateway) -> None:
    gateway.assign()
    stale = manifest(gateway)
    laptop.clock.advance(days=20)
    gateway.assign(gateway.publish(a_policy(revision=2, firewall="strict")))
    laptop.check_in()
    laptop.clock.advance(days=-20)

    with pytest.raises((refusals.ManifestNotNewerError, refusals.ManifestExpiredError)):
        apply(laptop, stale)
    assert standing(laptop).trusted_time >= "2026-12-13"


# Proof of connection


def test_a_change_on_probation_is_kept_by_time_signed_for_its_nonce(
    laptop: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    nonce = "ab" * 16
    laptop.enforcer.waiting = Unconfirmed(
        nonce=nonce, target=None, providers=("nftables",), deadline=700.0, seconds_left=600.0
    )
    assert standing(laptop).unconfirmed == protocol.Unconfirmed(nonce=nonce, seconds_left=600.0)
    for wrong in (signed_time(gateway, "0" * 32), signed_time(gateway, nonce, key="manifest")):
        with pytest.raises(refusals.RefusedTimeError):
            laptop.desk(protocol.Confirm(statement=wrong), ROOT)
    assert standing(laptop).unconfirmed is not None

    laptop.desk(protocol.Confirm(statement=signed_time(gateway, nonce)), AGENT)

    assert standing(laptop).unconfirmed is None
    with pytest.raises(NothingToConfirmError):
        laptop.desk(protocol.Confirm(statement=signed_time(gateway, nonce)), AGENT)


def test_the_agent_confirms_after_a_check_in(laptop: SimulatedAgent) -> None:
    laptop.enforcer.waiting = Unconfirmed(
        nonce="cd" * 16, target=None, providers=("nftables",), deadline=700.0, seconds_left=600.0
    )

    laptop.check_in()

    assert standing(laptop).unconfirmed is None
    assert laptop.network.calls.index("/device/v1/checkin") < laptop.network.calls.index("/device/v1/time")


def test_an_agent_that_reaches_nobody_confirms_nothing(laptop: SimulatedAgent) -> None:
    laptop.enforcer.waiting = Unconfirmed(
        nonce="cd" * 16, target=None, providers=("nftables",), deadline=700.0, seconds_left=600.0
    )
    laptop.network.away = True

    with pytest.raises(Exception, match="away"):
        laptop.check_in()
    assert laptop.enforcer.waiting is not None


def test_repairs_that_nobody_heard_of_are_told_to_the_next_who_asks(laptop: SimulatedAgent) -> None:
    desk = laptop.desk
    laptop.enforcer.now = {FIREWALL: "off"}
    desk.warden.refresh(heard=False)

    told = desk(protocol.Refresh(), AGENT)
    again = desk(protocol.Refresh(), AGENT)

    assert isinstance(told, Outcome)
    assert isinstance(again, Outcome)
    assert told.report is not None
    assert again.report is not None
    assert [status.code for status in told.report.settings] == ["repaired"]
    assert [status.code for status in again.report.settings] == [None]


def test_a_manifest_is_read_as_the_bytes_that_were_signed(laptop: SimulatedAgent, gateway: SimulatedGateway) -> None:
    envelope = manifest(gateway)
    altered = replace(decode(strict_base64.decode(envelope.payload), Manifest), items=())

    with pytest.raises(refusals.ManifestSignatureError):
        apply(laptop, replace(envelope, payload=strict_base64.encode(encode(altered))))
