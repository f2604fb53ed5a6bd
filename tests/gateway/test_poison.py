"""One device brings what breaks the work of the writer; those whose work is done with it hear nothing of that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from sqlalchemy import Connection, insert
from tests.support.gateway_device import GatewayDevice, digest_of
from tests.support.gateway_world import GatewayWorld, gateway_world
from tests.support.samples import a_tenant

from shieldwall.contract.status import StatusReport
from shieldwall.server.manager.check_in import CheckIn
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.tables.schema import tenants as table
from shieldwall.server.storage.tenants import tenants

OTHERS = 4
REPORT = StatusReport(settings=())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayWorld]:
    with gateway_world(tmp_path_factory.mktemp("server") / "data") as made:
        yield made


def stumbles(_connection: Connection) -> None:
    raise RuntimeError("nobody thought of that")


def breaks_a_rule_of_the_database(connection: Connection) -> None:
    connection.execute(insert(table).values(id=None))


def writes_and_stumbles(connection: Connection) -> None:
    tenants.add(connection, a_tenant(id="99999999-0000-4000-8000-000000000001", domain="poison.example"))
    raise RecursionError


@pytest.mark.parametrize("poison", [stumbles, breaks_a_rule_of_the_database, writes_and_stumbles])
def test_a_poisoned_report_hurts_nobody_else(
    world: GatewayWorld, monkeypatch: pytest.MonkeyPatch, poison: Callable[[Connection], None]
) -> None:
    sick, *healthy = (GatewayDevice(world) for _ in range(OTHERS + 1))
    assert {each.register().status for each in (sick, *healthy)} == {201}
    keep, tries = CheckIn._keep_report, list[int]()

    def poisoned(self: CheckIn, connection: Connection, caller: Any, report: StatusReport, known: Any) -> Any:
        if caller.id == sick.device_id:
            tries.append(1)
            poison(connection)
        return keep(self, connection, caller, report, known)

    monkeypatch.setattr(CheckIn, "_keep_report", poisoned)
    with ThreadPoolExecutor(OTHERS + 1) as devices:
        with world.services.database.write():  # so that they wait for the writer, and are taken together
            sent = [devices.submit(healthy[0].check_in, report=REPORT)]
            assert_all_wait(world, 1)  # it keeps the writer busy, and the others come meanwhile
            sent += [devices.submit(each.check_in, report=REPORT) for each in (sick, *healthy[1:])]
            assert_all_wait(world, OTHERS + 1)
        first, refused, *others = (each.result() for each in sent)
        taken = [first, *others]

    assert (refused.status, refused.code) == (500, "internalError")
    assert {reply.status for reply in taken} == {200}
    assert len(tries) == 2, "tried with the others, then in a savepoint of its own, and no more"
    with world.services.database.read() as connection:
        assert {check_ins.get(connection, each.device_id).status_digest for each in healthy} == {digest_of(REPORT)}
        assert check_ins.get(connection, sick.device_id).status_digest is None
        assert not [each for each in tenants.list_tenants(connection) if each.domain == "poison.example"]
    assert sick.check_in().status == 200, "without the report it is a device like any other"


def assert_all_wait(world: GatewayWorld, count: int) -> None:
    admission, pause = world.gateway.application.admission, Event()
    for _ in range(1_000):
        if admission.under_way >= count:
            return
        pause.wait(0.01)
    pytest.fail("they did not all come")
