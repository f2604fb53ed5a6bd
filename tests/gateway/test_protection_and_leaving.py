"""Tamper protection and offboarding between the real agent and the real gateway, over TLS, on both engines."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.gateway.test_device_life import publish
from tests.support.databases import migrated_database_url
from tests.support.gateway_device import FACTS, GatewayDevice, digest_of
from tests.support.gateway_world import GatewayWorld, gateway_world, until
from tests.support.life import LifeProducts
from tests.support.simulated_agent import MemoryMachine
from tests.support.simulated_applier import pretend_enforcer

from shieldwall.agent.journal import Journal
from shieldwall.agent.service.assembly import Surroundings
from shieldwall.agent.service.disk import LocalDisk
from shieldwall.agent.service.errors import NotOnboardedError, TamperProtectedError
from shieldwall.agent.service.package_file import read_offboarding
from shieldwall.agent.service.state import AgentState
from shieldwall.agent.service.transport import HttpsTransport, tls_context
from shieldwall.agent.service.waiting import Wake
from shieldwall.contract import strict_json
from shieldwall.contract.ids import DeviceId
from shieldwall.contract.messages import Have, OffboardRequest, TamperAttempt
from shieldwall.contract.status import StatusReport
from shieldwall.contract.target import ORDER_TO_LEAVE
from shieldwall.policy.protection import ProtectionSettings
from shieldwall.server.inventory.offboarding import order_to_leave
from shieldwall.server.inventory.offboarding_packages import OffboardingDraft, create_package
from shieldwall.server.manager.protection import replace_settings, start_troubleshooting
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import Device, DeviceState
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.events import alerts, audit
from shieldwall.server.storage.events.alerts import Alert
from shieldwall.server.storage.groups import group_members
from shieldwall.server.storage.records import Page

__all__ = ["migrated_database_url"]


@pytest.fixture
def world(tmp_path: Path, migrated_database_url: str) -> Iterator[GatewayWorld]:
    with gateway_world(tmp_path / "data", migrated_database_url) as made:
        yield made


class Laptop:
    """A device as it ships, with products of its own."""

    def __init__(self, world: GatewayWorld, directory: Path) -> None:
        self.world, self.products = world, LifeProducts()
        self.before = dict(self.products.now)
        self.surroundings = Surroundings(
            state=AgentState(directory=directory, disk=LocalDisk()),
            open_transport=lambda server: HttpsTransport(
                context=tls_context(server.tls_roots), monotonic=time.monotonic, proxy=server.proxy
            ),
            machine=MemoryMachine(),
            enforcer=pretend_enforcer(self.products, MemoryMachine(), directory / "applier", world.clock),
            clock=world.clock,
            randomness=os.urandom,
            journal=Journal(out=io.StringIO(), clock=world.clock),
        )
        self.onboard()

    def onboard(self) -> None:
        authority = self.world.settings.tls_authority.read_text()
        package = replace(self.world.package(), tls_roots=(authority,))
        self.id = self.surroundings.onboard()(package).device_id

    def check_in(self) -> bool:
        return self.surroundings.enrolled().check_in().left

    def record(self) -> Device:
        with self.world.services.database.read() as connection:
            return devices.get(connection, self.id)


@pytest.fixture
def laptop(world: GatewayWorld, tmp_path: Path) -> Laptop:
    publish(world)
    made = Laptop(world, tmp_path / "device")
    made.check_in()
    assert made.products.now != made.before
    return made


def protect(world: GatewayWorld) -> None:
    with world.services.database.write() as connection:
        replace_settings(connection, world.acting, ProtectionSettings(enabled=True))


def open_alerts(world: GatewayWorld) -> dict[str, Alert]:
    with world.services.database.read() as connection:
        found = alerts.list_alerts(connection, world.settings.tenant_id, Page(), is_open=True)
    return {alert.kind: alert for alert in found}


def audited(world: GatewayWorld, device_id: DeviceId) -> dict[str, str]:
    with world.services.database.read() as connection:
        events = audit.list_events(connection, world.settings.tenant_id, Page(), object_id=device_id)
    return {event.activity: event.details for event in events}


def test_a_protected_device_repairs_refuses_to_leave_and_tells(world: GatewayWorld, laptop: Laptop) -> None:
    protect(world)
    laptop.check_in()
    enforced = dict(laptop.products.now)
    for name in enforced:
        laptop.products.now[name] = "something else"

    with pytest.raises(TamperProtectedError):
        laptop.surroundings.enrolled().offboard()
    assert laptop.surroundings.enrolled().enforcement.refresh()
    laptop.check_in()

    assert laptop.products.now == enforced
    found = open_alerts(world)
    assert found.keys() == {"tamper.settingChanged", "tamper.offboardRefused"}
    assert found["tamper.offboardRefused"].device_id == laptop.id
    assert laptop.record().state is DeviceState.ACTIVE


def test_time_for_troubleshooting_reaches_the_device_and_runs_out_there(world: GatewayWorld, laptop: Laptop) -> None:
    protect(world)
    with world.services.database.write() as connection:
        start_troubleshooting(connection, world.acting, laptop.id, window=timedelta(hours=1))
    laptop.check_in()
    enforced = dict(laptop.products.now)
    name = next(iter(enforced.keys() - laptop.before.keys()))
    laptop.products.now[name] = "tried by hand"

    world.clock.forward(minutes=59)
    laptop.surroundings.enrolled().enforcement.refresh()
    assert laptop.products.now[name] == "tried by hand"
    world.clock.forward(minutes=2)
    laptop.surroundings.enrolled().enforcement.refresh()

    assert laptop.products.now == enforced
    laptop.check_in()
    assert open_alerts(world) == {}


def test_an_order_to_leave_wakes_the_device_and_is_carried_out(world: GatewayWorld, laptop: Laptop) -> None:
    protect(world)
    laptop.check_in()
    with world.services.database.read() as connection:
        before = check_ins.get(connection, laptop.id)
    with world.services.database.write() as connection:
        order_to_leave(connection, world.acting, laptop.id)
        order_to_leave(connection, world.acting, laptop.id)
    assert laptop.record().state is DeviceState.LEAVING
    assert laptop.surroundings.enrolled().policy_sync.wait(5) is Wake.SYNC

    assert laptop.check_in()

    assert laptop.products.now == laptop.before
    assert laptop.record().state is DeviceState.RETIRED
    with pytest.raises(NotOnboardedError):
        laptop.surroundings.enrolled()
    with world.services.database.read() as connection:
        after = check_ins.get(connection, laptop.id)
        assert group_members.memberships(connection, [laptop.id])[laptop.id] == frozenset()
    assert after.status_digest == before.status_digest, "the last report stays"
    told = audited(world, laptop.id)
    assert {"device.registered", "device.leavingOrdered", "device.saidGoodbye", "device.offboarded"} <= told.keys()
    assert '"by":"order"' in told["device.saidGoodbye"]
    assert open_alerts(world) == {}


def test_a_package_lets_a_protected_device_go_and_the_audit_trail_names_it(
    world: GatewayWorld, laptop: Laptop, tmp_path: Path
) -> None:
    protect(world)
    laptop.check_in()
    with world.services.database.write() as connection:
        draft = OffboardingDraft(display_name="For the branch", device_ids=(laptop.id,))
        record, envelope = create_package(connection, world.acting, world.services.signer, draft)
    file = tmp_path / "offboarding.json"
    file.write_bytes(strict_json.encode(envelope))
    file.chmod(0o600)
    enrolled = laptop.surroundings.enrolled()
    opened = read_offboarding(file, enrolled.identity, "linux", world.clock.now())

    enrolled.offboard(reason="the branch closes", package=opened)

    assert laptop.products.now == laptop.before
    assert laptop.record().state is DeviceState.RETIRED
    told = audited(world, laptop.id)
    assert json.loads(told["device.saidGoodbye"]) | {"name": ""} == {"by": "package", "name": "", "package": record.id}
    assert open_alerts(world) == {}


def test_the_same_machine_comes_back_as_another_device(laptop: Laptop) -> None:
    first = laptop.id
    laptop.surroundings.enrolled().offboard()
    laptop.onboard()

    assert laptop.id != first
    assert not laptop.check_in()
    assert laptop.products.now != laptop.before


def test_who_does_not_wait_retires_at_once_and_the_device_goes_when_it_hears(
    world: GatewayWorld, laptop: Laptop
) -> None:
    with world.services.database.write() as connection:
        order_to_leave(connection, world.acting, laptop.id)
    envelope_taken = laptop.surroundings.enrolled()
    envelope_taken.check_in.check_in.attempts.note("offboardRefused", "nothing of a leaving device is taken")
    with world.services.database.write() as connection:
        assert order_to_leave(connection, world.acting, laptop.id, force=True).state is DeviceState.RETIRED
    device = laptop.record()

    with pytest.raises(Exception, match="The server answered"):
        laptop.check_in()

    assert laptop.record() == device
    assert open_alerts(world) == {}


@pytest.fixture
def device(world: GatewayWorld) -> GatewayDevice:
    """A device without an agent, to say what no agent would."""
    speaking = GatewayDevice(world)
    assert speaking.register().status == 201
    assert speaking.check_in(facts=FACTS).status in {200, 204}
    return speaking


def attempt(number: int = 1, **changes: str) -> TamperAttempt:
    return replace(
        TamperAttempt(at="2026-11-23T12:00:00Z", kind="settingChanged", subject=f"setting {number}"), **changes
    )


def test_however_often_it_happens_one_kind_is_one_alert(world: GatewayWorld, device: GatewayDevice) -> None:
    for _ in range(3):
        assert device.check_in(attempts=tuple(attempt(number) for number in range(64))).status in {200, 204}
    device.check_in(attempts=(attempt(kind="agentFileChanged"),))

    found = open_alerts(world)
    assert found.keys() == {"tamper.settingChanged", "tamper.agentFileChanged"}
    assert found["tamper.settingChanged"].times == 3 * 64
    shown = json.loads(found["tamper.settingChanged"].details)["attempts"]
    assert [each["subject"] for each in shown] == [f"setting {number}" for number in range(44, 64)]
    with world.services.database.write() as connection:
        alerts.resolve(connection, found["tamper.settingChanged"].id, by="Ada", at=world.clock.now())
    device.check_in(attempts=(attempt(),))
    assert open_alerts(world)["tamper.settingChanged"].times == 1


def test_the_same_check_in_again_raises_nothing_twice(world: GatewayWorld, device: GatewayDevice) -> None:
    request = device.check_in_request(attempts=(attempt(),))
    for _ in range(3):
        assert device.send("/device/v1/checkin", request).status in {200, 204}

    assert open_alerts(world)["tamper.settingChanged"].times == 1


@pytest.mark.parametrize(
    "attempts",
    [
        [{"at": "now", "kind": "somethingElse", "subject": "x"}],
        [{"at": "2026-11-23T12:00:00Z" * 2, "kind": "settingChanged", "subject": "x"}],
        [{"at": "now", "kind": "settingChanged", "subject": "x" * 513}],
        [{"at": "now", "kind": "settingChanged", "subject": "x"}] * 65,
    ],
)
def test_attempts_that_are_none_are_refused(
    world: GatewayWorld, device: GatewayDevice, attempts: list[dict[str, str]]
) -> None:
    message = json.loads(device.check_in_request()) | {"attempts": attempts}

    assert device.send("/device/v1/checkin", json.dumps(message).encode()).status == 400
    assert open_alerts(world) == {}


def test_nothing_is_taken_from_a_device_that_shall_leave(world: GatewayWorld, device: GatewayDevice) -> None:
    with world.services.database.write() as connection:
        order_to_leave(connection, world.acting, device.device_id)
        before = devices.get(connection, device.device_id)

    reply = device.check_in(
        facts=replace(FACTS, display_name="renamed"),
        report=StatusReport(),
        attempts=(attempt(),),
        have=Have(facts=digest_of(replace(FACTS, display_name="renamed"))),
    )

    assert reply.status == 200
    assert "want" not in reply.json
    with world.services.database.read() as connection:
        assert devices.get(connection, device.device_id) == before
        assert check_ins.get(connection, device.device_id).status_digest is None
    assert open_alerts(world) == {}
    assert device.check_in(have=Have(target=ORDER_TO_LEAVE)).status == 204


def test_a_goodbye_without_leave_from_a_protected_device_is_taken_with_alarm(
    world: GatewayWorld, device: GatewayDevice
) -> None:
    protect(world)
    other_package = "aaaaaaaa-0000-4000-8000-000000000001"
    goodbye = OffboardRequest(**device.numbered(), reason="bye", package_id=other_package)  # type: ignore[arg-type]  # members of a mapping

    reply = device.send(f"{device.enrollment}/device/{device.device_id}/offboard", goodbye)

    assert reply.status == 204
    found = open_alerts(world)
    assert found.keys() == {"tamper.leftWhileProtected"}
    assert '"package":null' in audited(world, device.device_id)["device.saidGoodbye"]
    assert device.check_in().status == 401


def test_nobody_waits_for_a_device_that_never_comes(world: GatewayWorld, device: GatewayDevice) -> None:
    with world.services.database.write() as connection:
        order_to_leave(connection, world.acting, device.device_id)
    world.clock.forward(days=90)

    with world.services.database.read() as connection:
        assert devices.get(connection, device.device_id).state is DeviceState.LEAVING
    with world.services.database.write() as connection:
        order_to_leave(connection, world.acting, device.device_id, force=True)
    until(lambda: device.check_in().status == 401)
