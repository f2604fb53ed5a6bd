"""Promotion, key change and departure of one device, one on the heels of the other, and interrupted anywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.agent.service.test_promoting import FULL, a_holder, attach, files, promoted
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
from shieldwall.agent.service.errors import GatewayUnreachableError, OffboardRefusedError
from shieldwall.agent.service.package_file import Leave, read_offboarding
from shieldwall.contract.ids import SettingId

FIREWALL = SettingId("firewall")


def a_device(directory: Path) -> tuple[SimulatedAgent, SimulatedGateway]:
    """A protected device with a policy, and the files of a registration beside it that it does not know of."""
    gateway = SimulatedGateway()
    laptop = SimulatedAgent(directory=directory / "state", gateway=gateway, clock=gateway.clock)
    laptop.enforcer = MemoryEnforcer(own={FIREWALL: "off"})
    laptop.onboard()
    gateway.protect()
    gateway.assign(gateway.publish(a_policy(firewall="on")))
    laptop.check_in()
    files(directory, a_holder())
    return laptop, gateway


def appears(laptop: SimulatedAgent) -> None:
    directory = laptop.directory.parent
    laptop.surroundings.existing.use_files(directory / "cert.pem", directory / "key.pem")


def package(laptop: SimulatedAgent, gateway: SimulatedGateway) -> Leave:
    path = laptop.directory.with_name("offboarding.json")
    path.write_bytes(gateway.offboarding_bytes())
    path.chmod(0o600)
    return read_offboarding(path, laptop.state.get_identity(), "linux", laptop.surroundings.trusted_clock.now())


def live(laptop: SimulatedAgent, gateway: SimulatedGateway) -> None:
    """Become full, change the key, leave; taking up wherever the last attempt ended."""
    laptop.surroundings.promote().finish()
    if laptop.state.find_identity() is None:
        return
    if laptop.restart().offboard.is_due():
        if laptop.check_in().promoted:
            laptop.check_in()
        return
    appears(laptop)
    laptop.state.wishes.put_rotation()
    if laptop.check_in().promoted:
        laptop.check_in()
    assert laptop.enforcer.now == {FIREWALL: "on"}
    laptop.enrolled().offboard(package=package(laptop, gateway))


def is_gone(laptop: SimulatedAgent, gateway: SimulatedGateway) -> None:
    assert laptop.enforcer.now == {FIREWALL: "off"}
    assert laptop.state.find_identity() is None
    assert gateway.device.offboarded
    assert gateway.device.goodbye is not None


@pytest.mark.parametrize(
    ("error", "named"), [(killed, ("",)), (disk_full, ("write ", "remove "))], ids=["killed", "disk full"]
)
def test_every_step_on_disk_may_be_the_last(
    tmp_path_factory: pytest.TempPathFactory, error: Callable[[str], BaseException], named: tuple[str, ...]
) -> None:
    laptop, gateway = a_device(tmp_path_factory.mktemp("count"))
    counting = Fault(error=error, named=named)
    attach(laptop, counting, "disk")
    live(laptop, gateway)
    is_gone(laptop, gateway)
    assert gateway.device.id == FULL
    assert len(counting.seen) >= 20
    for number in range(len(counting.seen)):
        laptop, gateway = a_device(tmp_path_factory.mktemp("last"))
        attach(laptop, Fault(error=error, at=number, named=named), "disk")
        try:
            live(laptop, gateway)
        except (KilledError, DiskFullError):
            live(laptop, gateway)
        if laptop.state.find_identity() is not None:
            live(laptop, gateway)

        is_gone(laptop, gateway)


def test_whoever_is_about_to_leave_becomes_nobody_else(tmp_path: Path) -> None:
    laptop, gateway = a_device(tmp_path)

    def unreachable(path: str) -> None:
        raise GatewayUnreachableError(path)

    laptop.network.before = unreachable
    with pytest.raises(GatewayUnreachableError):
        laptop.enrolled().offboard(package=package(laptop, gateway))
    laptop.network.before = lambda _path: None
    appears(laptop)

    assert laptop.check_in().left

    assert promoted(gateway) == []
    is_gone(laptop, gateway)


def test_a_departure_goes_on_under_the_name_that_the_device_has_got(tmp_path: Path) -> None:
    laptop, gateway = a_device(tmp_path)
    appears(laptop)
    laptop.network.after = Fault(
        error=GatewayUnreachableError,
        at=0,
        named=(f"/{gateway.root.tenant_id}/EnrollmentServer/device/{gateway.device.id}/promote",),
    )
    with pytest.raises(GatewayUnreachableError):
        laptop.check_in()
    with pytest.raises(OffboardRefusedError):  # the server knows it by its new key alone
        laptop.enrolled().offboard(package=package(laptop, gateway))
    assert laptop.enforcer.now == {FIREWALL: "off"}

    assert laptop.check_in().promoted
    laptop.restart()
    assert laptop.enforcer.now == {FIREWALL: "off"}, "it does not come back under its new name"
    assert laptop.check_in().left

    is_gone(laptop, gateway)
