"""A tenant as people know theirs, for looking at the admin center: sixty devices, policies that meet, trouble.

``furnish`` makes it with the services alone, so it stands in a test's own world and behind a real server alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final

from litestar import Litestar
from sqlalchemy import Column, Connection, select
from tests.manager.test_references import address_group
from tests.support.manager_world import CLOUD, DIAGNOSTIC, FIREWALL, FIREWALL_ON, chosen
from tests.support.policies import (
    ANTIVIRUS,
    EXCLUSIONS,
    FIREWALL_RULES,
    RULES,
    excluded_path,
    firewall_rule,
    items,
    texts,
)
from tests.support.portal_connections import Connections
from tests.support.portal_past import Past
from tests.support.portal_rights import Rights
from tests.support.samples import a_device

from shieldwall.catalog.model import Catalog, Kind
from shieldwall.contract.ids import (
    DeviceId,
    GroupId,
    KeyThumbprint,
    PackageId,
    PolicyId,
    SettingId,
    TemplateId,
    TenantId,
)
from shieldwall.contract.settings import SettingInstance
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.authorization import authorization_of, handlers_of
from shieldwall.server.directory import apps, people
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.groups import GroupDraft, create_group, join_members
from shieldwall.server.inventory.packages import PackageDraft, ServerAddress, create_package
from shieldwall.server.manager import unfinished
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.manager.filters import FilterDraft, create_filter
from shieldwall.server.manager.policies import Policies, PolicyDraft
from shieldwall.server.manager.reusable_settings import ReusableDraft, ReusableSettings
from shieldwall.server.portal.sessions import ADMINISTRATOR
from shieldwall.server.services import AdminServices
from shieldwall.server.storage import check_ins, devices
from shieldwall.server.storage.device_records import Device, DeviceState
from shieldwall.server.storage.records import AssignmentKind
from shieldwall.server.storage.schema import metadata

ACTOR: Final = "person:alan@contoso.example"
_DAYS: Final = 30
_FLEET: Final = (
    ("web", "Linux", "Debian 12", ("edge", "production"), 20),
    ("db", "Linux", "Ubuntu 24.04", ("production",), 10),
    ("pc", "Windows", "Windows 11 24H2", ("office",), 20),
    ("mac", "macOS", "macOS 15.1", ("design",), 10),
)
"""The beginning of a name, the system and its version, the tags, and how many there are."""
_PRODUCTS: Final = {
    "Linux": {"mdatp": "101.24112", "clamav": "1.4.1"},
    "Windows": {"windows_defender": "4.18"},
    "macOS": {"mdatp": "101.24082"},
}
_WINDOWS_ANTIVIRUS: Final = TemplateId("804339ad-1553-4478-a742-138fb5807418_1")
_WINDOWS_FIREWALL: Final = TemplateId("6078910e-d808-4a9f-a51d-1b8a7bacb7c0_1")
_MACOS_ANTIVIRUS: Final = TemplateId("2d345ec2-c817-49e5-9156-3ed416dc972a_1")
_TCP: Final = chosen(SettingId(f"{RULES}_item_protocol"), "tcp")
_UNWANTED: Final = {"telnet": "23", "SMB": "445"}


def _port(port: str) -> SettingInstance:
    return texts(f"{RULES}_item_localports", port)


NOBODYS: Final = "00000000-0000-4000-8000-000000000000"
"""What nothing is called."""
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
            yield path, re.sub(r"\{(\w+)\}", lambda found: self.named[found[1]], path)


def furnish(services: AdminServices, *, small: bool = False) -> Scene:
    """Make the tenant; a ``small`` one has a device of each kind, and everything else once."""
    return _Furnishing(services=services, now=services.clock.now(), each=1 if small else None).all()


@dataclass(frozen=True, kw_only=True)
class _Furnishing:
    services: AdminServices
    now: datetime
    each: int | None

    @cached_property
    def acting(self) -> Acting:
        return self.services.acting(ACTOR)

    @property
    def catalog(self) -> Catalog:
        return self.services.catalog

    def all(self) -> Scene:
        with self.services.database.write() as connection:
            package = self._package(connection)
            fleet = self._fleet(connection, package)
            groups = self._groups(connection, fleet)
            rule = create_filter(
                connection,
                self.acting,
                FilterDraft(display_name="Debian", platform="linux", rule='(device.osVersion -startsWith "Debian")'),
            )
            reusable = ReusableSettings(catalog=self.catalog, signer=self.services.signer).create(
                connection,
                self.acting,
                ReusableDraft(display_name="Branch offices", setting_instance=address_group("10.0.0.0/8")),
            )
            policies = self._policies(connection, groups)
            past = Past(services=self.services, now=self.now, fleet=fleet)
            past.report(connection)
            alert = past.alarm(connection)
            past.happen(connection)
            rights = Rights(services=self.services, now=self.now)
            viewer = rights.viewer(connection)
            rights.give(connection, viewer)
            begun = unfinished.begin_change(connection, self.acting, viewer.id, policies[1]).id
            person = people.create(
                connection, self.acting, user_name="grace@contoso.example", display_name="Grace Hopper"
            )
            app, _ = apps.create_app(
                connection, self.acting, display_name="Ticket system", permissions=("Device.Read.All",)
            )
        with self.services.database.write() as connection:
            past.keep_samples(connection)
            connected = Connections(services=self.services, now=self.now).made(connection)
            firsts = {name: _first(connection, column, self.services.tenant.id) for name, column in _FIRST.items()}
        named = firsts | connected | {
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
        return Scene(
            named=named, devices=tuple(each.id for each in fleet), policies=tuple(policies), groups=tuple(groups)
        )

    def _package(self, connection: Connection) -> PackageId:
        draft = PackageDraft(display_name="Data center", platforms=("linux", "windows", "macos"), tags=("production",))
        address = ServerAddress(urls=(self.services.settings.gateway_url,))
        record, _ = create_package(connection, self.acting, self.services.signer, draft, address)
        return record.id

    def _fleet(self, connection: Connection, package: PackageId) -> list[Device]:
        made: list[Device] = []
        for name, system, version, tags, number in _FLEET:
            for index in range(1, (self.each or number) + 1):
                kind = {"os_type": system, "os_version": version, "tags": tags, "package_id": package}
                device = self._device(len(made) + 1, f"{name}-{index:02d}", **kind)
                devices.add(connection, device)
                check_ins.add(connection, device.id)
                made.append(device)
        self.acting.tell(connection, frozenset(each.id for each in made))
        return made

    def _device(self, number: int, name: str, **more: Any) -> Device:
        state, reason = DeviceState.ACTIVE, None
        if number % 23 == 0:
            state, reason = DeviceState.PENDING, "approval"
        elif number % 29 == 0:
            state, reason = DeviceState.QUARANTINED, "clonedIdentity"
        device = a_device(
            number,
            id=self.services.new_id(),
            object_id=self.services.new_id(),
            tenant_id=self.services.tenant.id,
            display_name=name,
            providers=_PRODUCTS[more["os_type"]],
            state=state,
            state_reason=reason,
            key_thumbprint=KeyThumbprint(f"scene{number:038x}"),
            machine_id_hash=digest_of_bytes(name.encode()),
            registered_at=self.now - timedelta(days=number % _DAYS),
            agent_version="0.1.0" if number % 5 else "0.0.9",
            **more,
        )
        return replace(device, managed_elsewhere="Intune", enrollment_code=30) if number % 19 == 0 else device

    def _groups(self, connection: Connection, fleet: Sequence[Device]) -> list[GroupId]:
        made = []
        for name, rule in (
            ("Linux servers", 'device.deviceOSType -eq "Linux"'),
            ("Windows clients", 'device.deviceOSType -eq "Windows"'),
            ("Macs", 'device.deviceOSType -eq "macOS"'),
            ("Pilot", None),
        ):
            draft = GroupDraft(
                display_name=name,
                description=f"What the security team calls {name}",
                mail_nickname=name.lower().replace(" ", "-"),
                membership_rule=rule,
            )
            made.append(create_group(connection, self.acting, draft).id)
        join_members(connection, self.acting, made[-1], [each.id for each in fleet[::7]])
        return made

    def _policies(self, connection: Connection, groups: Sequence[GroupId]) -> list[PolicyId]:
        linux, windows, macs, pilot = groups
        cloud, level = chosen(CLOUD, "true"), SettingId(DIAGNOSTIC)
        rules = items(
            RULES, *(firewall_rule(f"No {name}", "block", _TCP, _port(port)) for name, port in _UNWANTED.items())
        )
        wanted: tuple[tuple[str, TemplateId, tuple[SettingInstance, ...], GroupId], ...] = (
            ("Linux baseline", ANTIVIRUS, (cloud, chosen(level, "0")), linux),
            ("Linux pilot", ANTIVIRUS, (chosen(CLOUD, "false"), chosen(level, "1")), pilot),
            ("Database exclusions", ANTIVIRUS, (items(EXCLUSIONS, excluded_path("/var/lib/postgresql")),), linux),
            ("Linux firewall", FIREWALL, (chosen(FIREWALL_ON, "true"),), linux),
            ("Linux firewall rules", FIREWALL_RULES, (rules,), linux),
            ("Windows baseline", _WINDOWS_ANTIVIRUS, self._choices(_WINDOWS_ANTIVIRUS), windows),
            ("Windows firewall", _WINDOWS_FIREWALL, self._choices(_WINDOWS_FIREWALL), windows),
            ("Mac baseline", _MACOS_ANTIVIRUS, self._choices(_MACOS_ANTIVIRUS), macs),
        )
        keeper = Policies(catalog=self.catalog, signer=self.services.signer)
        made = []
        for name, template, settings, group in wanted:
            about = self.catalog.template(template)
            draft = PolicyDraft(
                name=name,
                description=f"{name}, as the security team wants it",
                platforms=about.platforms,
                technologies=about.technologies,
                template_id=template,
                settings=settings,
            )
            policy = keeper.create(connection, self.acting, draft, reason="Agreed in the security round")
            assign(connection, self.acting, policy.id, [Assigned(kind=AssignmentKind.INCLUDE, group_id=group)])
            made.append(policy.id)
        first = PolicyDraft(
            name="Linux baseline",
            platforms="linux",
            technologies="microsoftSense",
            template_id=ANTIVIRUS,
            settings=(cloud, chosen(level, "1")),
        )
        keeper.update(connection, self.acting, made[0], first, reason="Ask for less")
        return made

    def _choices(self, template: TemplateId, most: int = 4) -> tuple[SettingInstance, ...]:
        """Choose something for the first few settings of a template that stand for themselves."""
        found = []
        for each in self.catalog.template(template).settings:
            definition = self.catalog.definition(each.definition)
            option = definition.options[-1] if definition.options else None
            if definition.kind is not Kind.CHOICE or option is None or definition.depends_on or definition.requires:
                continue
            if option.required_children or not definition.supported:
                continue
            found.append(chosen(definition.id, option.item_id.removeprefix(f"{definition.id}_")))
            if len(found) == most:
                break
        return tuple(found)


def _first(connection: Connection, column: Column[Any], tenant_id: TenantId) -> str:
    return str(connection.scalars(select(column).where(column.table.c.tenant_id == tenant_id).limit(1)).one())
