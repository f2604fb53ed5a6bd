"""The reports of the admin center: what each says of a fleet, narrowed as asked, and the same as files."""

from __future__ import annotations

import csv
import io
import json
import re
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection
from tests.portal.test_group_pages import one_line
from tests.portal.test_pages import text_of
from tests.portal.test_scope import sends
from tests.support.admin import AdminWorld, Client
from tests.support.browsing import token_of
from tests.support.long_work import file_of
from tests.support.manager_world import CLOUD, FIREWALL_ON, a_draft, a_firewall_draft, chosen
from tests.support.people import a_person, browser
from tests.support.samples import NOON, TENANT_ID, device_id

from shieldwall.contract.ids import PolicyId
from shieldwall.contract.status import SettingState, SettingStatus, StatusReport
from shieldwall.server.access.roles import ADMINISTRATOR
from shieldwall.server.directory import scope_tags
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.storage.check_ins import check_ins, statuses
from shieldwall.server.storage.inventory.inventory_rows import REPAIRED, take_report
from shieldwall.server.storage.records import AssignmentKind

PATHS = (
    "/reports/policies",
    "/reports/settings",
    "/reports/conflicts",
    "/reports/coverage",
    "/reports/coverage/devices",
    "/reports/drift",
    "/reports/stale",
    "/reports/agents",
)
HOSTILE = "=cmd|' /C calc'!A0<b>\u202e"


def reports(world: AdminWorld, connection: Connection, number: int, *told: SettingStatus) -> None:
    """A device says how it stands with its present target."""
    device = device_id(number)
    target = check_ins.get(connection, device).target_digest
    digest = statuses.keep(connection, TENANT_ID, StatusReport(target=target, settings=told))
    check_ins.set_status(connection, device, digest, world.clock.now())
    take_report(connection, device, digest)


@pytest.fixture
def fleet(world: AdminWorld) -> dict[str, PolicyId]:
    """Three devices: one in error, one that was put back, one that says nothing; two firewalls that contend."""
    manager = world.manager
    acting = world.services.acting("test")
    everybody = [Assigned(kind=AssignmentKind.ALL_DEVICES)]
    with world.writing() as connection:
        for number, name in ((1, "web-1"), (2, "web-2"), (3, HOSTILE)):
            manager.join(
                connection, number, display_name=name, catalog_version="", registered_at=NOON - timedelta(days=20)
            )
        antivirus = manager.policies.create(connection, acting, a_draft("Antivirus"))
        one = manager.policies.create(connection, acting, a_firewall_draft("Firewall off"))
        on = replace(a_firewall_draft("Firewall on"), settings=(chosen(FIREWALL_ON, "true"),))
        other = manager.policies.create(connection, acting, on)
        for policy in (antivirus, one, other):
            assign(connection, acting, policy.id, everybody)
        unused = manager.policies.create(connection, acting, a_draft("Unused", diagnostic="0"))
        wrong = SettingStatus(setting=CLOUD, state=SettingState.ERROR, code="notEffective", reason="It sleeps.")
        back = SettingStatus(setting=CLOUD, state=SettingState.SUCCEEDED, code=REPAIRED, value=True, read_back=True)
        clash = SettingStatus(setting=FIREWALL_ON, state=SettingState.CONFLICT)
        reports(world, connection, 1, wrong, clash)
        reports(world, connection, 2, back, clash)
    return {"antivirus": antivirus.id, "one": one.id, "other": other.id, "unused": unused.id}


def row(words: str, name: str) -> str:
    """What a table says behind a name, as far as the next few words."""
    found = re.search(rf"{re.escape(name)} (.{{0,160}})", words.partition("All of them together")[2])
    assert found, words
    return found[1]


def exported(client: Client, path: str, kind: str = "json", **asked: str) -> Any:
    answer = sends(client, "/reports/export", {"csrf": token_of(client), "report": path, "format": kind} | asked)
    assert answer.status_code == 303, answer.text
    text = file_of(client, answer.headers["location"]).text
    return json.loads(text) if kind == "json" else list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


def test_reports_of_an_empty_tenant_say_what_to_do_next(ada: Client) -> None:
    for path in ("/reports", *PATHS):
        answer = ada.get(path)
        assert answer.status_code == 200, path
    assert "There are no policies yet" in one_line(ada, "/reports/policies")
    assert "No policy reaches a device yet" in one_line(ada, "/reports/settings")
    assert "No two policies want different values" in one_line(ada, "/reports/conflicts")
    assert "Onboard the first device" in one_line(ada, "/reports/agents")


@pytest.mark.usefixtures("fleet")
def test_policies_are_reported_with_their_devices(ada: Client) -> None:
    words = one_line(ada, "/reports/policies")

    assert "Linux yes 3 1 error , 1 pending , 1 succeeded" in row(words, "Antivirus")
    assert words.index("Antivirus Microsoft") < words.index("Unused")
    assert "no: it reaches nobody 0 no devices" in row(words, "Unused")
    assert "Firewall" not in one_line(ada, "/reports/policies?state=error").partition("All of them together")[2]
    assert "No policy fits" in one_line(ada, "/reports/policies?q=nothing")
    assert "No policy fits" in one_line(ada, "/reports/policies?platform=macOS")
    assert "Antivirus" in one_line(ada, "/reports/policies?platform=martian&q=anti")


def test_settings_are_reported_with_their_devices(ada: Client, fleet: dict[str, PolicyId]) -> None:
    page = ada.get("/reports/settings").text

    assert f"/policies/{fleet['antivirus']}/devices?state=error&amp;setting={CLOUD}" in page
    assert "No setting fits" in one_line(ada, "/reports/settings?state=notApplicable")
    assert "Antivirus" in one_line(ada, f"/reports/settings?q={CLOUD}")


def test_conflicts_are_explained_with_a_way_out(ada: Client, fleet: dict[str, PolicyId]) -> None:
    page = ada.get("/reports/conflicts").text
    words = text_of(page)

    assert "1 setting is in conflict" in words
    assert "on 3 devices" in words
    assert "The best priority wins : would not decide it." in words.replace(" :", " :")
    assert "The strongest value wins" in words
    for policy in ("one", "other"):
        assert f"/policies/{fleet[policy]}/edit" in page
    assert "Nothing fits" in one_line(ada, "/reports/conflicts?show=decided")
    assert "Nothing fits" in one_line(ada, "/reports/conflicts?q=antivirus")


@pytest.mark.usefixtures("fleet")
def test_coverage_says_what_nobody_sets(ada: Client) -> None:
    words = one_line(ada, "/reports/coverage?platform=linux&covered=unassigned")
    assert "Unused" in words
    assert "set, assigned to nobody" in words
    assert "None: a policy reaches every active device." in words
    told = re.search(r"([\d,]+) settings?, what nobody", one_line(ada, "/reports/coverage"))
    assert told
    everything = int(told[1].replace(",", ""))
    assert everything > 100
    assert len(exported(ada, "/reports/coverage")) == everything
    second = one_line(ada, "/reports/coverage?page=2")
    assert "First page" in second
    policies = [each["policies"] for each in exported(ada, "/reports/coverage", covered="set")]
    assert sorted(policies) == [["Antivirus", "Unused"], ["Firewall off", "Firewall on"]]


def test_devices_without_a_policy_are_listed(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        world.manager.join(connection, 7, display_name="alone")

    assert "1 active device that no policy reaches" in one_line(ada, "/reports/coverage")
    assert "alone" in one_line(ada, "/reports/coverage/devices")
    assert [each["name"] for each in exported(ada, "/reports/coverage/devices")] == ["alone"]


@pytest.mark.usefixtures("fleet")
def test_drift_names_settings_and_devices(ada: Client) -> None:
    words = one_line(ada, "/reports/drift")

    assert "1 setting that somebody had changed. On 1 device." in words
    assert "web-2" in words
    assert "web-1" not in words
    assert "No device that drifted fits" in one_line(ada, "/reports/drift?q=web-1")
    assert [each["name"] for each in exported(ada, "/reports/drift")] == ["web-2"]


@pytest.mark.usefixtures("fleet")
def test_stale_devices_are_counted_and_listed(ada: Client) -> None:
    words = one_line(ada, "/reports/stale")

    assert "never, though registered for a week or longer 3" in words
    assert "web-1" in words
    assert [each["name"] for each in exported(ada, "/reports/stale", days="7")][0:2] == ["web-1", "web-2"]
    assert "web-1" in one_line(ada, "/reports/stale?days=everything")
    assert ada.get("/reports/stale?after=x").status_code == 400


@pytest.mark.usefixtures("fleet")
def test_agents_are_counted_by_version(world: AdminWorld, ada: Client) -> None:
    with world.writing() as connection:
        world.manager.join(connection, 9, agent_version="0.10.0")

    words = one_line(ada, "/reports/agents")

    assert words.index("0.10.0 newest in use 1") < words.index("0.1.0 3")
    assert exported(ada, "/reports/agents") == [
        {"agentVersion": "0.10.0", "devices": 1},
        {"agentVersion": "0.1.0", "devices": 3},
    ]


@pytest.mark.usefixtures("fleet")
def test_files_say_what_pages_say_and_hurt_nobody(ada: Client) -> None:
    [policy] = exported(ada, "/reports/policies", "csv", q="Antivirus")
    assert (policy["devices"], policy["error"], policy["pending"], policy["succeeded"]) == ("3", "1", "1", "1")
    [setting] = exported(ada, "/reports/settings", q=CLOUD, state="error")
    assert (setting["setting"], setting["policyName"], setting["error"]) == (CLOUD, "Antivirus", 1)
    [contest] = exported(ada, "/reports/conflicts")
    assert (contest["isConflict"], contest["devices"]) == (True, 3)
    assert len(contest["wanted"]) == 2
    names = [each["name"] for each in exported(ada, "/reports/stale", "csv")]
    assert any(name.startswith("'=cmd") for name in names)
    assert not any("\u202e" in name for name in names)
    fields = {"csrf": token_of(ada), "report": "/reports/policies", "format": "exe"}
    assert sends(ada, "/reports/export", fields).status_code == 400
    assert sends(ada, "/reports/export", fields | {"format": "csv", "report": "/devices"}).status_code == 400
    assert sends(ada, "/reports/export", fields | {"csrf": "x"}).status_code == 403
    assert "<b>" not in ada.get("/reports/stale").text


def test_somebody_narrowed_gets_reports_of_their_own(world: AdminWorld, fleet: dict[str, PolicyId]) -> None:
    acting = world.services.acting("test")
    with world.writing() as connection:
        tag = scope_tags.create_tag(connection, acting, "Berlin", "")
        scope_tags.tag_device(connection, acting, device_id(1), [tag.id])
        draft = replace(a_draft("Antivirus"), role_scope_tag_ids=(tag.id,))
        world.manager.policies.update(connection, acting, fleet["antivirus"], draft)
        reports(
            world, connection, 1, SettingStatus(setting=CLOUD, state=SettingState.ERROR, code="x", reason="It sleeps.")
        )
    with closing(browser(world, a_person(world, ADMINISTRATOR, tags=[tag.id]))) as client:
        policies = one_line(client, "/reports/policies")
        assert "yes 1 1 error" in row(policies, "Antivirus")
        assert "Firewall on" not in policies
        for path in PATHS:
            words = one_line(client, path)
            assert "web-2" not in words, path
            assert "Firewall on" not in words, path
        assert "No two policies want" in one_line(client, "/reports/conflicts")
        assert [each["name"] for each in exported(client, "/reports/stale")] == ["web-1"]
        assert [each["name"] for each in exported(client, "/reports/policies")] == ["Antivirus"]
