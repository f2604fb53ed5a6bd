"""Years with one identity: certificates renewed, keys changed, disks copied; always one key that works."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.simulated_agent import (
    Fault,
    KilledError,
    MemoryEnforcer,
    SimulatedAgent,
    a_policy,
    disk_full,
    killed,
)
from tests.support.simulated_gateway import TENANT, HandClock, SimulatedGateway

from shieldwall.agent.host.errors import DiskFullError
from shieldwall.agent.service.errors import GatewayUnreachableError, ProblemAnswerError
from shieldwall.agent.service.instance import is_another_machine
from shieldwall.agent.service.lock import StateLock
from shieldwall.agent.service.rotating import RotateKey
from shieldwall.agent.service.syncing import Sync
from shieldwall.agent.service.upkeep import KEY_LIFE, RENEW_AFTER, SPREAD, spread
from shieldwall.contract.ids import DeviceId, Digest, SettingId, TenantId
from shieldwall.contract.messages import HardwareIds
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.trust.device_certificate import DeviceCertificate, read_certificate
from shieldwall.trust.device_key import thumbprint

FIREWALL = SettingId("firewall")


@dataclass
class MovingMachine:
    """A machine whose hardware a test can exchange."""

    machine: object
    machine_id: str = "one"
    smbios: str | None = "board"

    def __getattr__(self, name: str) -> object:
        return getattr(self.machine, name)

    def hardware(self, tenant_id: TenantId) -> HardwareIds:
        return HardwareIds(
            machine_id_hash=digest_of_bytes(f"{tenant_id} {self.machine_id}".encode()),
            smbios_uuid_hash=None if self.smbios is None else digest_of_bytes(self.smbios.encode()),
        )


@pytest.fixture
def managed(laptop: SimulatedAgent, gateway: SimulatedGateway) -> SimulatedAgent:
    return manage(laptop, gateway)


def manage(laptop: SimulatedAgent, gateway: SimulatedGateway) -> SimulatedAgent:
    laptop.machine = MovingMachine(laptop.machine)  # type: ignore[assignment]
    laptop.enforcer = MemoryEnforcer(own={FIREWALL: "off"})
    laptop.onboard()
    gateway.assign(gateway.publish(a_policy(firewall="on")))
    laptop.check_in()
    return laptop


def certificate(laptop: SimulatedAgent) -> DeviceCertificate:
    return read_certificate(laptop.state.get_identity().certificate)


def renewals(laptop: SimulatedAgent) -> int:
    return sum(path.endswith("/renew") for path in laptop.network.calls)


def test_a_certificate_is_renewed_at_half_of_its_life(managed: SimulatedAgent, clock: HandClock) -> None:
    due = RENEW_AFTER + spread(managed.state.get_identity().device_id)
    before = certificate(managed)
    clock.at = before.not_before + due - timedelta(seconds=1)
    managed.check_in()
    assert renewals(managed) == 0

    clock.advance(seconds=1)
    managed.check_in()
    managed.check_in()

    assert renewals(managed) == 1
    assert certificate(managed).not_after > before.not_after
    assert certificate(managed).key == before.key == managed.state.get_key().thumbprint


@given(st.uuids().map(lambda each: DeviceId(str(each))))
def test_no_device_renews_more_than_ten_days_before_or_after_the_others(device_id: DeviceId) -> None:
    assert -SPREAD <= spread(device_id) <= SPREAD
    assert spread(device_id) == spread(device_id)


def test_a_fleet_does_not_renew_on_one_day() -> None:
    days = {spread(DeviceId(f"dddddddd-0000-4000-8000-{number:012x}")).days for number in range(200)}
    assert len(days) >= 18


def test_a_certificate_that_has_ended_is_renewed_before_anything_else(
    managed: SimulatedAgent, gateway: SimulatedGateway, clock: HandClock
) -> None:
    gateway.device.certificate_expires_at = clock.at + timedelta(days=90)
    clock.advance(days=200)

    managed.check_in()

    assert certificate(managed).not_after > clock.at
    assert managed.state.standing().trouble is None


def test_a_renewal_that_fails_spoils_no_check_in(managed: SimulatedAgent, clock: HandClock) -> None:
    clock.advance(days=60)

    def lost(path: str) -> None:
        if path.endswith("/renew"):
            raise GatewayUnreachableError("Lost.")

    managed.network.before = lost
    managed.check_in()

    assert managed.state.standing().trouble is None
    assert "upkeepFailed" in managed.log.getvalue()


def test_a_key_is_changed_after_two_years(managed: SimulatedAgent, gateway: SimulatedGateway, clock: HandClock) -> None:
    before = managed.state.get_key().thumbprint
    gateway.device.certificate_expires_at = None
    clock.advance(days=(KEY_LIFE + SPREAD).days)

    managed.check_in()

    changed = managed.state.get_key().thumbprint
    assert changed != before
    assert gateway.spent == {before}
    assert thumbprint(gateway.device.key) == changed
    assert managed.state.find_next_key() is None
    assert certificate(managed).key == changed
    managed.check_in()
    assert managed.state.get_key().thumbprint == changed, "one change, and then none for two years"


def test_the_manifest_for_the_new_key_comes_in_the_same_check_in(
    managed: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    managed.state.wishes.put_rotation()
    managed.check_in()

    stored = managed.enrolled().enforcement.stored()
    assert stored is not None
    assert stored[0].device_key == managed.state.get_key().thumbprint == thumbprint(gateway.device.key)
    assert managed.enforcer.now == {FIREWALL: "on"}
    managed.restart()
    assert managed.enforcer.now == {FIREWALL: "on"}


def test_the_process_that_changed_the_key_goes_on_with_it(managed: SimulatedAgent, gateway: SimulatedGateway) -> None:
    enrolled = managed.enrolled()
    managed.state.wishes.put_rotation()
    enrolled.check_in()
    gateway.request_sync()

    assert enrolled.policy_sync.wait(1) is not None
    enrolled.check_in()
    assert managed.state.standing().trouble is None


def test_a_key_change_that_somebody_waits_for_says_why_it_failed(
    managed: SimulatedAgent, monkeypatch: pytest.MonkeyPatch, gateway: SimulatedGateway
) -> None:
    managed.state.wishes.put_rotation()
    monkeypatch.setattr(type(gateway), "_change_key", refuse_key_changes)

    with pytest.raises(ProblemAnswerError) as refused:
        managed.check_in()
    assert refused.value.problem.code == "deviceQuarantined"

    managed.check_in()
    assert managed.state.standing().trouble is None, "asked once, answered once"


def refuse_key_changes(*_arguments: object) -> None:
    from tests.support.simulated_gateway import RefusedError  # noqa: PLC0415 - its name clashes with nothing here

    raise RefusedError(403, "deviceQuarantined")


def test_a_next_key_that_was_an_identity_once_is_given_up(managed: SimulatedAgent, gateway: SimulatedGateway) -> None:
    gateway.spent.add(managed.state.make_next_key().thumbprint)
    managed.check_in()
    assert managed.state.find_next_key() is None
    assert managed.state.standing().trouble is None


def rotate(laptop: SimulatedAgent) -> None:
    """Change the key, then live on."""
    if laptop.state.find_identity() is None:
        return
    laptop.check_in()


def works(laptop: SimulatedAgent, gateway: SimulatedGateway, before: str) -> None:
    """One key works, the other is gone, and what holds was never given up."""
    key = laptop.state.get_key().thumbprint
    assert key == thumbprint(gateway.device.key)
    assert key != before, "what was begun is brought to its end"
    assert laptop.state.find_next_key() is None
    assert certificate(laptop).key == key
    assert laptop.state.standing().trouble is None
    assert laptop.enforcer.now == {FIREWALL: "on"}
    stored = laptop.enrolled().enforcement.stored()
    assert stored is not None
    assert stored[0].device_key == key


def prepared(directory: Path) -> tuple[SimulatedAgent, SimulatedGateway]:
    gateway = SimulatedGateway()
    laptop = manage(SimulatedAgent(directory=directory / "state", gateway=gateway, clock=gateway.clock), gateway)
    laptop.state.wishes.put_rotation()
    return laptop, gateway


NAMED = {"killed": ("",), "disk full": ("write ", "remove ")}
ERRORS = {"killed": killed, "disk full": disk_full}


@pytest.mark.parametrize("how", ["killed", "disk full"])
def test_a_key_change_may_end_at_every_step_on_disk(tmp_path_factory: pytest.TempPathFactory, how: str) -> None:
    laptop, gateway = prepared(tmp_path_factory.mktemp("count"))
    counting = Fault(error=ERRORS[how], named=NAMED[how])
    laptop.disk.step = counting
    laptop.check_in()
    assert "write device.key.next" in counting.seen
    assert len(counting.seen) >= 10

    for number in range(len(counting.seen)):
        laptop, gateway = prepared(tmp_path_factory.mktemp("step"))
        before = laptop.state.get_key().thumbprint
        laptop.disk.step = Fault(error=ERRORS[how], at=number, named=NAMED[how])
        try:
            laptop.check_in()
        except (KilledError, DiskFullError):
            laptop.restart()
            assert laptop.enforcer.now == {FIREWALL: "on"}
        laptop.state.wishes.put_rotation() if laptop.state.get_key().thumbprint == before else None
        laptop.check_in()
        laptop.check_in()
        works(laptop, gateway, before)


@pytest.mark.parametrize("kind", ["request", "answer"])
def test_every_request_and_answer_of_a_key_change_may_be_lost(
    tmp_path_factory: pytest.TempPathFactory, kind: str
) -> None:
    laptop, gateway = prepared(tmp_path_factory.mktemp("count"))
    counting = Fault(error=lost)
    laptop.network.before = counting
    laptop.check_in()
    assert any(path.endswith("/keyChange") for path in counting.seen)

    for number in range(len(counting.seen)):
        laptop, gateway = prepared(tmp_path_factory.mktemp("lost"))
        before = laptop.state.get_key().thumbprint
        fault = Fault(error=lost, at=number)
        if kind == "request":
            laptop.network.before = fault
        else:
            laptop.network.after = fault
        with pytest.raises(GatewayUnreachableError):
            laptop.check_in()
        laptop.check_in()
        laptop.check_in()
        works(laptop, gateway, before)


def lost(path: str) -> GatewayUnreachableError:
    return GatewayUnreachableError(f"Nothing came back from {path}.")


def test_a_disk_on_other_hardware_gets_another_instance_id(managed: SimulatedAgent, gateway: SimulatedGateway) -> None:
    registered = gateway.device.instance_id

    def seen() -> str:
        return str(gateway.received[-1][1].instance_id)

    managed.check_in()
    assert seen() == registered

    managed.machine.machine_id = "another"  # type: ignore[attr-defined]
    managed.check_in()
    drawn = seen()
    assert drawn != registered
    managed.check_in()
    assert seen() == drawn, "drawn once"


def test_an_instance_id_lost_or_of_an_older_agent_is_the_registered_one(
    managed: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    (managed.directory / "instance.json").unlink()
    managed.check_in()
    assert gateway.received[-1][1].instance_id == gateway.device.instance_id
    assert managed.state.find_instance() is not None


HASHES = st.none() | st.sampled_from("abc").map(lambda each: Digest(each * 64))
HARDWARE = st.builds(HardwareIds, machine_id_hash=HASHES, smbios_uuid_hash=HASHES)


@given(HARDWARE, HARDWARE)
def test_only_a_hash_known_both_times_says_that_the_machine_is_another(one: HardwareIds, other: HardwareIds) -> None:
    assert not is_another_machine(one, one)
    assert is_another_machine(one, other) == is_another_machine(other, one)
    if other == HardwareIds():
        assert not is_another_machine(one, other)


def test_the_instance_id_is_bound_to_the_tenant(managed: SimulatedAgent) -> None:
    record = managed.state.find_instance()
    assert record is not None
    assert record.hardware == managed.machine.hardware(TENANT)


def a_rotation(laptop: SimulatedAgent) -> RotateKey:
    lock = StateLock(directory=laptop.directory, monotonic=time.monotonic, sleep=time.sleep)
    sync = Sync(surroundings=laptop.surroundings, lock=lock, monotonic=time.monotonic, sleep=time.sleep)
    return RotateKey(state=laptop.state, sync=sync)


def test_somebody_changes_the_key_by_hand(managed: SimulatedAgent, gateway: SimulatedGateway) -> None:
    before = managed.state.get_key().thumbprint
    named = a_rotation(managed)()
    assert named == managed.state.get_key().thumbprint == thumbprint(gateway.device.key) != before
    assert not managed.state.wishes.has_rotation()


def test_a_key_that_could_not_be_changed_by_hand_is_not_changed_behind_the_back(managed: SimulatedAgent) -> None:
    managed.network.away = True
    with pytest.raises(GatewayUnreachableError):
        a_rotation(managed)()
    managed.network.away = False
    before = managed.state.get_key().thumbprint
    managed.check_in()
    assert managed.state.get_key().thumbprint == before
