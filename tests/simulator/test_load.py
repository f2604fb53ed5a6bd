"""Devices that exist only here, at a gateway that runs: served, counted, and nothing acknowledged is lost."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import update
from tests.support.gateway_world import GatewayWorld, gateway_world
from typer.testing import CliRunner

from shieldwall.contract.ids import Digest
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.tables.device_schema import check_ins
from shieldwall.simulator.chance import chance_of
from shieldwall.simulator.load.client import Answered, Client
from shieldwall.simulator.load.devices import LoadDevice
from shieldwall.simulator.load.driving import Drive, Manner, Tally
from shieldwall.simulator.load.enrolling import InTables, by_api
from shieldwall.simulator.load.processes import cpu_seconds
from shieldwall.simulator.main import app


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayWorld]:
    with gateway_world(tmp_path_factory.mktemp("load") / "server") as made:
        yield made


def tables(world: GatewayWorld) -> InTables:
    return InTables(world.settings, "seed", world.clock)


def drive(world: GatewayWorld, manner: Manner) -> Drive:
    client = Client(host="127.0.0.1", port=world.settings.gateway_port, server_name="localhost", tls=world.tls)
    return Drive(
        client=client,
        authority=world.authority,
        chance=chance_of(1, "load"),
        manner=manner,
        wall=lambda: world.clock.now().timestamp(),
        most_at_once=16,
    )


def herd(world: GatewayWorld, fleet: list[LoadDevice], manner: Manner) -> Drive:
    driven = drive(world, manner)
    asyncio.run(driven.herd(fleet, within=0.2, most_seconds=60.0))
    return driven


def test_a_herd_in_the_tables_is_served_and_no_report_is_lost(world: GatewayWorld) -> None:
    told: list[int] = []
    fleet = tables(world).enrol(24, told.append)

    first = herd(world, fleet, Manner(reports=1.0, repeated=0.3))
    later = herd(world, fleet, Manner(reports=0.5))

    assert told == [24]
    for driven in (first, later):
        assert driven.tally.served == set(range(1, 25))
        assert set(driven.tally.answers) <= {"200", "204"}
    assert first.tally.reports == 24
    assert tables(world).lost(fleet) == 0
    assert all(device.acknowledged for device in fleet)


def test_devices_that_are_there_already_go_on_counting(world: GatewayWorld) -> None:
    before = tables(world).enrol(3, lambda _made: None)
    herd(world, before, Manner())

    again = tables(world).enrol(3, lambda _made: None)
    driven = herd(world, again, Manner())

    assert [each.seq for each in again] == [each.seq + 1 for each in before]
    assert set(driven.tally.answers) <= {"200", "204"}


def test_an_acknowledged_report_that_is_not_there_is_counted_as_lost(world: GatewayWorld) -> None:
    fleet = tables(world).enrol(2, lambda _made: None)
    herd(world, fleet, Manner(reports=1.0))
    fleet[0].acknowledged = fleet[0].id.replace("-", "").ljust(64, "0")  # type: ignore[assignment]  # looks like one

    assert tables(world).lost(fleet) == 1


def test_a_report_of_which_only_the_name_is_there_is_lost(world: GatewayWorld) -> None:
    fleet = tables(world).enrol(2, lambda _made: None)
    herd(world, fleet, Manner(reports=1.0))
    nowhere = Digest("e" * 64)
    with closing(Database(world.settings.database)) as database:
        with database.write() as connection:
            connection.execute(
                update(check_ins).where(check_ins.c.device_id == fleet[0].id), {"status_digest": nowhere}
            )
        fleet[0].acknowledged = nowhere

        assert tables(world).lost(fleet) == 1


def test_what_is_served_while_others_are_sent_away_is_counted_by_seconds() -> None:
    tally = Tally()
    for second, statuses in ((3.2, (204, 204, 204)), (4.1, (204, 503)), (4.9, (200, 503, 503)), (6.0, (429,))):
        for status in statuses:
            tally.note(Answered(status, 0.1), second)
    tally.note(Answered(0, 0.1, failure="no answer in time"), 7.0)

    assert tally.served_while_busy() == [2, 0]
    assert tally.errors() == 0
    tally.note(Answered(502, 0.1), 7.0)
    assert tally.errors() == 1


def test_an_answer_that_nobody_heard_is_asked_for_again_by_the_same_number(world: GatewayWorld) -> None:
    (device,) = tables(world).enrol(1, lambda _made: None)
    body = device.body()
    driven = drive(world, Manner())

    async def twice() -> list[int]:
        now = world.clock.now().timestamp()
        await driven.client.send(device.wire(world.authority, body, now), deaf=True)
        await asyncio.sleep(0.2)
        return [(await driven.client.send(device.wire(world.authority, device.body(), now))).status]

    assert asyncio.run(twice())[0] in {200, 204}


def test_devices_onboard_by_the_api_as_agents_do_and_come_evenly(world: GatewayWorld) -> None:
    roots = (world.settings.tls_authority.read_text(),)
    package = msgspec.structs.replace(world.package(), tls_roots=roots)
    fleet = list(by_api(package, 2, world.clock))
    driven = drive(world, Manner())

    asyncio.run(driven.evenly(fleet, per_second=20.0, seconds=0.5))

    assert {each.number for each in fleet} == driven.tally.served
    assert set(driven.tally.answers) <= {"200", "204"}
    assert driven.tally.wait(0.99) >= driven.tally.wait(0.5) > 0


def test_nobody_who_listens_is_said_so() -> None:
    told = CliRunner().invoke(app, ["load", "--devices", "1", "--yes", "--json"])

    assert told.exit_code == 1
    assert json.loads(told.stderr)["error"]["code"] == "noServerNamed"


def test_the_processor_time_of_a_process_rises() -> None:

    before = cpu_seconds(os.getpid())
    until = time.process_time() + 0.05
    while time.process_time() < until:
        pass

    assert cpu_seconds(os.getpid()) > before
    assert cpu_seconds(2**22 + 1) == 0


def test_a_directory_without_a_server_is_refused(tmp_path: Path) -> None:
    told = CliRunner().invoke(app, ["load", "--data", str(tmp_path), "--yes"])

    assert told.exit_code == 1
    assert "notInitialised" in told.stderr
