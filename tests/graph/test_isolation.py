"""No route reaches another tenant: the whole table of routes is walked with the ids of what Fabrikam owns.

Whoever adds a route finds it here: its parameter has to say which table it names (``OWNED``), and a body that it would
take has to stand in ``BODIES``. That nothing of Fabrikam changed is seen at the end of every test anyway.
"""

from __future__ import annotations

import re
from typing import Any, Final

import pytest
from sqlalchemy import Column
from tests.support.admin import AdminWorld, Client
from tests.support.graph_bodies import (
    FILTERS,
    GROUPS,
    POLICIES,
    TO_ALL_DEVICES,
    a_filter,
    a_group,
    a_policy,
    narrowed,
    to_group,
)
from tests.support.graph_routes import SOMETHING, Route, routes_of
from tests.support.samples import a_tenant, counted_id
from tests.support.second_tenant import FABRIKAM_DEVICE, FABRIKAM_GROUP, rows_of_fabrikam

from shieldwall.contract.ids import TenantId
from shieldwall.server.access.permissions import PERMISSIONS
from shieldwall.server.storage.tables import schema
from shieldwall.server.storage.tables.schema import metadata
from shieldwall.server.storage.tenants import tenants

OWNED: Final[dict[str, Column[Any]]] = {
    "policy_id": schema.policies.c.id,
    "group_id": schema.groups.c.id,
    "member_id": schema.devices.c.id,
    "object_id": schema.groups.c.id,
    "device_id": schema.devices.c.id,
    "named": schema.devices.c.object_id,
    "filter_id": schema.assignment_filters.c.id,
    "setting_id": schema.reusable_settings.c.id,
    "package_id": schema.onboarding_packages.c.id,
    "authority_id": metadata.tables["trusted_authorities"].c.id,
    "device_event_id": metadata.tables["device_events"].c.id,
    "alert_id": metadata.tables["alerts"].c.id,
    "event_id": metadata.tables["audit_events"].c.id,
    "report_id": metadata.tables["cached_reports"].c.id,
    "job_id": metadata.tables["export_jobs"].c.id,
    "webhook_id": metadata.tables["receivers"].c.id,
    "subscription_id": metadata.tables["receivers"].c.id,
    "application_id": schema.apps.c.object_id,
    "principal_id": schema.apps.c.client_id,
    "user_id": metadata.tables["people"].c.id,
    "provider_id": metadata.tables["identity_providers"].c.id,
    "passkey_id": metadata.tables["passkeys"].c.digest,
    "code_id": metadata.tables["invitations"].c.code_digest,
    "endorsement_id": metadata.tables["trusted_authorities"].c.id,
    "role_id": metadata.tables["role_definitions"].c.id,
    "assignment_id": metadata.tables["role_assignments"].c.id,
    "tag_id": metadata.tables["scope_tags"].c.id,
}
"""Which column the parameter of a path names."""
FIXED: Final = {
    "revision": "1",
    "part": SOMETHING,
    "rule_id": SOMETHING,
    "category": "category=Surprise",
    "platform": "platform=surprise",
    "connector_id": SOMETHING,
}
"""Parameters that say which part of something is meant, or what only the tenant itself has."""
OF_EVERYBODY: Final = (
    "/configurationPolicyTemplates/",
    "/configurationSettings/",
    "/configurationCategories/",
    "/managedTenants/",
    "/resourceOperations/",
    "/getEffectivePermissions/",
)
"""The catalog is the same for all tenants; and one view crosses them, for those allowed."""
BODIES: Final[dict[str, Any]] = {
    "PATCH configurationPolicies/{policy_id}": {"name": "x"},
    "PUT configurationPolicies/{policy_id}": a_policy(),
    "POST configurationPolicies/{policy_id}/assign": {"assignments": []},
    "POST configurationPolicies/{policy_id}/createCopy": {"displayName": "x"},
    "POST configurationPolicies/{policy_id}/reorder": {"priority": 1},
    "POST configurationPolicies/{policy_id}/rollback": {"revision": 1},
    "POST configurationPolicies/{policy_id}/preview": {"name": "x"},
    "POST groups/{group_id}/preview": {"delete": True},
    "POST groups/{group_id}/evaluateDynamicMembership": {"memberId": SOMETHING},
    "PATCH groups/{group_id}": {"displayName": "x"},
    "POST devices/{device_id}/checkMemberGroups": {"groupIds": [SOMETHING]},
    "POST devices/{device_id}/checkMemberObjects": {"ids": [SOMETHING]},
    "POST devices/{device_id}/getMemberGroups": {},
    "POST devices/{device_id}/getMemberObjects": {},
    "POST groups/{group_id}/members/$ref": {"@odata.id": f"https://x/devices/{SOMETHING}"},
    "PATCH assignmentFilters/{filter_id}": {"displayName": "x"},
    "POST assignmentFilters/{filter_id}/preview": {"rule": a_filter()["rule"]},
    "PATCH reusablePolicySettings/{setting_id}": {"displayName": "x"},
    "PATCH managedDevices/{device_id}": {"notes": "x"},
    "POST managedDevices/{device_id}/changeTags": {"add": ["x"]},
    "PATCH devices/{named}": {"accountEnabled": False},
    "POST managedDevices/{device_id}/merge": {"into": SOMETHING},
    "POST managedDevices/{device_id}/excludeFromTamperProtection": {"excluded": True},
    "POST managedDevices/{device_id}/startTroubleshooting": {},
    "PATCH identityProviders/{provider_id}": {"displayName": "x"},
    "PATCH users/{user_id}": {"displayName": "x"},
    "POST users/{user_id}/authentication/temporaryAccessPassMethods": {},
    "PATCH applications/{application_id}": {"displayName": "x"},
    "POST applications/{application_id}/addPassword": {},
    "POST applications/{application_id}/removePassword": {"keyId": SOMETHING},
    "PATCH alerts_v2/{alert_id}": {"status": "resolved"},
    "PATCH roleDefinitions/{role_id}": {"displayName": "x"},
    "POST roleDefinitions/{role_id}/roleAssignments": {"displayName": "x"},
    "PATCH roleAssignments/{assignment_id}": {"displayName": "x"},
    "PATCH roleScopeTags/{tag_id}": {"displayName": "x"},
    "POST roleScopeTags/{tag_id}/assign": {"assignments": []},
    "PATCH webhooks/{webhook_id}": {"displayName": "x"},
    "POST webhooks/{webhook_id}/rotateSecret": {},
    "POST webhooks/{webhook_id}/redeliver": {"eventId": SOMETHING},
    "PATCH subscriptions/{subscription_id}": {"expirationDateTime": "2026-11-24T12:00:00Z"},
}
"""What each route would take, by method and the end of its path."""


def key_of(route: Route) -> str:
    parts = route.template.split("/")
    first = next(number for number, part in enumerate(parts) if part.startswith("{"))
    return f"{route.method} {'/'.join(parts[first - 1 :])}"


def filled(route: Route, owned: dict[str, str]) -> str:
    return re.sub(r"\{(\w+)\}", lambda found: owned.get(found[1], SOMETHING), route.template)


def is_about_one(route: Route) -> bool:
    return "{" in route.template and not any(part in route.template for part in OF_EVERYBODY)


def test_every_parameter_of_a_path_says_what_it_names(embedded: AdminWorld) -> None:
    routes = filter(is_about_one, routes_of(embedded))
    named = {name for route in routes for name in re.findall(r"\{(\w+)\}", route.template)}

    assert named - OWNED.keys() - FIXED.keys() == set()


def test_every_id_of_another_tenant_names_nothing(world: AdminWorld, graph: Client) -> None:
    with world.services.database.read() as connection:
        rows = rows_of_fabrikam(connection)
    theirs = FIXED | {name: rows[column.table.name][0][column.name] for name, column in OWNED.items()}
    nothing = FIXED | dict.fromkeys(OWNED, SOMETHING)
    wrong = []
    for route in routes_of(world):
        if not is_about_one(route):
            continue
        body = BODIES.get(key_of(route))
        answer = graph.request(route.method, filled(route, theirs), json=body)
        absent = graph.request(route.method, filled(route, nothing), json=body)
        if answer.status_code != 404 or shape(answer.text, theirs) != shape(absent.text, nothing):
            wrong.append((key_of(route), answer.status_code, absent.status_code, answer.text[-160:]))
    assert not wrong, "\n".join(map(str, wrong))


def shape(text: str, ids: dict[str, str]) -> str:
    """An answer without what differs between any two: the ids asked for, and the names of the request."""
    for each in {*ids.values()} - {"1"}:
        text = text.replace(each, "ID")
    return re.sub(r'"(request-id|client-request-id|date)":"[^"]*"', "", text)


def test_no_listing_shows_what_another_tenant_has(world: AdminWorld, graph: Client) -> None:
    for route in routes_of(world):
        if route.method == "GET" and "{" not in route.template and "/managedTenants/" not in route.template:
            answer = graph.get(route.path)
            assert "fab00000" not in answer.text, route
            assert "abrikam" not in answer.text, route


def test_a_body_cannot_name_what_another_tenant_has(graph: Client) -> None:
    policy = graph.post(POLICIES, json=a_policy()).json()["id"]
    group = graph.post(GROUPS, json=a_group()).json()["id"]
    their_filter = "fab00000-0000-4000-8000-000000000005"
    calls: list[tuple[str, Any]] = [
        (f"{GROUPS}/{group}/members/$ref", {"@odata.id": f"https://x/devices/{FABRIKAM_DEVICE}"}),
        (
            "/beta/groups/evaluateDynamicMembership",
            {"memberId": FABRIKAM_DEVICE, "membershipRule": "device.displayName -ne null"},
        ),
        (GROUPS, a_group("Bound") | {"members@odata.bind": [f"https://x/devices/{FABRIKAM_DEVICE}"]}),
        (f"{POLICIES}/{policy}/assign", {"assignments": [to_group(FABRIKAM_GROUP)]}),
        (f"{POLICIES}/{policy}/assign", {"assignments": [to_group(FABRIKAM_GROUP, excluded=True)]}),
        (f"{POLICIES}/{policy}/assign", {"assignments": [narrowed(TO_ALL_DEVICES, their_filter)]}),
        (f"{POLICIES}/preview", a_policy(assignments=[to_group(FABRIKAM_GROUP)])),
        (f"{POLICIES}/changeSet", {"changes": [{"kind": "delete", "id": their_filter, "revision": 1}]}),
    ]
    for path, body in calls:
        assert graph.post(path, json=body).status_code in {400, 404}, (path, body)
    assert graph.get(f"{GROUPS}/{group}/members").json()["value"] == []
    assert graph.get(f"{POLICIES}/{policy}/assignments").json()["value"] == []


@pytest.mark.parametrize("path", [POLICIES, GROUPS, FILTERS])
def test_two_tenants_use_the_same_names_side_by_side(world: AdminWorld, path: str) -> None:
    adatum = a_tenant(id=TenantId(counted_id("9", 1)), domain="adatum.example", display_name="Adatum")
    with world.writing() as connection:
        tenants.add(connection, adatum)
    bodies = {POLICIES: a_policy("Same"), GROUPS: a_group("Same"), FILTERS: a_filter("Same")}
    clients = [world.application_client(*PERMISSIONS), world.application_client(*PERMISSIONS, tenant=adatum)]
    made = []
    for client in clients:
        answer = client.post(path, json=bodies[path])
        assert answer.status_code == 201, answer.text
        made.append(answer.json()["id"])
    for client, own, other in zip(clients, made, reversed(made), strict=True):
        assert client.get(f"{path}/{own}").status_code == 200
        assert client.get(f"{path}/{other}").status_code == 404
        client.close()
