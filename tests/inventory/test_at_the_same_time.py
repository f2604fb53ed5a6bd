"""Two at one device at the same moment: neither undoes what the other did. On both engines, with two connections."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, cast

import pytest
from sqlalchemy import Connection
from tests.inventory.test_promotion import Laptop, directory, laptop
from tests.support.gate import Gate
from tests.support.other_directory import OtherDirectory
from tests.support.samples import TENANT_ID, device_id

from shieldwall.catalog.model import Catalog
from shieldwall.contract import strict_json
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId
from shieldwall.contract.messages import CheckInRequest, DeviceFacts, Have
from shieldwall.server.directory import registrations
from shieldwall.server.directory.deletion import delete_device
from shieldwall.server.directory.devices import change_tags, rename, retire, set_enabled
from shieldwall.server.directory.registration import DuplicateKeyError
from shieldwall.server.directory.registrations import RegistrationDraft, RegistrationInUseError
from shieldwall.server.inventory.offboarding import order_to_leave
from shieldwall.server.inventory.promotion import NotSyntheticError
from shieldwall.server.manager.check_in import CheckIn
from shieldwall.server.manager.turns import CallingDevice
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.errors import NotFoundError

__all__ = ["directory", "laptop"]

Act = Callable[[Connection], Any]


def both(gate: Gate, first: Act, second: Act) -> BaseException | None:
    """Do the first, let the second begin before that is committed, and return how the second failed, if it did."""
    failures: list[BaseException] = []

    def follow() -> None:
        try:
            with gate.database.write() as connection:
                second(connection)
        except ShieldwallError as error:
            failures.append(error)

    follower = threading.Thread(target=follow)
    with gate.database.write() as connection:
        first(connection)
        follower.start()
        time.sleep(0.3)  # by now it has read all that it reads before it has to wait
    follower.join()
    return failures[0] if failures else None


def sends_facts(gate: Gate, device: DeviceId) -> Act:
    present = gate.device(device)
    caller = CallingDevice(id=device, tenant_id=TENANT_ID, key=present.key_thumbprint)
    unused = cast("Any", None)
    act = CheckIn(
        signers=unused,
        clock=gate.office.clock,
        acting_for=lambda _: gate.office.acting,
        catalog=lambda: cast("Catalog", unused),
    )
    request = CheckInRequest(
        seq=1,
        epoch=1,
        instance_id="0" * 32,
        boot_id="",
        agent_version="0.1.0",
        protocol=1,
        have=Have(),
        facts=DeviceFacts(display_name="said", os_type="Linux", os_version="Debian 13"),
    )
    return lambda connection: act.record(connection, caller, request, strict_json.digest_of(request))


def disables(gate: Gate, device: DeviceId) -> Act:
    return lambda connection: set_enabled(connection, gate.office.acting, device, enabled=False)


def tags(gate: Gate, device: DeviceId) -> Act:
    return lambda connection: change_tags(connection, gate.office.acting, device, add=["web"])


def orders(gate: Gate, device: DeviceId) -> Act:
    return lambda connection: order_to_leave(connection, gate.office.acting, device)


def retires(gate: Gate, device: DeviceId) -> Act:
    return lambda connection: retire(connection, gate.office.acting, device)


def renames(gate: Gate, device: DeviceId) -> Act:
    return lambda connection: rename(connection, gate.office.acting, device, "told")


def deletes(gate: Gate, device: DeviceId) -> Act:
    return lambda connection: delete_device(connection, gate.office.acting, device)


@pytest.fixture
def device(gate: Gate) -> DeviceId:
    return gate.receives(gate.newcomer().asks(gate.nonce())).device_id


@pytest.mark.parametrize(
    ("stops", "state"),
    [(disables, DeviceState.DISABLED), (orders, DeviceState.LEAVING), (retires, DeviceState.RETIRED)],
)
@pytest.mark.parametrize("other", [tags, renames, sends_facts])
def test_what_stops_a_device_is_not_undone_by_who_began_before(
    gate: Gate, device: DeviceId, stops: Any, state: DeviceState, other: Any
) -> None:
    assert both(gate, stops(gate, device), other(gate, device)) is None or other is sends_facts

    assert gate.device(device).state is state


def test_a_tag_stays_whatever_else_is_changed(gate: Gate, device: DeviceId) -> None:
    assert both(gate, tags(gate, device), disables(gate, device)) is None

    found = gate.device(device)
    assert found.state is DeviceState.DISABLED
    assert "web" in found.tags


def test_whoever_is_deleted_is_not_written_to(gate: Gate, device: DeviceId) -> None:
    assert isinstance(both(gate, deletes(gate, device), tags(gate, device)), NotFoundError)


@pytest.mark.parametrize("stops", [disables, orders, retires])
def test_nobody_is_promoted_out_of_what_an_administrator_did(laptop: Laptop, stops: Any) -> None:
    gate, asked = laptop.gate, laptop.asks()
    promotes = lambda connection: laptop.promotion(connection, laptop.synthetic, asked)  # noqa: E731

    assert isinstance(both(gate, stops(gate, laptop.synthetic), promotes), NotSyntheticError)

    assert gate.device(laptop.synthetic).state is not DeviceState.ACTIVE


def test_one_registration_lets_one_device_in(gate: Gate, directory: OtherDirectory) -> None:
    shared = device_id(78)
    holder = directory.holder(shared)
    with gate.database.write() as connection:
        draft = RegistrationDraft(device_id=shared, display_name="shared", certificate=holder.presented)
        registrations.import_registration(connection, gate.office.acting, draft)
    former = gate.receives(gate.newcomer().asks(gate.nonce(), existing=holder))
    with gate.database.write() as connection:
        retire(connection, gate.office.acting, former.device_id)
    comers = [gate.newcomer() for _ in range(2)]

    def comes(number: int) -> Act:
        request = comers[number].asks(gate.nonce(), existing=holder)
        return lambda connection: gate.onboards(connection, request)

    failure = both(gate, comes(0), comes(1))

    assert isinstance(failure, RegistrationInUseError | DuplicateKeyError)
    with gate.database.read() as connection:
        assert devices.get(connection, shared).key_thumbprint == comers[0].key.thumbprint
