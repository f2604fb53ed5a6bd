"""Endpoint security in the admin center: the list by type, one policy and its pages."""

from __future__ import annotations

import json
import re

import pytest
from sqlalchemy import Connection
from tests.portal.test_pages import ALL, assigned, reports, text_of, told
from tests.portal.test_scope import fields_of
from tests.support.admin import PUBLIC_URL, AdminWorld, Client
from tests.support.long_work import file_of
from tests.support.manager_world import CLOUD, DIAGNOSTIC, a_draft
from tests.support.samples import device_id

from shieldwall.contract.status import SettingState
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.storage.check_ins import standings
from shieldwall.server.storage.records import AssignmentKind, Policy


@pytest.fixture
def fleet(world: AdminWorld) -> Policy:
    """A policy of two settings on three devices, one of which has trouble with one setting."""
    with world.writing() as connection:
        fine, broken, _ = (world.manager.join(connection, number) for number in (1, 2, 3))
        policy = assigned(world, connection, "Baseline", cloud="true", diagnostic="1")
        good = told(CLOUD, SettingState.SUCCEEDED)
        reports(connection, fine, good, told(DIAGNOSTIC, SettingState.SUCCEEDED))
        reports(connection, broken, good, told(DIAGNOSTIC, SettingState.ERROR))
    return policy


def made(world: AdminWorld, connection: Connection, name: str) -> Policy:
    """A policy that is assigned to nobody."""
    return world.manager.policies.create(connection, world.manager.acting, a_draft(name))


def test_the_list_is_searched_narrowed_and_ordered(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        for name in ("Beta", "Alpha", "Gamma 100%"):
            made(world, connection, name)
        assigned(world, connection, "Delta")

    everything = text_of(ada.get("/policies").text)
    assert everything.index("Alpha") < everything.index("Beta") < everything.index("Delta") < everything.index("Gamma")
    backwards = text_of(ada.get("/policies?sort=-name").text)
    assert backwards.index("Gamma") < backwards.index("Alpha")
    found = text_of(ada.get("/policies?q=00%25").text)
    assert "Gamma" in found
    assert "Alpha" not in found
    unassigned = text_of(ada.get("/policies?assigned=no&type=endpointSecurityAntivirus&platform=linux").text)
    assert "Alpha" in unassigned
    assert "Delta" not in unassigned
    assert "No policy fits what you look for." in text_of(ada.get("/policies?type=endpointSecurityFirewall").text)


def test_case_of_letters_counts_neither_in_the_order_nor_in_a_search(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        for name in ("beta", "Alpha", "Zebra", "ÄRZTE"):
            made(world, connection, name)

    for address, names in (
        ("", ["Alpha", "beta", "Zebra", "ÄRZTE"]),
        ("?sort=-name", ["ÄRZTE", "Zebra", "beta", "Alpha"]),
        ("?q=ÄRZTE", ["ÄRZTE"]),
        ("?q=ärzte", ["ÄRZTE"]),
    ):
        assert re.findall(r'<th scope="row"><a[^>]*><bdi>([^<]*)', ada.get(f"/policies{address}").text) == names


def test_the_list_goes_on_page_by_page(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        for number in range(53):
            made(world, connection, f"Policy {number:02}")

    first = ada.get("/policies?sort=-name").text
    (following,) = {each for each in first.split('"') if each.startswith("?") and "after=" in each}
    second = text_of(ada.get(f"/policies{following.replace('&amp;', '&')}").text)

    assert "Policy 52" in text_of(first)
    assert "Policy 02" not in text_of(first)
    assert [f"Policy {number:02}" in second for number in (3, 2, 1, 0)] == [False, True, True, True]
    assert "First page" in second


@pytest.mark.usefixtures("fleet")
def test_the_list_shows_policies_with_trouble(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        made(world, connection, "Quiet")

    words = text_of(ada.get("/policies?state=error").text)

    assert "Error: 1, Pending: 1, Succeeded: 1" in words
    assert "Quiet" not in words


def test_what_the_list_shows_is_exported_and_no_formula(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        made(world, connection, "=1+1")
        made(world, connection, "Other")

    table = ada.get("/policies/export/csv?q=1%2B1")
    assert table.headers["content-disposition"] == 'attachment; filename="policies.csv"'
    assert "'=1+1" in table.text
    head = table.text.splitlines()[0]
    assert head.startswith("\ufeffid,name,"), "spreadsheets take it for UTF-8"
    assert ada.get("/policies/export/csv?q=nothing").text.splitlines() == [head]
    assert "Other" not in table.text
    (entry,) = json.loads(ada.get("/policies/export/json?q=Other").text)
    assert (entry["name"], entry["type"], entry["platform"], entry["assigned"]) == (
        "Other",
        "Antivirus",
        "Linux",
        False,
    )
    assert ada.get("/policies/export/exe").status_code == 404


def test_a_policy_shows_how_it_stands_and_where_the_trouble_is(ada: Client, fleet: Policy) -> None:
    page = ada.get(f"/policies/{fleet.id}").text
    words = text_of(page)

    assert "Error: 1, Pending: 1, Succeeded: 1" in words
    assert f"/policies/{fleet.id}/devices?state=error&amp;setting={DIAGNOSTIC}" in page
    assert f"/policies/{fleet.id}/devices?state=error&amp;setting={CLOUD}" not in page
    assert "Assigned to All devices" in words


def test_a_policy_shows_its_values_in_words(ada: Client, fleet: Policy) -> None:
    words = text_of(ada.get(f"/policies/{fleet.id}/values").text)

    assert "Cloud delivered protection preferences" in words
    assert "Enable cloud delivered protection" in words
    assert "What it does" in words
    assert "Enabled" in words


def test_a_policy_shows_each_setting_what_is_in_trouble_first(ada: Client, fleet: Policy) -> None:
    words = text_of(ada.get(f"/policies/{fleet.id}/status").text)

    assert words.index("Diagnostic data collection level") < words.index("Enable cloud delivered protection")


@pytest.mark.parametrize("few", [standings.FEW, 0], ids=["few", "many"])
def test_the_devices_of_a_policy_are_narrowed_by_state(
    ada: Client, fleet: Policy, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standings, "FEW", few)

    def devices(query: str) -> set[str]:
        words = text_of(ada.get(f"/policies/{fleet.id}/devices{query}").text)
        return {name for name in ("device-1", "device-2", "device-3") if name in words}

    assert devices("") == {"device-1", "device-2", "device-3"}
    assert devices("?state=error") == {"device-2"}
    assert devices("?state=pending") == {"device-3"}
    assert devices(f"?state=succeeded&setting={CLOUD}") == {"device-1", "device-2"}
    assert devices(f"?state=conflict&setting={CLOUD}") == set()
    assert devices("?state=nonsense") == {"device-1", "device-2", "device-3"}


def test_only_the_group_that_a_policy_is_assigned_to_has_it(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        manager = world.manager
        member = manager.join(connection, 1)
        manager.join(connection, 2)
        group = manager.group(connection, 1, member)
        policy = manager.policies.create(connection, manager.acting, a_draft())
        assign(connection, manager.acting, policy.id, [Assigned(kind=AssignmentKind.INCLUDE, group_id=group)])

    assert "Assigned to group-1" in text_of(ada.get(f"/policies/{policy.id}").text)
    words = text_of(ada.get(f"/policies/{policy.id}/devices").text)
    assert "device-1 Pending never" in words
    assert "device-2" not in words


def test_a_policy_that_nobody_has_says_so(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        policy = made(world, connection, "Idle")

    assert "This policy is assigned to nobody" in text_of(ada.get(f"/policies/{policy.id}").text)
    assert "No device has this policy." in text_of(ada.get(f"/policies/{policy.id}/devices").text)
    with world.writing() as connection:
        assign(connection, world.manager.acting, policy.id, [ALL])
    assert "No device has this policy: nobody belongs" in text_of(ada.get(f"/policies/{policy.id}").text)


def exported(ada: Client, policy: Policy, kind: str, **asked: str) -> str:
    """The file that comes of an export."""
    page = ada.get(f"/policies/{policy.id}/devices").text
    path = f"/policies/{policy.id}/devices/export/{kind}"
    fields = {"csrf": fields_of(page, f"/policies/{policy.id}/devices/export/csv")["csrf"], **asked}
    answer = ada.post(path, data=fields, headers={"Origin": PUBLIC_URL}, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    return file_of(ada, answer.headers["location"]).text


def test_the_devices_of_a_policy_are_exported(world: AdminWorld, ada: Client, fleet: Policy) -> None:
    with world.writing() as connection:
        world.manager.join(connection, 4, display_name="=cmd()")

    table = exported(ada, fleet, "csv")
    assert [line.split(",")[0] for line in table.splitlines()] == ["\ufeffdeviceId", *map(device_id, (1, 2, 3, 4))]
    assert "'=cmd()" in table
    (entry,) = json.loads(exported(ada, fleet, "json", state="error"))
    assert (entry["device"], entry["policy"], entry["state"]) == ("device-2", "Baseline", "error")
    assert json.loads(exported(ada, fleet, "json", state="conflict")) == []
    assert exported(ada, fleet, "csv", state="conflict").splitlines() == table.splitlines()[:1]
