"""A device's life, from onboarding to offboarding, and every way in which a step of it may be lost."""

from __future__ import annotations

import stat
from collections.abc import Callable

import pytest
from tests.support.simulated_agent import (
    Fault,
    KilledError,
    MemoryEnforcer,
    SimulatedAgent,
    a_policy,
    disk_full,
    killed,
)
from tests.support.simulated_gateway import SimulatedGateway

from shieldwall.agent.host.errors import DiskFullError
from shieldwall.agent.service.errors import GatewayUnreachableError, NotOnboardedError, OffboardRefusedError
from shieldwall.agent.service.exit_codes import exit_code
from shieldwall.contract.ids import SettingId

FIREWALL = SettingId("firewall")
SCANNING = SettingId("scanning")
STAGES: tuple[dict[SettingId, str | int], ...] = (
    {FIREWALL: "off"},
    {FIREWALL: "on", SCANNING: 7},
    {FIREWALL: "off", SCANNING: 9},
)


def live(laptop: SimulatedAgent, gateway: SimulatedGateway) -> None:
    """Live a whole life, taking up wherever the last attempt ended."""
    if laptop.state.find_identity() is None:
        laptop.onboard()
    laptop.restart()
    gateway.assign(gateway.publish(a_policy(1, firewall="on")), gateway.publish(a_policy(2, scanning=7)))
    laptop.check_in()
    assert laptop.enforcer.now == {FIREWALL: "on", SCANNING: 7}
    gateway.assign(gateway.publish(a_policy(2, revision=2, scanning=9)))
    laptop.check_in()
    assert laptop.enforcer.now == {FIREWALL: "off", SCANNING: 9}
    gateway.assign()
    laptop.check_in()


def lived_well(laptop: SimulatedAgent, gateway: SimulatedGateway) -> None:
    assert laptop.enforcer.now == {FIREWALL: "off"}
    assert laptop.state.disk.names(laptop.directory / "policies") == ()
    assert gateway.device.report == laptop.state.find_report()
    assert gateway.device.report is not None
    assert gateway.device.report.target == gateway.device.target
    assert laptop.state.standing().trouble is None
    sequences = [message.seq for path, message in gateway.received if hasattr(message, "seq")]
    assert sequences == sorted(set(sequences)), "a sequence number was used twice"


@pytest.fixture
def laptop(laptop: SimulatedAgent) -> SimulatedAgent:
    laptop.enforcer = MemoryEnforcer(own={FIREWALL: "off"})
    return laptop


def test_a_policy_is_enforced_changed_and_taken_away_again(laptop: SimulatedAgent, gateway: SimulatedGateway) -> None:
    live(laptop, gateway)

    lived_well(laptop, gateway)


def test_offboarding_restores_tells_the_server_and_forgets(laptop: SimulatedAgent, gateway: SimulatedGateway) -> None:
    laptop.onboard()
    gateway.assign(gateway.publish(a_policy(firewall="on")))
    laptop.check_in()

    laptop.enrolled().offboard(reason="retired")

    assert laptop.enforcer.now == {FIREWALL: "off"}
    assert gateway.device.offboarded
    assert [path.name for path in laptop.directory.rglob("*") if path.is_file()] == []
    with pytest.raises(NotOnboardedError):
        laptop.enrolled()


def test_offboarding_without_the_server_restores_and_can_be_repeated(
    laptop: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    laptop.onboard()
    gateway.assign(gateway.publish(a_policy(firewall="on")))
    laptop.check_in()
    laptop.network.away = True

    with pytest.raises(GatewayUnreachableError):
        laptop.enrolled().offboard()
    assert laptop.enforcer.now == {FIREWALL: "off"}

    laptop.network.away = False
    laptop.enrolled().offboard()
    assert gateway.device.offboarded


def removed(gateway: SimulatedGateway) -> None:
    gateway.device.offboarded = True


def set_back(gateway: SimulatedGateway) -> None:
    gateway.device.last_sequence += 100


def forgotten(gateway: SimulatedGateway) -> None:
    gateway.devices.clear()


@pytest.mark.parametrize("happening", [removed, set_back, forgotten])
def test_a_device_that_the_server_refuses_can_leave_and_come_back(
    laptop: SimulatedAgent, gateway: SimulatedGateway, happening: Callable[[SimulatedGateway], None]
) -> None:
    first = laptop.onboard()
    gateway.assign(gateway.publish(a_policy(firewall="on")))
    laptop.check_in()
    happening(gateway)

    with pytest.raises(OffboardRefusedError, match="The server answered") as refusal:
        laptop.enrolled().offboard()
    assert exit_code(refusal.value) == 8
    assert "offboard --without-server" in refusal.value.advice
    assert laptop.enforcer.now == {FIREWALL: "off"}, "what was restored stays restored"
    assert laptop.state.find_identity() == first

    asked = len(laptop.network.calls)
    laptop.enrolled().offboard(without_server=True)
    assert len(laptop.network.calls) == asked, "a clone must not say goodbye in the name of the other"
    assert [path.name for path in laptop.directory.rglob("*") if path.is_file()] == []

    second = laptop.onboard()
    assert second.instance_id != first.instance_id
    gateway.assign(gateway.publish(a_policy(firewall="on")))
    laptop.check_in()
    assert laptop.enforcer.now == {FIREWALL: "on"}


def test_leaving_without_the_server_needs_nobody_and_gives_up_nothing_before_it_is_restored(
    laptop: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    laptop.onboard()
    gateway.assign(gateway.publish(a_policy(firewall="on")))
    laptop.check_in()
    laptop.network.away = True
    laptop.enforcer.step = Fault(error=disk_full, at=0, named=("release",))

    with pytest.raises(DiskFullError):
        laptop.enrolled().offboard(without_server=True)
    assert laptop.state.find_identity() is not None, "the way back must not be forgotten"

    laptop.enrolled().offboard(without_server=True)
    assert laptop.enforcer.now == {FIREWALL: "off"}
    assert laptop.state.find_identity() is None


def test_the_key_is_readable_for_its_owner_alone(laptop: SimulatedAgent) -> None:
    laptop.onboard()

    for path in laptop.directory.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    assert stat.S_IMODE(laptop.directory.stat().st_mode) == 0o700


def _steps(tmp_path_factory: pytest.TempPathFactory, kind: str, named: tuple[str, ...] = ("",)) -> int:
    """Count how many steps of a kind a life has when nothing goes wrong."""
    gateway = SimulatedGateway()
    laptop = SimulatedAgent(directory=tmp_path_factory.mktemp("count") / "state", gateway=gateway, clock=gateway.clock)
    laptop.enforcer = MemoryEnforcer(own={FIREWALL: "off"})
    fault = Fault(error=killed, named=named)
    _attach(laptop, fault, kind)
    live(laptop, gateway)
    return len(fault.seen)


def _attach(laptop: SimulatedAgent, fault: Fault, kind: str) -> None:
    match kind:
        case "request":
            laptop.network.before = fault
        case "answer":
            laptop.network.after = fault
        case "disk":
            laptop.disk.step = fault
            laptop.enforcer.step = fault


def _lost(path: str) -> GatewayUnreachableError:
    return GatewayUnreachableError(f"Nothing came back from {path}.")


@pytest.mark.parametrize("kind", ["request", "answer"])
def test_any_request_and_any_answer_may_be_lost(tmp_path_factory: pytest.TempPathFactory, kind: str) -> None:
    total = _steps(tmp_path_factory, kind)
    assert total >= 10
    for number in range(total):
        gateway = SimulatedGateway()
        directory = tmp_path_factory.mktemp("lost") / "state"
        laptop = SimulatedAgent(directory=directory, gateway=gateway, clock=gateway.clock)
        laptop.enforcer = MemoryEnforcer(own={FIREWALL: "off"})
        _attach(laptop, Fault(error=_lost, at=number), kind)

        with pytest.raises(GatewayUnreachableError):
            live(laptop, gateway)
        live(laptop, gateway)

        lived_well(laptop, gateway)
        assert len(gateway.devices) == 1, "a lost answer must not make a second device"


@pytest.mark.parametrize(
    ("error", "named"),
    [(killed, ("",)), (disk_full, ("write ", "remove ", "enforce"))],  # a disk is full before a change, not after it
    ids=["killed", "disk full"],
)
def test_every_step_on_disk_may_be_the_last(
    tmp_path_factory: pytest.TempPathFactory, error: Callable[[str], BaseException], named: tuple[str, ...]
) -> None:
    total = _steps(tmp_path_factory, "disk", named)
    assert total >= 30
    for number in range(total):
        gateway = SimulatedGateway()
        directory = tmp_path_factory.mktemp("last") / "state"
        laptop = SimulatedAgent(directory=directory, gateway=gateway, clock=gateway.clock)
        laptop.enforcer = MemoryEnforcer(own={FIREWALL: "off"})
        fault = Fault(error=error, at=number, named=named)
        _attach(laptop, fault, "disk")

        with pytest.raises((KilledError, DiskFullError)):
            live(laptop, gateway)
        if laptop.state.find_identity() is not None:
            laptop.restart()
            assert laptop.enforcer.now in STAGES, "a restart must give one whole stage, never parts of two"
        live(laptop, gateway)

        lived_well(laptop, gateway)
        assert len(gateway.devices) == 1
