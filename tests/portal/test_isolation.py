"""No page reaches another tenant: every route of the admin center is walked with the ids of what Fabrikam owns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from litestar.routes import HTTPRoute
from sqlalchemy import Column
from tests.support.admin import PUBLIC_URL, AdminWorld, Client
from tests.support.samples import counted_id
from tests.support.second_tenant import rows_of_fabrikam

from shieldwall.server.access.authorization import authorization_of
from shieldwall.server.portal.sessions import ADMINISTRATOR
from shieldwall.server.storage.tables import schema
from shieldwall.server.storage.tables.schema import metadata

OWNED: Final[dict[str, Column[Any]]] = {
    "device_id": schema.devices.c.id,
    "policy_id": schema.policies.c.id,
    "unfinished_id": metadata.tables["unfinished_policies"].c.id,
    "group_id": schema.groups.c.id,
    "package_id": schema.onboarding_packages.c.id,
    "authority_id": metadata.tables["trusted_authorities"].c.id,
    "alert_id": metadata.tables["alerts"].c.id,
    "filter_id": metadata.tables["assignment_filters"].c.id,
    "setting_id": metadata.tables["reusable_settings"].c.id,
    "role_id": metadata.tables["role_definitions"].c.id,
    "assignment_id": metadata.tables["role_assignments"].c.id,
    "tag_id": metadata.tables["scope_tags"].c.id,
    "client_id": metadata.tables["apps"].c.client_id,
    "credential_id": metadata.tables["app_credentials"].c.id,
    "webhook_id": metadata.tables["receivers"].c.id,
    "subscription_id": metadata.tables["receivers"].c.id,
    "provider_id": metadata.tables["identity_providers"].c.id,
    "event_id": metadata.tables["audit_events"].c.id,
    "person_id": metadata.tables["people"].c.id,
    "passkey_digest": metadata.tables["passkeys"].c.digest,
}
"""Which column the parameter of a path names."""
FIXED: Final = {"kind": "json", "revision": "1", "code": "2", "work_id": "00000000-0000-4000-8000-000000000000"}
"""Parameters that choose how something is shown, or name what is in no table: work is its person's own."""
FORMS: Final[dict[str, dict[str, str]]] = {
    "/devices/{device_id}/merge": {"former": counted_id("c", 1)},
    "/devices/{device_id}/troubleshooting": {"hours": "1"},
    "/groups/{group_id}/members/add": {"devices": counted_id("c", 1)},
    "/groups/{group_id}/rule/preview": {"rule": "device.objectId -ne null"},
    "/groups/{group_id}/rule": {"rule": "device.objectId -ne null"},
    "/people/{person_id}/account": {"enabled": "no"},
    "/account/passkeys/{passkey_digest}/rename": {"name": "x"},
    "/clean-up/preview": {"silence": "30", "forget": "180", "history": "365"},
}
"""What else a form of a page says."""
LEAVING: Final = frozenset({"/sign-out", "/account/sessions/end-all"})
"""Forms after which nobody is signed in any more."""
_CSRF: Final = re.compile(r'name="csrf" value="([0-9a-f]+)"')


def routes_of(world: AdminWorld) -> Iterator[tuple[str, str]]:
    """Every method and path that a signed-in person may ask for."""
    for route in world.framework.routes:
        assert isinstance(route, HTTPRoute)
        for method, (handler, _) in route.route_handler_map.items():
            if method != "OPTIONS" and ADMINISTRATOR in authorization_of(handler.opt).permissions:
                yield str(method), route.path_format


def test_every_parameter_of_a_page_says_what_it_names(world: AdminWorld) -> None:
    named = {name for _, path in routes_of(world) for name in re.findall(r"\{(\w+)\}", path)}

    assert named - OWNED.keys() - FIXED.keys() == set()


def test_no_page_shows_or_touches_what_another_tenant_has(world: AdminWorld, ada: Client) -> None:
    with world.services.database.read() as connection:
        rows = rows_of_fabrikam(connection)
    theirs = FIXED | {name: rows[column.table.name][0][column.name] for name, column in OWNED.items()}
    found = _CSRF.search(ada.get("/").text)
    assert found is not None
    wrong = []
    for method, path in routes_of(world):
        if path in LEAVING:
            continue
        url = re.sub(r"\{(\w+)\}", lambda name: theirs.get(name[1], "x"), path)
        form = {"csrf": found[1], **FORMS.get(path, {})} if method == "POST" else None
        answer = ada.request(method, url, data=form, headers={"Origin": PUBLIC_URL})
        is_about_theirs = not OWNED.keys().isdisjoint(re.findall(r"\{(\w+)\}", path))
        if is_about_theirs and answer.status_code != 404:
            wrong.append(f"{method} {path}: {answer.status_code}")
        if not is_about_theirs and ("fab00000" in answer.text or "fabrikam.test" in answer.text):
            wrong.append(f"{method} {path} names Fabrikam")
    assert not wrong, "\n".join(wrong)
