"""The list of devices: columns, order, views, what is done to many, and the file of it."""

from __future__ import annotations

import re
import time
from html import unescape
from typing import Any

import pytest
from tests.support.admin import PUBLIC_URL, AdminWorld, Client
from tests.support.samples import device_id

from shieldwall.contract.ids import DeviceId
from shieldwall.server.inventory import machines
from shieldwall.server.inventory.machine_queries import InvalidMachineQueryError
from shieldwall.server.portal.devices.asking import read_query
from shieldwall.server.portal.devices.device_words import COLUMNS
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.inventory.inventory_windows import Effort


def join(world: AdminWorld, number: int, **changes: object) -> DeviceId:
    with world.writing() as connection:
        return world.manager.join(connection, number, **changes)


def shown(page: str) -> list[str]:
    return re.findall(r'<a href="/devices/[0-9a-f-]{36}"><bdi>([^<]*)</bdi>', page)


def token_of(client: Client) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', client.get("/devices").text)
    assert found is not None
    return found[1]


def sends(client: Client, path: str, **fields: str) -> Any:
    return client.post(path, data={"csrf": token_of(client), **fields}, headers={"Origin": PUBLIC_URL})


def finished(client: Client, path: str) -> str:
    """The page of a piece of work that is over."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        page = client.get(path).text
        if "<progress" not in page:
            return page
    raise AssertionError("the work does not end")


def state_of(world: AdminWorld, number: int) -> DeviceState:
    with world.services.database.read() as connection:
        return devices.get(connection, device_id(number)).state


def test_an_address_is_read_and_written_alike() -> None:
    for query in ("search=a+b&tag=x&tag=y", "health=active&sort=os&descending=true&column=name&column=os", ""):
        assert read_query(query).query == query
    assert read_query("search=&health=active").query == "health=active"
    with pytest.raises(InvalidMachineQueryError):
        read_query("after=")
    asked = read_query("tag=x&tag=y&sort=name&after=here")
    assert asked.without("tag", "x") == "tag=y&sort=name"
    assert asked.here().after is None
    name = COLUMNS[0]
    assert asked.sorted_by(name) == "tag=x&tag=y&sort=name&descending=true"
    assert read_query(asked.sorted_by(name)).sorted_by(name) == asked.query


def test_every_column_sorts_and_says_so(world: AdminWorld, ada: Client) -> None:
    join(world, 1, display_name="b")
    join(world, 2, display_name="a")
    for column in COLUMNS:
        page = ada.get(f"/devices?sort={column.sort.value}&descending=true&column={column.name}").text
        assert sorted(shown(page)) == ["a", "b"]
        assert page.count('aria-sort="descending"') == 1, column
        assert page.count('<th scope="col"') == (2 if column is COLUMNS[0] else 3)


def test_a_filter_that_is_set_can_be_taken_away(world: AdminWorld, ada: Client) -> None:
    join(world, 1, display_name="web", tags=("edge",))

    page = ada.get("/devices?tag=edge&health=active").text

    assert 'href="/devices?health=active" aria-label="Remove the filter Tag"' in page
    assert 'href="/devices?tag=edge" aria-label="Remove the filter Health"' in page


def test_a_view_is_kept_for_its_person_alone(world: AdminWorld, ada: Client) -> None:
    answer = sends(ada, "/devices/views", name="Edge", query="tag=edge&sort=os&after=x")

    assert (answer.status_code, answer.headers["location"]) == (303, "/devices?tag=edge&sort=os")
    page = ada.get("/devices").text
    assert '<a href="/devices?tag=edge&amp;sort=os"><bdi>Edge</bdi></a>' in page
    assert "View: Edge" in ada.get("/devices?tag=edge&sort=os").text
    with world.client() as other:
        world.sign_in(other, "Grace")
        assert "Edge" not in other.get("/devices").text
        view = re.search(r'name="view" value="([^"]+)"', page)
        assert view is not None
        assert sends(other, "/devices/views/remove", view=view[1]).status_code == 404
    assert sends(ada, "/devices/views", name="Edge", query="").status_code == 303, "the same name, another view"
    assert ada.get("/devices").text.count("<bdi>Edge</bdi>") == 1
    assert sends(ada, "/devices/views", name=" ", query="").status_code == 400
    assert sends(ada, "/devices/views", name="x", query="colour=red").status_code == 400
    assert sends(ada, "/devices/views/remove", view=view[1]).status_code == 303
    assert "Edge" not in ada.get("/devices").text


def test_many_devices_are_asked_first_and_then_done_with(world: AdminWorld, ada: Client) -> None:
    for number in (1, 2, 3):
        join(world, number, tags=("old",) if number < 3 else ())
    with world.writing() as connection:
        for number in (1, 2, 3):
            check_ins.clear_sync(connection, device_id(number))
    ids = " ".join(device_id(number) for number in (1, 2))

    asking = ada.get(f"/devices/bulk/sync?device={device_id(1)}&device={device_id(2)}").text
    assert "This is about 2 devices." in asking
    answer = sends(ada, "/devices/bulk/sync", devices=ids, count="2")
    assert answer.status_code == 303
    finished(ada, answer.headers["location"])
    with world.services.database.read() as connection:
        asked = [check_ins.get(connection, device_id(n)).sync_requested_at is not None for n in (1, 2, 3)]
    assert asked == [True, True, False]

    asking = ada.get("/devices/bulk/tags?all=true&fitting=tag%3Dold").text
    assert "This is about 2 devices." in asking
    assert sends(ada, "/devices/bulk/tags", fitting="tag=old").status_code == 400, "no tag was entered"
    answer = sends(ada, "/devices/bulk/tags", fitting="tag=old", add="new", remove="old")
    finished(ada, answer.headers["location"])
    with world.services.database.read() as connection:
        tags = [devices.get(connection, device_id(number)).tags for number in (1, 2, 3)]
    assert tags == [("new",), ("new",), ()]


def test_offboarding_many_wants_their_number(world: AdminWorld, ada: Client) -> None:
    for number in (1, 2):
        join(world, number)
    ids = " ".join(device_id(number) for number in (1, 2))

    assert sends(ada, "/devices/bulk/offboard", devices=ids, count="2", number="1").status_code == 400
    assert state_of(world, 1) is DeviceState.ACTIVE
    answer = sends(ada, "/devices/bulk/offboard", devices=ids, count="2", number="2")
    finished(ada, answer.headers["location"])

    assert {state_of(world, 1), state_of(world, 2)} == {DeviceState.LEAVING}


def test_with_whom_it_could_not_be_done_stands_in_a_file(world: AdminWorld, ada: Client) -> None:
    join(world, 1)
    join(world, 2, state=DeviceState.DISABLED)

    answer = sends(ada, "/devices/bulk/sync", devices=f"{device_id(1)} {device_id(2)}")
    page = finished(ada, answer.headers["location"])
    told = ada.get(f"{answer.headers['location']}/file").text

    assert "not-done.csv" in page
    assert told.startswith("\ufeffid,cause,remedy\r\n"), "spreadsheets take it for UTF-8"
    assert device_id(2) in told
    assert device_id(1) not in told
    assert sends(ada, "/devices/bulk/sync", devices="").status_code == 400
    assert sends(ada, "/devices/bulk/sync", devices=device_id(77)).status_code in {303, 404}


def test_an_export_is_work_that_ends_in_a_file(world: AdminWorld, ada: Client) -> None:
    join(world, 1, display_name="=cmd()")
    join(world, 2, display_name="other")

    answer = sends(ada, "/devices/export", kind="csv", query="search=cmd")
    page = finished(ada, answer.headers["location"])
    file = ada.get(f"{answer.headers['location']}/file")

    assert "Export of devices" in unescape(page)
    assert file.headers["content-disposition"].startswith("attachment")
    assert "'=cmd()" in file.text
    assert "other" not in file.text
    assert sends(ada, "/devices/export", kind="xml", query="").status_code == 400


def test_a_large_fleet_is_looked_through_in_parts_that_lead_on(
    world: AdminWorld, ada: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, name in enumerate(("alpha", "beta", "gamma", "webber", "my-web"), 1):
        join(world, number, display_name=name)
    monkeypatch.setattr(machines, "LARGE", 2)
    monkeypatch.setattr(machines, "EFFORT", Effort(columns=2, beside=2))

    beginning = ada.get("/devices?search=web").text
    assert shown(beginning) == ["webber"]
    assert "Search everywhere in all devices" in beginning
    page, found, pages = ada.get("/devices?search=web&after=*").text, list[str](), 1
    while following := re.search(r'href="(/devices\?[^"]*)" rel="next"', page):
        assert "The next page looks further" in page
        found += shown(page)
        page, pages = ada.get(unescape(following[1])).text, pages + 1
    assert "All devices have been looked through." in page
    assert [*found, *shown(page)] == ["my-web", "webber"]
    assert pages > 2
