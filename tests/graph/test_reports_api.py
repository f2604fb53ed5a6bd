"""Reports over the API: what devices reported, as tables; cached questions; files."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import Connection
from tests.support.admin import AdminWorld, Client
from tests.support.graph_bodies import POLICIES, TO_ALL_DEVICES, a_policy
from tests.support.samples import NOON, TENANT_ID, counted_id, device_id

from shieldwall.contract.ids import DeviceId, PolicyId, SettingId
from shieldwall.contract.status import SettingState, SettingStatus, StatusReport
from shieldwall.server.graph.reports.exports import DOWNLOADS
from shieldwall.server.graph.reports.known import ACTIONS, NAMED
from shieldwall.server.storage.check_ins import check_ins, statuses

REPORTS = "/beta/deviceManagement/reports"
LEVEL = SettingId("linux_mdatp_managed_antivirusengine_enforcementlevel")
NOWHERE = counted_id("c", 1)
S = SettingState


def reports(connection: Connection, device: DeviceId, state: SettingState, **more: Any) -> None:
    """The device says this about the setting that the policy has."""
    target = check_ins.get(connection, device).target_digest
    assert target is not None
    report = StatusReport(target=target, settings=(SettingStatus(setting=LEVEL, state=state, **more),))
    check_ins.set_status(connection, device, statuses.keep(connection, TENANT_ID, report), NOON)


@pytest.fixture
def policy(world: AdminWorld, graph: Client) -> PolicyId:
    """A policy for four devices: one has it, one failed, one is in conflict, and one has said nothing yet."""
    with world.writing() as connection:
        devices = [world.manager.join(connection, number) for number in range(1, 5)]
    made = PolicyId(graph.post(POLICIES, json=a_policy("Shields")).json()["id"])
    graph.post(f"{POLICIES}/{made}/assign", json={"assignments": [TO_ALL_DEVICES]})
    with world.writing() as connection:
        for device, state in zip(devices, (S.SUCCEEDED, S.ERROR, S.CONFLICT), strict=False):
            reports(connection, device, state)
    return made


def asked(graph: Client, action: str, **body: Any) -> dict[str, Any]:
    answer = graph.post(f"{REPORTS}/{action}", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/octet-stream"
    found: dict[str, Any] = answer.json()
    assert all(len(row) == len(found["Schema"]) for row in found["Values"])
    return found


def rows(table: dict[str, Any]) -> list[dict[str, Any]]:
    names = [column["Column"] for column in table["Schema"]]
    return [dict(zip(names, row, strict=True)) for row in table["Values"]]


def about(policy: PolicyId) -> str:
    return f"(PolicyId eq '{policy}')"


def test_the_devices_of_a_policy_come_with_number_and_word(graph: Client, policy: PolicyId) -> None:
    table = asked(
        graph,
        "getConfigurationPolicyDevicesReport",
        filter=f"(PolicyBaseTypeName eq 'DeviceManagementConfigurationPolicy') and {about(policy)}",
        select=["DeviceName", "PolicyStatus", "PspdpuLastModifiedTimeUtc", "UPN"],
        orderBy=["DeviceName asc"],
        top="50",
        skip="0",
        sessionId="s",
    )
    assert [each["Column"] for each in table["Schema"]] == [
        "DeviceName",
        "PolicyStatus",
        "PolicyStatus_loc",
        "PspdpuLastModifiedTimeUtc",
        "UPN",
    ]
    assert [each["PropertyType"] for each in table["Schema"]] == ["String", "Int32", "String", "DateTime", "String"]
    assert (table["TotalRowCount"], table["SessionId"]) == (4, "s")
    shown = [(each["DeviceName"], each["PolicyStatus"], each["PolicyStatus_loc"]) for each in rows(table)]
    assert shown == [
        ("device-1", 2, "Succeeded"),
        ("device-2", 5, "Error"),
        ("device-3", 6, "Conflict"),
        ("device-4", 0, "Pending"),
    ]
    assert rows(table)[0]["PspdpuLastModifiedTimeUtc"].startswith("2026-11-23T12:00:00")
    assert rows(table)[3]["PspdpuLastModifiedTimeUtc"] is None


@pytest.mark.parametrize(
    ("more", "names"),
    [
        ({"filter": " and (PolicyStatus eq 5)"}, ["device-2"]),
        ({"filter": " and PolicyStatus in (2,6)"}, ["device-1", "device-3"]),
        ({"filter": " and PolicyBaseTypeName eq 'Other'"}, []),
        ({"search": "VICE-3"}, ["device-3"]),
        ({"orderBy": ["PolicyStatus desc", "DeviceName"]}, ["device-3", "device-2", "device-1", "device-4"]),
        ({"orderBy": ["DeviceName desc"], "skip": 1, "top": 2}, ["device-3", "device-2"]),
    ],
)
def test_devices_are_filtered_searched_ordered_and_cut(
    graph: Client, policy: PolicyId, more: dict[str, Any], names: list[str]
) -> None:
    body = more | {"filter": about(policy) + more.get("filter", "")}
    table = asked(graph, "getConfigurationPolicyDevicesReport", **body)
    found = [each["DeviceName"] for each in rows(table)]

    assert found == names
    assert table["TotalRowCount"] == (4 if "skip" in more else len(names))


def test_all_columns_come_where_none_is_selected(graph: Client, policy: PolicyId) -> None:
    table = asked(graph, "getConfigurationPolicyDevicesReport", filter=about(policy), select=[])
    first = rows(table)[0]

    assert first["IntuneDeviceId"] == device_id(1)
    assert (first["PolicyId"], first["PolicyName"]) == (policy, "Shields")
    assert (first["UnifiedPolicyType"], first["UnifiedPolicyType_loc"]) == (2, "Endpoint security")
    assert (first["UnifiedPolicyPlatformType"], first["UnifiedPolicyPlatformType_loc"]) == (3, "Linux")


def test_rows_are_grouped(graph: Client, world: AdminWorld, policy: PolicyId) -> None:
    with world.writing() as connection:
        reports(connection, device_id(4), S.ERROR)
    table = asked(
        graph,
        "getConfigurationPolicyDevicesReport",
        filter=about(policy),
        groupBy=["PolicyStatus"],
        orderBy=["PolicyStatus"],
    )
    assert table["Values"] == [[2, "Succeeded"], [5, "Error"], [6, "Conflict"]]
    assert table["TotalRowCount"] == 3


def test_a_policy_is_counted_by_state(graph: Client, policy: PolicyId) -> None:
    (row,) = rows(asked(graph, "getConfigurationPolicyDeviceSummaryReport", filter=about(policy)))

    expected = {
        "NumberOfSucceededDevices": 1,
        "NumberOfErrorDevices": 1,
        "NumberOfConflictDevices": 1,
        "NumberOfPendingDevices": 1,
        "NumberOfDevices": 4,
    }
    assert expected.items() <= row.items()
    (setting,) = rows(asked(graph, "getConfigurationPolicySettingsDeviceSummaryReport", filter=about(policy)))
    assert setting["SettingId"] == LEVEL
    assert expected.items() <= setting.items()


def test_the_policies_of_a_device_are_told(graph: Client, policy: PolicyId) -> None:
    types = (
        "(PolicyBaseTypeName eq 'DeviceConfiguration') or (PolicyBaseTypeName eq 'DeviceManagementConfigurationPolicy')"
    )
    table = asked(
        graph,
        "getConfigurationPoliciesReportForDevice",
        filter=f"({types}) and (IntuneDeviceId eq '{device_id(2)}')",
        select=["PolicyId", "PolicyName", "PolicyStatus", "IntuneDeviceId"],
    )
    assert rows(table) == [
        {
            "PolicyId": policy,
            "PolicyName": "Shields",
            "PolicyStatus": 5,
            "PolicyStatus_loc": "Error",
            "IntuneDeviceId": device_id(2),
        }
    ]


def test_the_settings_on_a_device_are_told_with_published_error_codes(
    graph: Client, world: AdminWorld, policy: PolicyId
) -> None:
    def settings(action: str, device: DeviceId) -> list[dict[str, Any]]:
        return rows(asked(graph, action, filter=f"{about(policy)} and (DeviceId eq '{device}')"))

    (failed,) = settings("getConfigurationSettingsReport", device_id(2))
    assert (failed["SettingId"], failed["SettingStatus"], failed["ErrorCode"]) == (LEVEL, 5, -2016281112)
    assert failed["SettingName_loc"] == failed["SettingName"] != LEVEL
    (other,) = settings("getConfigurationSettingNonComplianceReport", device_id(3))
    assert (other["SettingStatus"], other["ErrorCode"]) == (6, -2016281211)
    assert settings("getConfigurationSettingNonComplianceReport", device_id(1)) == []

    with world.writing() as connection:
        reports(connection, device_id(1), S.SUCCEEDED, code="repaired", read_back="passive")
    (repaired,) = settings("getConfigurationSettingDetailsReport", device_id(1))
    assert (repaired["SettingStatus_loc"], repaired["CurrentValue"]) == ("Remediated", "passive")


def test_what_is_not_as_it_should_be_is_found_over_all_policies(graph: Client, policy: PolicyId) -> None:
    graph.post(POLICIES, json=a_policy("Calm"))
    (row,) = rows(asked(graph, "getConfigurationPolicyNonComplianceReport"))
    assert (row["PolicyId"], row["NumberOfErrorDevices"]) == (policy, 1)
    (summary,) = rows(asked(graph, "getConfigurationPolicyNonComplianceSummaryReport"))
    assert (summary["NumberOfPolicies"], summary["NumberOfNonCompliantPolicies"]) == (2, 1)
    (setting,) = rows(asked(graph, "getSettingNonComplianceReport", filter=about(policy)))
    assert (setting["SettingId"], setting["NumberOfConflictDevices"]) == (LEVEL, 1)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"filter": "DeviceName eq 'x'"},
        {"filter": "(PolicyId eq '{policy}') or (PolicyStatus eq 5)"},
        {"filter": "(PolicyId eq '{policy}') and Surprise eq 1"},
        {"filter": "(PolicyId eq '{policy}') and PolicyStatus eq 'five'"},
        {"filter": "PolicyId eq 'x' ; drop"},
        {"filter": "(PolicyId eq '{policy}')", "select": ["Surprise"]},
        {"filter": "(PolicyId eq '{policy}')", "orderBy": ["Surprise"]},
        {"filter": "(PolicyId eq '{policy}')", "top": "many"},
        {"filter": "(PolicyId eq '{policy}')", "top": -1},
        {"filter": "(PolicyId eq '{policy}')", "surprise": 1},
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(graph: Client, policy: PolicyId, body: dict[str, Any]) -> None:
    sent = json.loads(json.dumps(body).replace("{policy}", policy))
    assert graph.post(f"{REPORTS}/getConfigurationPolicyDevicesReport", json=sent).status_code == 400


@pytest.mark.parametrize("action", ACTIONS)
def test_reports_about_what_is_not_there_say_so_or_are_empty(graph: Client, action: str) -> None:
    words = f"(PolicyId eq '{NOWHERE}') and (IntuneDeviceId eq '{NOWHERE}') and (DeviceId eq '{NOWHERE}')"
    answer = graph.post(f"{REPORTS}/{action}", json={"filter": words})
    assert answer.status_code in {200, 400, 404}
    if answer.status_code == 200:
        assert answer.json()["Values"] == []


def test_a_question_is_cached_and_answered_page_by_page(graph: Client, policy: PolicyId) -> None:
    name = f"DeviceStatusesByConfigurationProfile_{NOWHERE}"
    body = {
        "id": name,
        "filter": about(policy),
        "select": ["DeviceName", "PolicyStatus"],
        "orderBy": ["DeviceName"],
        "metadata": "x",
    }
    made = graph.post(f"{REPORTS}/cachedReportConfigurations", json=body)
    assert made.status_code == 201, made.text
    kept = graph.get(f"{REPORTS}/cachedReportConfigurations/{name}").json()
    assert (kept["status"], kept["reportName"]) == ("completed", "DeviceStatusesByConfigurationProfile")
    assert [each["id"] for each in graph.get(f"{REPORTS}/cachedReportConfigurations").json()["value"]] == [name]

    page = asked(graph, "getCachedReport", id=name, skip=1, top=2, search="")
    assert [row[0] for row in page["Values"]] == ["device-2", "device-3"]
    assert page["TotalRowCount"] == 4
    turned = asked(graph, "getCachedReport", id=name, orderBy=["DeviceName desc"], top=1)
    assert turned["Values"][0][0] == "device-4"

    assert graph.delete(f"{REPORTS}/cachedReportConfigurations/{name}").status_code == 204
    assert graph.post(f"{REPORTS}/getCachedReport", json={"id": name}).status_code == 404


def test_a_cached_question_ends_and_unknown_reports_are_refused(
    graph: Client, world: AdminWorld, policy: PolicyId
) -> None:
    body = {"id": "DeviceStatusesByConfigurationProfile_x", "filter": about(policy)}
    graph.post(f"{REPORTS}/cachedReportConfigurations", json=body)
    world.clock.advance(days=3)
    client = world.application_client("DeviceManagementConfiguration.Read.All")
    assert client.get(f"{REPORTS}/cachedReportConfigurations").json()["value"] == []
    assert client.get(f"{REPORTS}/cachedReportConfigurations/{body['id']}").status_code == 404
    assert client.post(f"{REPORTS}/cachedReportConfigurations", json={"id": "Surprise_1"}).status_code == 400
    client.close()


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_a_report_is_exported_as_a_file(graph: Client, world: AdminWorld, policy: PolicyId, kind: str) -> None:
    body = {
        "reportName": "DeviceStatusesByConfigurationProfile",
        "filter": about(policy),
        "select": ["DeviceName", "PolicyStatus"],
        "format": kind,
        "localizationType": "replaceLocalizableValues",
    }
    job = graph.post(f"{REPORTS}/exportJobs", json=body).json()
    shown = graph.get(f"{REPORTS}/exportJobs('{job['id']}')").json()
    assert shown.items() >= job.items()
    assert (job["status"], job["format"]) == ("completed", kind)

    with world.client() as anybody:
        answer = anybody.get(job["url"])
        assert answer.headers["content-type"] == "application/zip"
        archive = zipfile.ZipFile(io.BytesIO(answer.content))
        (name,) = archive.namelist()
        text = archive.read(name).decode("utf-8-sig")
        assert anybody.get(job["url"] + "x").status_code == 404
        world.clock.advance(hours=2)
        assert anybody.get(job["url"]).status_code == 404
    expected = [["device-1", "Succeeded"], ["device-2", "Error"], ["device-3", "Conflict"], ["device-4", "Pending"]]
    if kind == "csv":
        assert list(csv.reader(io.StringIO(text))) == [["DeviceName", "PolicyStatus"], *expected]
    else:
        assert [list(each.values()) for each in json.loads(text)["values"]] == expected


def test_no_log_tells_where_an_export_is(
    graph: Client, world: AdminWorld, policy: PolicyId, capsys: pytest.CaptureFixture[str]
) -> None:
    body = {"reportName": "DeviceStatusesByConfigurationProfile", "filter": about(policy)}
    url = graph.post(f"{REPORTS}/exportJobs", json=body).json()["url"]
    place, _, token = url.removeprefix(world.services.settings.public_url).rpartition("/")

    with world.client() as anybody:
        asked = [anybody.get(url), anybody.post(url), anybody.get(f"{url}/more"), anybody.get(f"/beta/{place}/{token}")]

    assert [answer.status_code for answer in asked] == [200, 405, 404, 404]
    logged = capsys.readouterr().out
    assert "/downloads/" in logged
    assert token not in logged


def test_exports_are_bounded_until_their_hour_is_over(
    graph: Client, world: AdminWorld, policy: PolicyId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shieldwall.server.graph.reports.exports.MOST_KEPT", 2)
    body = {"reportName": "DeviceStatusesByConfigurationProfile", "filter": about(policy)}
    answers = [graph.post(f"{REPORTS}/exportJobs", json=body) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [201, 201, 400]
    assert "At most 2 exports" in answers[2].text
    assert len(graph.get(f"{REPORTS}/exportJobs").json()["value"]) == 2
    world.clock.advance(hours=1)
    with closing(world.application_client("DeviceManagementConfiguration.Read.All")) as client:
        assert client.post(f"{REPORTS}/exportJobs", json=body).status_code == 201


def test_an_export_of_nothing_is_refused_before_there_is_an_address(graph: Client) -> None:
    for body in (
        {"reportName": "Surprise"},
        {"reportName": "DeviceStatusesByConfigurationProfile"},
        {"reportName": ""},
    ):
        assert graph.post(f"{REPORTS}/exportJobs", json=body).status_code == 400, body
    assert graph.get(f"{DOWNLOADS}/guess").status_code == 404


@pytest.mark.parametrize("name", NAMED)
def test_every_named_report_can_be_exported(graph: Client, policy: PolicyId, name: str) -> None:
    job = graph.post(f"{REPORTS}/exportJobs", json={"reportName": name, "filter": about(policy)})
    assert job.status_code == 201, job.text
    assert graph.get(job.json()["url"]).status_code == 200
