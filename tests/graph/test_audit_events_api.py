"""The audit trail over the API: every published member, from what administrators and devices did."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest
from tests.support.admin import AdminWorld, Client
from tests.support.graph_bodies import GROUPS, POLICIES, a_group, a_policy
from tests.support.samples import NOON, counted_id

from shieldwall.server.directory.audit_trail import in_words
from shieldwall.server.graph.audit_shapes import CATEGORIES, operation_of

EVENTS = "/v1.0/deviceManagement/auditEvents"


def test_who_did_what_to_what_is_told_with_every_published_member(graph: Client) -> None:
    asked = "7d5a0f1c-0000-4000-8000-00000000abcd"
    policy = graph.post(POLICIES, json=a_policy("Shields"), headers={"client-request-id": asked}).json()["id"]

    (event,) = [each for each in graph.get(EVENTS).json()["value"] if each["activityType"] == "policy.created"]

    assert event["displayName"] == event["activity"] == "Policy created"
    assert event["componentName"] == event["category"] == "DeviceConfiguration"
    assert event["activityDateTime"] == f"{NOON:%Y-%m-%dT%H:%M:%S}.0000000Z"
    assert (event["activityOperationType"], event["activityResult"]) == ("Create", "Success")
    assert event["correlationId"] == asked
    actor = event["actor"]
    assert (actor["auditActorType"], actor["applicationDisplayName"]) == ("Application", "Automation")
    assert actor["userPrincipalName"] is None
    assert str(UUID(actor["applicationId"])) == actor["applicationId"]
    assert actor["ipAddress"] == "127.0.0.1"
    (resource,) = event["resources"]
    assert (resource["displayName"], resource["resourceId"]) == ("Shields", policy)
    assert resource["auditResourceType"] == "DeviceManagementConfigurationPolicy"
    assert graph.get(f"{EVENTS}/{event['id']}").json().items() >= event.items()


def test_what_one_request_did_has_one_correlation_id(graph: Client) -> None:
    graph.post(GROUPS, json=a_group("One"))
    graph.post(GROUPS, json=a_group("Two"))
    found = [each["correlationId"] for each in graph.get(EVENTS).json()["value"] if each["category"] == "Group"]

    assert len(set(found)) == 2
    assert [str(UUID(each)) for each in found] == found


def test_a_change_is_told_as_old_and_new_value(graph: Client) -> None:
    graph.patch("/beta/deviceManagement/enforcementScope", json={"isAllowed": False})
    (event,) = [each for each in graph.get(EVENTS).json()["value"] if each["category"] == "Setting"]

    changed = {each["displayName"]: each for each in event["resources"][0]["modifiedProperties"]}
    assert (changed["isAllowed"]["oldValue"], changed["isAllowed"]["newValue"]) == (None, "false")
    assert event["activityOperationType"] == "Patch"


def test_a_person_is_an_administrator_and_a_device_is_the_system(graph: Client, world: AdminWorld) -> None:
    with world.writing() as connection:
        world.services.acting("person:Ada").record(connection, "device.renamed", "device", counted_id("d", 1))
        world.services.acting("shieldwall").record(connection, "device.attested", "device", counted_id("d", 1))
    found = {each["activityType"]: each["actor"] for each in graph.get(EVENTS).json()["value"]}

    assert found["device.renamed"]["auditActorType"] == "ItPro"
    assert found["device.renamed"]["userPrincipalName"] == "Ada"
    assert found["device.renamed"]["applicationDisplayName"] is None
    assert found["device.attested"]["auditActorType"] == "System"


def test_events_come_in_pages_newest_first(graph: Client, world: AdminWorld) -> None:
    for number in range(5):
        world.clock.advance(seconds=1)
        graph.post(GROUPS, json=a_group(f"Group {number}"))
    page = graph.get(EVENTS, params={"$top": 2}).json()
    seen = [each["resources"][0]["displayName"] for each in page["value"]]
    following = graph.get(page["@odata.nextLink"]).json()["value"]

    assert seen == ["Group 4", "Group 3"]
    assert [each["resources"][0]["displayName"] for each in following] == ["Group 2", "Group 1"]


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("category eq 'Group'", ["Two", "One"]),
        ("componentName eq 'DeviceConfiguration' and activityOperationType ne 'Get'", ["Shields"]),
        ("activityType eq 'group.created' and activityDateTime gt 2026-11-23T12:00:01Z", ["Two"]),
        ("resources/any(s:s/auditResourceType eq 'Group')", ["Two", "One"]),
        ("actor/applicationDisplayName eq 'automation' and category ne 'Role'", ["Shields", "Two", "One"]),
        ("actor/auditActorType eq 'ItPro'", []),
        (
            "actor/userPrincipalName eq null and activityOperationType eq 'Create' and category eq 'Group'",
            ["Two", "One"],
        ),
    ],
)
def test_the_trail_is_filtered(graph: Client, world: AdminWorld, asked: str, names: list[str]) -> None:
    for number, name in enumerate(("One", "Two"), start=1):
        world.clock.at = NOON + timedelta(seconds=number)
        graph.post(GROUPS, json=a_group(name))
    world.clock.advance(seconds=1)
    graph.post(POLICIES, json=a_policy("Shields"))
    found = graph.get(EVENTS, params={"$filter": asked, "$count": "true"}).json()

    assert [each["resources"][0]["displayName"] for each in found["value"]] == names
    assert found["@odata.count"] == len(names)


def test_the_trail_is_ordered_and_read_page_by_page(graph: Client, world: AdminWorld) -> None:
    for name in ("Cherry", "Apple", "Berry"):
        world.clock.advance(seconds=1)
        graph.post(GROUPS, json=a_group(name))
    asked = {"$filter": "category eq 'Group'", "$orderby": "activityDateTime", "$top": "2", "$select": "resources"}
    page = graph.get(EVENTS, params=asked).json()
    more = graph.get(page["@odata.nextLink"]).json()
    shown = [each["resources"][0]["displayName"] for each in (*page["value"], *more["value"])]

    assert shown == ["Cherry", "Apple", "Berry"]
    assert "actor" not in page["value"][0]
    assert graph.get(EVENTS, params={"$filter": "secret eq 'x'"}).status_code == 400


def test_categories_and_their_activities_are_named(graph: Client) -> None:
    graph.post(GROUPS, json=a_group())
    graph.post(POLICIES, json=a_policy())

    assert graph.get(f"{EVENTS}/getAuditCategories").json()["value"] == list(CATEGORIES)
    types = graph.get(f"{EVENTS}/getAuditActivityTypes(category='Group')")
    assert types.json()["value"] == ["group.created"]
    assert graph.get(f"{EVENTS}/getAuditActivityTypes(category='Surprise')").status_code == 404


def test_an_event_that_is_not_there_is_not_found(graph: Client) -> None:
    assert graph.get(f"{EVENTS}/{counted_id('c', 1)}").status_code == 404


@pytest.mark.parametrize(
    ("activity", "words", "operation"),
    [
        ("policy.created", "Policy created", "Create"),
        ("device.detailsChanged", "Device details changed", "Patch"),
        ("group.deleted", "Group deleted", "Delete"),
        ("device.syncRequested", "Device sync requested", "Action"),
    ],
)
def test_an_activity_is_written_in_words(activity: str, words: str, operation: str) -> None:
    assert (in_words(activity), operation_of(activity)) == (words, operation)
