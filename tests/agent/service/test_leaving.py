"""The ways out of management, and every moment in which a departure may be interrupted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

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
from shieldwall.agent.service.errors import (
    GatewayUnreachableError,
    NotOnboardedError,
    TamperProtectedError,
    UnsuitablePackageError,
)
from shieldwall.agent.service.overview import overview
from shieldwall.agent.service.package_file import Leave, read_offboarding
from shieldwall.contract.ids import DeviceId, PackageId, SettingId, TenantId
from shieldwall.contract.messages import CheckInRequest
from shieldwall.trust import moments
from shieldwall.trust.offboarding import PackageNotForDeviceError
from shieldwall.trust.onboarding import (
    PackageExpiredError,
    PackageMalformedError,
    PackageNotYetValidError,
    PackageSignatureError,
    PackageTenantError,
    PackageTypeError,
)
from shieldwall.trust.refusals import RefusedManifestError

FIREWALL = SettingId("firewall")
PACKAGE = PackageId("aaaaaaaa-0000-4000-8000-00000000000f")


def managed(laptop: SimulatedAgent, gateway: SimulatedGateway) -> SimulatedAgent:
    """A protected device with a policy."""
    laptop.enforcer = MemoryEnforcer(own={FIREWALL: "off"})
    laptop.onboard()
    gateway.protect()
    gateway.assign(gateway.publish(a_policy(firewall="on")))
    laptop.check_in()
    assert laptop.enforcer.now == {FIREWALL: "on"}
    return laptop


@pytest.fixture
def protected(laptop: SimulatedAgent, gateway: SimulatedGateway) -> SimulatedAgent:
    return managed(laptop, gateway)


@pytest.fixture
def file(tmp_path: Path, gateway: SimulatedGateway) -> Path:
    path = tmp_path / "shieldwall_offboarding.json"
    path.write_bytes(gateway.offboarding_bytes())
    path.chmod(0o644)
    return path


def opened(laptop: SimulatedAgent, path: Path) -> Leave:
    identity = laptop.state.get_identity()
    return read_offboarding(path, identity, "linux", laptop.surroundings.trusted_clock.now())


def is_empty(laptop: SimulatedAgent) -> bool:
    return not any(path.is_file() for path in laptop.directory.rglob("*"))


def test_the_signed_order_is_carried_out_at_the_next_check_in(
    protected: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    gateway.device.leaving = True

    settled = protected.check_in()

    assert settled.left
    assert protected.enforcer.now == {FIREWALL: "off"}
    assert gateway.device.goodbye is not None
    assert gateway.device.goodbye.reason == "ordered by the server"
    assert is_empty(protected)
    with pytest.raises(NotOnboardedError):
        protected.enrolled()


def test_nothing_is_reported_any_more_once_the_order_is_there(
    protected: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    gateway.device.leaving = True
    before = len(gateway.received)

    protected.check_in()

    said = [message for _, message in gateway.received[before:]]
    assert [type(message).__name__ for message in said] == ["CheckInRequest", "OffboardRequest"]
    assert isinstance(said[0], CheckInRequest)
    assert said[0].report is None


def test_an_order_of_somebody_else_is_no_order(protected: SimulatedAgent, gateway: SimulatedGateway) -> None:
    gateway.device.leaving = True
    gateway.manifest_key = gateway.keys["policy"]

    with pytest.raises(RefusedManifestError):
        protected.check_in()

    assert protected.enforcer.now == {FIREWALL: "on"}
    assert not gateway.device.offboarded


def test_a_server_that_is_gone_stops_nobody_from_carrying_out_the_order(
    protected: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    gateway.device.leaving = True
    protected.network.before = lambda path: _lost(path) if path.endswith("/offboard") else None

    with pytest.raises(GatewayUnreachableError):
        protected.check_in()
    assert protected.enforcer.now == {FIREWALL: "off"}
    assert overview(protected.surroundings, running=False).leaving

    protected.restart().enforcement.refresh()
    assert protected.enforcer.now == {FIREWALL: "off"}, "a restart enforces nothing any more"
    protected.network.before = lambda _path: None
    assert protected.check_in().left
    assert gateway.device.offboarded
    assert is_empty(protected)


def test_a_device_that_was_retired_in_the_meantime_just_goes(
    protected: SimulatedAgent, gateway: SimulatedGateway
) -> None:
    gateway.device.leaving = True
    protected.network.before = lambda path: _lost(path) if path.endswith("/offboard") else None
    with pytest.raises(GatewayUnreachableError):
        protected.check_in()
    protected.network.before = lambda _path: None
    gateway.device.offboarded = True

    assert protected.check_in().left
    assert is_empty(protected)


def test_a_package_lets_a_protected_device_go(protected: SimulatedAgent, gateway: SimulatedGateway, file: Path) -> None:
    package = opened(protected, file)

    protected.enrolled().offboard(reason="sold", package=package)

    assert protected.enforcer.now == {FIREWALL: "off"}
    assert gateway.device.goodbye is not None
    assert gateway.device.goodbye.package_id == PACKAGE
    assert gateway.device.goodbye.reason == "sold"
    assert is_empty(protected)


def test_with_a_package_the_server_need_not_be_there(
    protected: SimulatedAgent, gateway: SimulatedGateway, file: Path
) -> None:
    protected.network.away = True

    protected.enrolled().offboard(without_server=True, package=opened(protected, file))

    assert protected.enforcer.now == {FIREWALL: "off"}
    assert not gateway.device.offboarded
    assert is_empty(protected)


def test_what_a_package_began_needs_the_package_no_more(
    protected: SimulatedAgent, gateway: SimulatedGateway, file: Path
) -> None:
    package = opened(protected, file)
    protected.network.away = True
    with pytest.raises(GatewayUnreachableError):
        protected.enrolled().offboard(package=package)
    protected.clock.advance(days=30)
    gateway.clock = protected.clock
    protected.network.away = False

    protected.enrolled().offboard()

    assert gateway.device.goodbye is not None
    assert gateway.device.goodbye.package_id == PACKAGE


def a_changed_signature(gateway: SimulatedGateway) -> bytes:
    return gateway.offboarding_bytes().replace(b'"sig":"', b'"sig":"AAAA')


BAD = [
    (
        lambda gateway: gateway.offboarding_bytes(tenant_id=TenantId("0" * 8 + "-0000-4000-8000-" + "0" * 12)),
        PackageTenantError,
    ),
    (lambda gateway: gateway.offboarding_bytes(signer="policy"), PackageSignatureError),
    (a_changed_signature, PackageSignatureError),
    (
        lambda gateway: gateway.offboarding_bytes().replace(b'"signatures":[', b'"signatures":[],"was":['),
        PackageMalformedError,
    ),
    (lambda gateway: gateway.package_bytes(), PackageTypeError),
    (lambda gateway: gateway.offboarding_bytes(platforms=("windows", "macos")), PackageNotForDeviceError),
    (
        lambda gateway: gateway.offboarding_bytes(device_ids=(DeviceId("dddddddd-0000-4000-8000-0000000000ff"),)),
        PackageNotForDeviceError,
    ),
    (
        lambda gateway: gateway.offboarding_bytes(not_before=moments.write(gateway.clock.now() + timedelta(seconds=1))),
        PackageNotYetValidError,
    ),
    (
        lambda gateway: gateway.offboarding_bytes(
            not_before=moments.write(gateway.clock.now() - timedelta(days=7)),
            not_after=moments.write(gateway.clock.now()),
        ),
        PackageExpiredError,
    ),
    (lambda _gateway: b"{" + b" " * 64 * 1024, UnsuitablePackageError),
    (lambda _gateway: b"not JSON", PackageMalformedError),
]


@pytest.mark.parametrize(("content", "refusal"), BAD)
def test_what_is_no_package_for_this_device_today_is_refused(
    protected: SimulatedAgent,
    gateway: SimulatedGateway,
    file: Path,
    content: Callable[[SimulatedGateway], bytes],
    refusal: type[Exception],
) -> None:
    file.write_bytes(content(gateway))

    with pytest.raises(refusal):
        opened(protected, file)

    assert protected.enforcer.now == {FIREWALL: "on"}


def test_it_expires_by_trusted_time_whatever_the_clock_says(
    protected: SimulatedAgent, gateway: SimulatedGateway, file: Path
) -> None:
    gateway.clock.advance(days=8)
    gateway.assign()
    protected.check_in()
    protected.clock.at -= timedelta(days=8)

    with pytest.raises(PackageExpiredError):
        opened(protected, file)


def test_a_package_made_for_this_very_device_lets_it_go(
    protected: SimulatedAgent, gateway: SimulatedGateway, file: Path
) -> None:
    file.write_bytes(gateway.offboarding_bytes(device_ids=(gateway.device.id,)))

    assert opened(protected, file).package.device_ids == (gateway.device.id,)


@pytest.mark.parametrize("mode", [0o666, 0o664, 0o602])
def test_a_file_that_others_may_write_is_refused(protected: SimulatedAgent, file: Path, mode: int) -> None:
    file.chmod(mode)

    with pytest.raises(UnsuitablePackageError, match="writable"):
        opened(protected, file)


def test_a_link_and_a_directory_are_refused(protected: SimulatedAgent, file: Path) -> None:
    link = file.with_name("link.json")
    link.symlink_to(file)

    for path in (link, file.parent, file.with_name("not there")):
        with pytest.raises(UnsuitablePackageError):
            opened(protected, path)


def test_no_package_is_good_for_longer_than_thirty_days(gateway: SimulatedGateway) -> None:
    with pytest.raises(ValueError, match="30 days"):
        gateway.offboarding_bytes(not_after=moments.write(gateway.clock.now() + timedelta(days=31)))


def test_the_same_machine_comes_back_as_a_new_device(protected: SimulatedAgent, gateway: SimulatedGateway) -> None:
    first = protected.state.get_identity()
    gateway.device.leaving = True
    protected.check_in()

    second = protected.onboard()

    assert second.device_id != first.device_id
    assert second.instance_id != first.instance_id
    assert protected.state.find_leaving(second.device_id) is None
    assert not protected.check_in().left


def _lost(path: str) -> None:
    raise GatewayUnreachableError(f"Nothing came back from {path}.")


def by_order(laptop: SimulatedAgent, gateway: SimulatedGateway) -> None:
    """Leave by order, as the service does it: whatever is left when it starts again goes on."""
    if laptop.state.find_identity() is None:
        return
    for device in gateway.devices.values():
        device.leaving = True
    laptop.restart()
    laptop.check_in()


def by_package(laptop: SimulatedAgent, gateway: SimulatedGateway) -> None:
    """Leave by package; after an interruption the service goes on, or the person tries again."""
    if laptop.state.find_identity() is None:
        return
    laptop.restart()
    enrolled = laptop.enrolled()
    if enrolled.offboard.is_due():
        enrolled.check_in()
        return
    path = laptop.directory.with_name("offboarding.json")
    path.write_bytes(gateway.offboarding_bytes())
    path.chmod(0o600)
    enrolled.offboard(package=opened(laptop, path))


def _a_device(directory: Path) -> tuple[SimulatedAgent, SimulatedGateway]:
    gateway = SimulatedGateway()
    laptop = SimulatedAgent(directory=directory / "state", gateway=gateway, clock=gateway.clock)
    return managed(laptop, gateway), gateway


def _attach(laptop: SimulatedAgent, fault: Fault) -> None:
    laptop.disk.step = fault
    laptop.enforcer.step = fault


def _is_gone(laptop: SimulatedAgent, gateway: SimulatedGateway) -> None:
    assert laptop.enforcer.now == {FIREWALL: "off"}
    (old,) = gateway.devices.values()
    assert old.offboarded
    second = laptop.onboard()
    assert second.device_id != old.id, "whatever was left of the old identity, it is a new device"
    laptop.check_in()
    assert [path.name for path in (laptop.directory / "policies").glob("*")] == []
    assert not (laptop.directory / "leaving.json").exists()


@pytest.mark.parametrize("leave", [by_order, by_package])
@pytest.mark.parametrize(
    ("error", "named"),
    [(killed, ("",)), (disk_full, ("write ", "release"))],
    ids=["killed", "disk full"],
)
def test_every_step_of_a_departure_may_be_the_last(
    tmp_path_factory: pytest.TempPathFactory,
    leave: Callable[[SimulatedAgent, SimulatedGateway], None],
    error: Callable[[str], BaseException],
    named: tuple[str, ...],
) -> None:
    laptop, gateway = _a_device(tmp_path_factory.mktemp("count"))
    counting = Fault(error=error, named=named)
    _attach(laptop, counting)
    leave(laptop, gateway)
    total = len(counting.seen)
    assert total >= 5
    for number in range(total):
        laptop, gateway = _a_device(tmp_path_factory.mktemp("last"))
        _attach(laptop, Fault(error=error, at=number, named=named))

        with pytest.raises((KilledError, DiskFullError)):
            leave(laptop, gateway)
        assert laptop.enforcer.now in ({FIREWALL: "on"}, {FIREWALL: "off"})
        leave(laptop, gateway)

        _is_gone(laptop, gateway)


@pytest.mark.parametrize("leave", [by_order, by_package])
@pytest.mark.parametrize("lost", ["request", "answer"])
def test_the_goodbye_and_its_answer_may_be_lost(
    protected: SimulatedAgent,
    gateway: SimulatedGateway,
    leave: Callable[[SimulatedAgent, SimulatedGateway], None],
    lost: str,
) -> None:
    fault = Fault(error=GatewayUnreachableError, at=0, named=(_offboard_path(gateway),))
    if lost == "request":
        protected.network.before = fault
    else:
        protected.network.after = fault

    with pytest.raises(GatewayUnreachableError):
        leave(protected, gateway)
    leave(protected, gateway)

    assert len(fault.seen) == 2
    _is_gone(protected, gateway)


def _offboard_path(gateway: SimulatedGateway) -> str:
    (device,) = gateway.devices.values()
    return f"/{gateway.root.tenant_id}/EnrollmentServer/device/{device.id}/offboard"


def test_a_refused_departure_changes_nothing_at_all(protected: SimulatedAgent) -> None:
    before = {path.name: path.read_bytes() for path in protected.directory.rglob("*") if path.is_file()}

    with pytest.raises(TamperProtectedError):
        protected.enrolled().offboard()

    after = {path.name: path.read_bytes() for path in protected.directory.rglob("*") if path.is_file()}
    assert before == {name: content for name, content in after.items() if name in before}
    assert len(after) == len(before) + 1, "the attempt alone is new"
