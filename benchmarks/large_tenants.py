"""A tenant with a fleet of any size, as the admin center shows it: devices, groups, policies, reports, what happened.

Devices are of some hundred kinds: a system, the groups they are in, who manages them. One of each kind is aimed at by
the server itself; the others are written in bulk with its target, and with one of the reports that fit it: most say
that all is well, some that a setting failed, was put back or is not as it should be, and some say nothing yet.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Connection, text
from tests.support.admin import AdminWorld
from tests.support.manager_world import ACTOR
from tests.support.samples import NOON, TENANT_ID, a_device, a_group, counted_id, group_id

from shieldwall.catalog.model import Catalog, Kind, PolicyTemplate
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId, Digest
from shieldwall.contract.settings import ChoiceSetting, ChoiceValue, SettingInstance, SimpleSetting, SimpleValue
from shieldwall.contract.status import SettingState, SettingStatus, StatusReport
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.policy.outcomes import Conflict, Decided
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.manager.drafts import PolicyDraft
from shieldwall.server.manager.statuses import effective_of
from shieldwall.server.manager.targeting import retarget
from shieldwall.server.storage import groups, inventory_rows, statuses
from shieldwall.server.storage.alerts import Severity
from shieldwall.server.storage.database import Database
from shieldwall.server.storage.device_records import Device, DeviceState
from shieldwall.server.storage.devices import columns_of_device
from shieldwall.server.storage.records import AssignmentKind
from shieldwall.server.storage.schema import (
    audit_events,
    check_ins,
    devices,
    group_members,
    inventory,
    membership_events,
)
from shieldwall.server.storage.schema import metadata as schema

POLICIES, GROUPS, SETS_OF_GROUPS, PORTION = 60, 80, 24, 10_000
_SYSTEMS: Final = (
    ("Linux", "linux", ("Debian 12", "Debian 13", "Ubuntu 24.04", "RHEL 9.4")),
    ("Windows", "windows10", ("10.0.22631", "10.0.26100", "Server 2022")),
    ("macOS", "macOS", ("14.6", "15.1")),
)
_PEOPLE: Final = ("person:Ada", "person:Grace", "person:Edsger", "app:Automation")
_ACTS: Final = (
    ("policy.published", "policy"),
    ("group.changed", "group"),
    ("device.tagged", "device"),
    ("package.created", "package"),
    ("alert.resolved", "alert"),
)


@dataclass(frozen=True, slots=True)
class Variety:
    """Devices that are alike: what they are, their groups, their target, the reports that fit it and how it went."""

    device: Device
    groups: tuple[int, ...]
    target: Digest | None
    reports: tuple[tuple[Digest, Mapping[str, Any]], ...]


def fill(world: AdminWorld, fleet: int) -> None:
    """Make the tenant; the database has its tables and the tenant, and nothing else."""
    chance = random.Random(7)  # noqa: S311 - made-up fleets, nothing secret
    database = world.services.database
    _hurry(database)
    with database.write() as connection:
        for number in range(GROUPS):
            groups.add(connection, a_group(number, display_name=f"Group {number}"))
        _policies(world, connection, chance)
        varieties = list(_varieties(world, connection, chance))
    triggers = _without_triggers(database)
    first = len(varieties)
    for start in range(first, fleet, PORTION):
        _add_devices(database, chance, varieties, range(start, min(fleet, start + PORTION)))
    _add_what_happened(database, chance, fleet)
    with database.engine.connect() as connection:
        for statement in triggers:
            connection.exec_driver_sql(statement)
        connection.commit()
        connection.exec_driver_sql("ANALYZE")
        connection.commit()


def _hurry(database: Database) -> None:
    """What is written here may be lost: it is made again."""
    pooled = database.engine.raw_connection()  # outside of any transaction; the pool hands this one out again
    driver = pooled.driver_connection
    assert isinstance(driver, sqlite3.Connection), "fleets this large are made on SQLite"
    driver.execute("PRAGMA synchronous=OFF")
    driver.execute("PRAGMA cache_size=-1000000")
    pooled.close()


def _without_triggers(database: Database) -> list[str]:
    """Take SQLite's triggers away, which follow changes nobody reads here; return them, to be put back."""
    with database.engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").all()
        for name, _ in found:
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        connection.commit()
    return [statement for _, statement in found]


def _policies(world: AdminWorld, connection: Connection, chance: random.Random) -> None:
    """Make policies of all kinds with plain settings; each is for everybody or for some groups."""
    manager = world.manager
    templates = [each for each in world.services.catalog.templates.values() if _plain(world.services.catalog, each)]
    made = 0
    while made < POLICIES:
        draft = _draft(world.services.catalog, chance, chance.choice(templates), made)
        try:
            with connection.begin_nested():
                policy = manager.policies.create(connection, manager.acting, draft)
        except ShieldwallError:
            continue  # some settings do not go without others
        made += 1
        wanted = [Assigned(kind=AssignmentKind.ALL_DEVICES)]
        if made % 4:
            some = chance.sample(range(GROUPS), 8)
            wanted = [Assigned(kind=AssignmentKind.INCLUDE, group_id=group_id(number)) for number in some]
        assign(connection, manager.acting, policy.id, wanted)


def _plain(catalog: Catalog, template: PolicyTemplate) -> list[Any]:
    definitions = [catalog.definition(each.definition) for each in template.settings]
    return [each for each in definitions if each.kind in {Kind.CHOICE, Kind.SIMPLE_INTEGER}]


def _draft(catalog: Catalog, chance: random.Random, template: PolicyTemplate, number: int) -> PolicyDraft:
    plain = _plain(catalog, template)
    settings: list[SettingInstance] = []
    for definition in chance.sample(plain, max(1, len(plain) // 3)):
        if definition.options:
            wanted = chance.choice(definition.options) if chance.random() < 0.02 else definition.options[-1]
            value = ChoiceValue(value=wanted.item_id)  # mostly the same: few policies are at odds
            settings.append(ChoiceSetting(definition=definition.id, value=value))
        else:
            low = definition.limits.minimum or 0
            simple = SimpleValue(kind="integer", value=low)
            settings.append(SimpleSetting(definition=definition.id, value=simple))
    return PolicyDraft(
        name=f"{template.display_name} {number}",
        platforms=template.platforms,
        technologies=template.technologies,
        template_id=template.id,
        settings=tuple(settings),
    )


def _varieties(world: AdminWorld, connection: Connection, chance: random.Random) -> Iterator[Variety]:
    """Let one device of each kind join, so that the server aims at it, and write the reports that fit."""
    number = 0
    manager, catalog = world.manager, world.services.catalog
    for os_type, _, versions in _SYSTEMS:
        for _ in range(SETS_OF_GROUPS):
            mine = tuple(sorted(chance.sample(range(GROUPS), 4)))
            elsewhere = chance.random() < 0.05
            device = replace(
                a_device(number),
                os_type=os_type,
                os_version=chance.choice(versions),
                catalog_version=catalog.version,
                managed_elsewhere="Intune" if elsewhere else None,
                enrollment_code=3 if elsewhere else 1,
                registered_at=NOON - timedelta(days=90),
            )
            manager.join(connection, number, **_changes(device, a_device(number)))
            for group in mine:
                groups.add_members(connection, group_id(group), [device.id])
            retarget(connection, [device.id], NOON)
            yield _variety(world, connection, chance, device, mine)
            number += 1


def _changes(device: Device, plain: Device) -> dict[str, Any]:
    names = ("os_type", "os_version", "catalog_version", "managed_elsewhere", "enrollment_code", "registered_at")
    return {name: getattr(device, name) for name in names if getattr(device, name) != getattr(plain, name)}


def _variety(
    world: AdminWorld, connection: Connection, chance: random.Random, device: Device, mine: tuple[int, ...]
) -> Variety:
    effect = effective_of(connection, world.services.catalog, TENANT_ID, device.id)
    target = effect.check_in.target_digest
    assert target is not None, "every device that joined has a target"
    well = [_said(each.setting, each.resolution) for each in effect.settings]
    decided = [place for place, each in enumerate(well) if each.state is SettingState.SUCCEEDED]
    versions = [well] * 12
    for state in ("error", "repaired", "drifted"):
        if decided:
            place = chance.choice(decided)
            versions.append([*well[:place], _wrong(well[place], state), *well[place + 1 :]])
    reports = []
    for settings in versions:
        report = StatusReport(target=target, settings=tuple(settings))
        reports.append((statuses.keep(connection, TENANT_ID, report), inventory_rows.counted(report)))
    return Variety(device, mine, target, tuple(reports))


def _said(setting: Any, resolution: Any) -> SettingStatus:
    match resolution:
        case Decided():
            return SettingStatus(
                setting=setting,
                state=SettingState.SUCCEEDED,
                provider="bench",
                value="as wanted",
                read_back="as wanted",
                written=True,
                effective=True,
            )
        case Conflict():
            return SettingStatus(setting=setting, state=SettingState.CONFLICT, code="conflict")
        case _:
            return SettingStatus(setting=setting, state=SettingState.NOT_APPLICABLE, code="notApplicable")


def _wrong(status: SettingStatus, how: str) -> SettingStatus:
    said: dict[str, Any] = {"setting": status.setting, "provider": "bench", "value": "as wanted", "written": True}
    match how:
        case "error":
            return SettingStatus(**said, state=SettingState.ERROR, code="writeFailed", reason="The file is read-only.")
        case "repaired":
            return SettingStatus(**said, state=SettingState.SUCCEEDED, code="repaired", read_back="as wanted")
        case _:
            return SettingStatus(**said, state=SettingState.ERROR, code="drifted", read_back="something else")


def _add_devices(
    database: Database, chance: random.Random, varieties: Sequence[Variety], numbers: Iterable[int]
) -> None:
    made, listed, seen, members = [], [], [], []
    for number in numbers:
        kind = chance.choice(varieties)
        device = _device(chance, kind, number)
        digest, counted = chance.choice(kind.reports)
        told = chance.random() > 0.02 and device.state is DeviceState.ACTIVE
        made.append(columns_of_device(device))
        listed.append(_listed(device, counted if told else {"trouble": False, "repaired": 0, "drifted": 0}))
        seen.append(_check_in(chance, device, kind.target, digest if told else None))
        members += [
            {"group_id": group_id(group), "device_id": device.id, "tenant_id": TENANT_ID} for group in kind.groups
        ]
    with database.write() as connection:
        connection.execute(devices.insert(), made)
        connection.execute(inventory.insert(), listed)
        connection.execute(check_ins.insert(), seen)
        connection.execute(group_members.insert(), members)


def _device(chance: random.Random, kind: Variety, number: int) -> Device:
    state = DeviceState.ACTIVE
    if chance.random() < 0.03:
        state = chance.choice([each for each in DeviceState if each is not DeviceState.ACTIVE])
    return replace(
        kind.device,
        id=DeviceId(f"{chance.getrandbits(32):08x}-0000-4000-8000-{number:012x}"),
        object_id=counted_id("b", number),
        display_name=f"{chance.choice(('server', 'edge', 'db', 'desk', 'laptop'))}-{number}",
        state=state,
        manufacturer=chance.choice(("Fabrikam", "Northwind", "Tailspin")),
        model=f"Model {number % 20}",
        agent_version=chance.choice(("0.9.0", "0.10.0", "0.10.1", "0.11.0")),
        tags=("MDE-Management", "rare") if number % 1000 == 7 else ("MDE-Management",),
        key_thumbprint=f"{number:043d}",  # type: ignore[arg-type]  # looks like one
        public_key=bytes(65),
        certificate="-" * 1_000,
        request_digest=digest_of_bytes(b"%d" % number),
        instance_id=f"{number:032d}",
        machine_id_hash=digest_of_bytes(b"m%d" % (number - (number % 5_000 == 1))),
        smbios_uuid_hash=digest_of_bytes(b"s%d" % number),
        registered_at=NOON - timedelta(seconds=chance.randint(0, 7_776_000)),
        retired_at=NOON if state is DeviceState.RETIRED else None,
    )


def _listed(device: Device, counted: Mapping[str, Any]) -> dict[str, Any]:
    trouble, repaired, drifted = counted["trouble"], counted["repaired"], counted["drifted"]
    said = {"report_trouble": trouble, "repaired": repaired, "drifted": drifted}
    return inventory_rows.row_of(device) | said | {"exposure": repaired + drifted, "impaired": trouble}


def _check_in(chance: random.Random, device: Device, target: Digest | None, status: Digest | None) -> dict[str, Any]:
    silent = chance.random() < 0.01
    ago = timedelta(days=chance.randint(8, 50)) if silent else timedelta(seconds=chance.randint(0, 6_000))
    never = status is None and chance.random() < 0.25
    return {
        "device_id": device.id,
        "tenant_id": TENANT_ID,
        "epoch": 1,
        "seq": 1,
        "last_check_in": None if never else NOON - ago,
        "target_digest": target,
        "status_digest": None if never else status,
        "status_at": None if status is None else NOON - ago,
    }


def _add_what_happened(database: Database, chance: random.Random, fleet: int) -> None:
    """Write the audit trail of three months, alerts, what devices told and who came to which group."""
    with database.read() as connection:
        some = list(connection.scalars(text("SELECT id FROM devices ORDER BY object_id LIMIT 20000")))
    many = fleet // 5
    alert_rows = [_alert(chance, number, chance.choice(some)) for number in range(max(20, fleet // 40))]
    with database.write() as connection:
        connection.execute(audit_events.insert(), [_event(chance, number, some) for number in range(many)])
        connection.execute(schema.tables["alerts"].insert(), alert_rows)
        told = [_told(chance, number, chance.choice(some)) for number in range(many // 2)]
        connection.execute(schema.tables["device_events"].insert(), told)
        moved = [_moved(chance, number, chance.choice(some)) for number in range(many // 2)]
        connection.execute(membership_events.insert(), moved)


def _at(chance: random.Random) -> Any:
    return NOON - timedelta(seconds=chance.randint(0, 7_776_000))


def _event(chance: random.Random, number: int, some: Sequence[str]) -> dict[str, Any]:
    activity, kind = chance.choice(_ACTS)
    return {
        "id": counted_id("1", number),
        "tenant_id": TENANT_ID,
        "at": _at(chance),
        "actor": chance.choice((*_PEOPLE, ACTOR)),
        "activity": activity,
        "object_kind": kind,
        "object_id": chance.choice(some),
        "details": '{"name":"something"}',
    }


def _alert(chance: random.Random, number: int, device: str) -> dict[str, Any]:
    at = _at(chance)
    closed = number % 5 != 0
    return {
        "id": counted_id("2", number),
        "tenant_id": TENANT_ID,
        "device_id": device,
        "kind": chance.choice(("tampering", "clonedIdentity", "settingContested", "malwareFound")),
        "severity": chance.choice(list(Severity)).value,
        "title": f"Something happened {number % 12}",
        "details": "{}",
        "first_at": at,
        "last_at": at,
        "times": chance.randint(1, 9),
        "resolved_at": at if closed else None,
        "resolved_by": "person:Ada" if closed else None,
    }


def _told(chance: random.Random, number: int, device: str) -> dict[str, Any]:
    at = _at(chance)
    return {
        "id": counted_id("3", number),
        "tenant_id": TENANT_ID,
        "device_id": device,
        "at": at,
        "received_at": at,
        "kind": "malwareFound",
        "severity": "high",
        "title": "A file was found",
        "subject": f"/srv/data/{number}",
        "details": "{}",
        "times": 1,
    }


def _moved(chance: random.Random, number: int, device: str) -> dict[str, Any]:
    return {
        "id": counted_id("4", number),
        "tenant_id": TENANT_ID,
        "group_id": group_id(chance.randrange(GROUPS)),
        "device_id": device,
        "at": _at(chance),
        "joined": True,
        "cause": "ruleChanged person:Ada",
    }
