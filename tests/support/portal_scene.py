"""A tenant as people know theirs, for looking at the admin center: sixty devices, policies that meet, trouble.

``furnish`` makes it with the services alone, so it stands in a test's own world and behind a real server alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from litestar import Litestar
from sqlalchemy import Column, Connection, select
from tests.manager.test_references import address_group
from tests.support.policies import EXCLUSIONS
from tests.support.portal_connections import Connections
from tests.support.portal_fleet import DAYS, Fleet
from tests.support.portal_past import Past
from tests.support.portal_policies import EXCLUDING, Written
from tests.support.portal_rights import Rights
from tests.support.samples import HandClock
from tests.support.signing_inside import SigningInside

from shieldwall.contract.ids import (
    DeviceId,
    GroupId,
    PolicyId,
    TenantId,
)
from shieldwall.server.access.authorization import authorization_of
from shieldwall.server.admin.declared_routes import handlers_of
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory import apps, people
from shieldwall.server.directory.acting import Acting
from shieldwall.server.manager import unfinished
from shieldwall.server.manager.filters import FilterDraft, create_filter
from shieldwall.server.manager.reusable_settings import ReusableDraft, ReusableSettings
from shieldwall.server.portal.sessions import ADMINISTRATOR
from shieldwall.server.storage.tables.schema import metadata

ACTOR: Final = "person:alan@contoso.example"
NOBODYS: Final = "00000000-0000-4000-8000-000000000000"
"""What nothing is called."""
_QUERIES: Final = {"/policies/unfinished/{unfinished_id}/item": f"setting={EXCLUSIONS}&place=0"}
"""What pages are asked for that show nothing without it."""
_FIRST: Final[Mapping[str, Column[Any]]] = {
    "assignment_id": metadata.tables["role_assignments"].c.id,
    "authority_id": metadata.tables["trusted_authorities"].c.id,
    "credential_id": metadata.tables["app_credentials"].c.id,
    "event_id": metadata.tables["audit_events"].c.id,
    "role_id": metadata.tables["role_definitions"].c.id,
    "tag_id": metadata.tables["scope_tags"].c.id,
}
"""What paths call by whatever is there first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What there is, by what paths call it: ``named`` has a value for every parameter of a page's path."""

    named: Mapping[str, str]
    devices: tuple[DeviceId, ...]
    policies: tuple[PolicyId, ...]
    groups: tuple[GroupId, ...]

    def pages(self, routes: Litestar) -> Iterator[tuple[str, str]]:
        """Yield every page that a person may open: its path as declared, and one that leads to something real."""
        for method, route, handler in handlers_of(routes):
            path = route.path_format
            if method != "GET" or ADMINISTRATOR not in authorization_of(handler.opt).permissions:
                continue
            wanted = re.findall(r"\{(\w+)\}", path)
            unknown = set(wanted) - self.named.keys()
            assert not unknown, f"portal_scene names nothing for {unknown} of {path}"
            query = f"?{_QUERIES[path]}" if path in _QUERIES else ""
            yield path, re.sub(r"\{(\w+)\}", lambda found: self.named[found[1]], path) + query


def furnish(services: AdminServices, *, small: bool = False) -> Scene:
    """Make the tenant; a ``small`` one has a device of each kind, and everything else once."""
    now = services.clock.now()
    clock = HandClock(at=now)
    return _Furnishing(services=replace(services, clock=clock), clock=clock, now=now, each=1 if small else None).all()


@dataclass(frozen=True, kw_only=True)
class _Furnishing:
    services: AdminServices
    """With the clock below, so that what is made was made when that says."""
    clock: HandClock
    now: datetime
    each: int | None

    @property
    def acting(self) -> Acting:
        return self.services.acting(ACTOR)

    def _ago(self, **units: float) -> None:
        self.clock.at = self.now - timedelta(**units)

    def all(self) -> Scene:
        with self.services.database.write() as connection:
            house = Fleet(services=self.services, actor=ACTOR, now=self.now, each=self.each)
            self._ago(days=DAYS + 1)
            package = house.package(connection)
            self._ago(days=DAYS)
            fleet = house.devices(connection, package)
            self._ago(days=DAYS - 1)
            groups = house.groups(connection, fleet)
            rule = create_filter(
                connection,
                self.acting,
                FilterDraft(display_name="Debian", platform="linux", rule='(device.osVersion -startsWith "Debian")'),
            )
            reusable = ReusableSettings(
                catalog=self.services.catalog, signatures=SigningInside(self.services.signer)
            ).create(
                connection,
                self.acting,
                ReusableDraft(display_name="Branch offices", setting_instance=address_group("10.0.0.0/8")),
            )
            written = Written(services=self.services, actor=ACTOR, clock=self.clock, now=self.now)
            policies = written.all(connection, groups)
            past = Past(services=self.services, now=self.now, fleet=fleet)
            past.report(connection)
            alert = past.alarm(connection)
            past.happen(connection)
            self._ago(days=2, hours=1)
            rights = Rights(services=self.services, now=self.now)
            viewer = rights.viewer(connection)
            rights.give(connection, viewer)
            person = people.create(
                connection, self.acting, user_name="grace@contoso.example", display_name="Grace Hopper"
            )
            self._ago(hours=26)
            app, _ = apps.create_app(
                connection, self.acting, display_name="Ticket system", permissions=("Device.Read.All",)
            )
            self._ago(minutes=40)
            begun = unfinished.begin_change(connection, self.acting, viewer.id, policies[EXCLUDING]).id
            self._ago(hours=2)
        with self.services.database.write() as connection:
            past.keep_samples(connection)
            connected = Connections(services=self.services, now=self.now).made(connection)
            self._ago(minutes=0)
            firsts = {name: _first(connection, column, self.services.tenant.id) for name, column in _FIRST.items()}
        named = (
            firsts
            | connected
            | {
                "device_id": fleet[0].id,
                "policy_id": policies[0],
                "group_id": groups[0],
                "package_id": package,
                "alert_id": alert,
                "person_id": person.id,
                "filter_id": rule.id,
                "setting_id": reusable.id,
                "client_id": app.client_id,
                "revision": "1",
                "code": "2",
                "kind": "csv",
                "work_id": NOBODYS,
                "unfinished_id": begun,
            }
        )
        return Scene(
            named=named, devices=tuple(each.id for each in fleet), policies=tuple(policies), groups=tuple(groups)
        )


def _first(connection: Connection, column: Column[Any], tenant_id: TenantId) -> str:
    return str(connection.scalars(select(column).where(column.table.c.tenant_id == tenant_id).limit(1)).one())
