"""A tenant with a fleet of any size, as the admin center shows it: devices, groups, policies, reports, what happened.

Devices are of some hundred kinds: a system, the groups they are in, who manages them. One of each kind is aimed at by
the server itself; the others are written in bulk with its target, and with one of the reports that fit it: most say
that all is well, some that a setting failed, was put back or is not as it should be, and some say nothing yet.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Table
from tests.support.admin import AdminWorld
from tests.support.manager_world import caller
from tests.support.samples import NOON, TENANT_ID, a_device, a_group, counted_id, group_id

from benchmarks.bulk_filling import Filling, Row, filling
from benchmarks.past_of_tenants import GROUPS, add_what_happened
from shieldwall.catalog.model import Catalog, Kind, PolicyTemplate
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId, Digest
from shieldwall.contract.messages import PROTOCOL
from shieldwall.contract.settings import ChoiceSetting, ChoiceValue, SettingInstance, SimpleSetting, SimpleValue
from shieldwall.contract.status import SettingState, SettingStatus, StatusReport
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.policy.outcomes import Conflict, Decided
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.manager.check_in import ToAnswer
from shieldwall.server.manager.drafts import PolicyDraft
from shieldwall.server.manager.statuses import effective_of
from shieldwall.server.manager.targeting import retarget
from shieldwall.server.storage.check_ins import statuses, targets
from shieldwall.server.storage.device_records import Device, DeviceState
from shieldwall.server.storage.devices.devices import columns_of_device
from shieldwall.server.storage.devices.sightings import SightingKind
from shieldwall.server.storage.groups import groups
from shieldwall.server.storage.groups.group_members import add_members
from shieldwall.server.storage.inventory import inventory_rows
from shieldwall.server.storage.records import AssignmentKind
from shieldwall.server.storage.tables.device_schema import device_reports, sightings
from shieldwall.server.storage.tables.schema import (
    check_in_answers,
    check_ins,
    device_texts,
    devices,
    group_members,
    inventory,
)

POLICIES, SETS_OF_GROUPS, PORTION = 60, 24, 10_000
_SYSTEMS: Final = (
    ("Linux", "linux", ("Debian 12", "Debian 13", "Ubuntu 24.04", "RHEL 9.4")),
    ("Windows", "windows10", ("10.0.22631", "10.0.26100", "Server 2022")),
    ("macOS", "macOS", ("14.6", "15.1")),
)
_WRITTEN: Final = (
    devices,
    inventory,
    device_texts,
    check_ins,
    group_members,
    check_in_answers,
    sightings,
    device_reports,
)
_CHECK_INS: Final = 2_000
_NOTHING_TOLD: Final[Mapping[str, Any]] = {"trouble": False, "repaired": 0, "drifted": 0}
_CERTIFICATE: Final = f"-----BEGIN CERTIFICATE-----\n{'MIIB' * 150}\n-----END CERTIFICATE-----\n"
"""As long as those that the signer issues."""


@dataclass(frozen=True, slots=True)
class Variety:
    """Devices that are alike: what they are, their groups, their target, the reports that fit it and how it went.

    ``answer`` is what the check-in was told that fetched the target.
    """

    device: Device
    groups: tuple[int, ...]
    target: Digest
    answer: bytes
    reports: tuple[tuple[Digest, Mapping[str, Any]], ...]


def fill(world: AdminWorld, fleet: int) -> None:
    """Make the tenant; the database has its tables and the tenant, and nothing else."""
    chance = random.Random(7)  # noqa: S311 - made-up fleets, nothing secret
    database = world.services.database
    with database.write() as connection:
        for number in range(GROUPS):
            groups.add(connection, a_group(number, display_name=f"Group {number}"))
        _policies(world, connection, chance)
        varieties = list(_varieties(world, connection, chance))
    with filling(database) as tables:
        ids: list[str] = []
        for start in range(len(varieties), fleet, PORTION):
            ids += _add_devices(tables, chance, varieties, range(start, min(fleet, start + PORTION)))
        add_what_happened(tables, chance, fleet, sorted(ids)[:20_000])


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
                add_members(connection, group_id(group), [device.id])
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
    to_answer = ToAnswer(caller=caller(device.id), seq=1, target=targets.get(connection, TENANT_ID, target), want=())
    return Variety(device, mine, target, world.manager.check_in.answer(to_answer), tuple(reports))


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
    tables: Filling, chance: random.Random, varieties: Sequence[Variety], numbers: Iterable[int]
) -> list[str]:
    """Write devices and all that a server has of each after some months; return their ids."""
    rows: dict[Table, list[Row]] = {table: [] for table in _WRITTEN}
    for number in numbers:
        kind = chance.choice(varieties)
        device = _device(chance, kind, number)
        digest, counted = chance.choice(kind.reports)
        told = chance.random() > 0.02 and device.state is DeviceState.ACTIVE
        seen = _check_in(chance, device, kind.target, digest if told else None)
        if seen["last_check_in"] is not None:
            device = replace(device, certificate="")  # it has it, and housekeeping forgot it
        numbered = {"number": number + 1}  # after those of the varieties, which the database numbered itself
        rows[devices].append(columns_of_device(device) | numbered)
        rows[inventory].append(_listed(device, counted if told else _NOTHING_TOLD) | numbered)
        rows[device_texts].append(inventory_rows.text_of(device) | numbered)
        rows[check_ins].append(seen)
        rows[group_members] += [
            {"group_number": group + 1, "device_number": number + 1} for group in sorted(kind.groups)
        ]
        if seen["last_check_in"] is not None:
            rows[check_in_answers].append(_answered(chance, device, kind.answer))
            rows[sightings].append(_seen_at(device, seen))
        if told:
            rows[device_reports].append(_reported(device, counted, seen["last_check_in"]))
    for table, several in rows.items():
        tables.write(table, several)
    return [device["id"] for device in rows[devices]]


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
        certificate=_CERTIFICATE,
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


def _answered(chance: random.Random, device: Device, answer: bytes) -> Row:
    """What its last check-in with news was told; of most devices another followed, and housekeeping emptied it."""
    newest = chance.random() < 0.01
    return {
        "device_id": device.id,
        "seq": _CHECK_INS if newest else 1,
        "body": answer if newest else b"",
        "tenant_id": TENANT_ID,
    }


def _seen_at(device: Device, seen: Row) -> Row:
    """The one place where a device was seen."""
    return {
        "tenant_id": TENANT_ID,
        "device_id": device.id,
        "at": device.registered_at,
        "kind": SightingKind.CHECK_IN.value,
        "instance_id": device.instance_id,
        "boot_id": f"{device.id[:8]}-0000-4000-8000-000000000000",
        "request_digest": seen["request_digest"],
        "epoch": 1,
    }


def _reported(device: Device, counted: Mapping[str, Any], at: datetime) -> Row:
    return {
        "device_id": device.id,
        "at": at,
        "tenant_id": TENANT_ID,
        "states": counted["states"],
        "repaired": counted["repaired"],
        "drifted": counted["drifted"],
    }


def _check_in(chance: random.Random, device: Device, target: Digest | None, status: Digest | None) -> dict[str, Any]:
    silent = chance.random() < 0.01
    ago = timedelta(days=chance.randint(8, 50)) if silent else timedelta(seconds=chance.randint(0, 6_000))
    never = status is None and chance.random() < 0.25
    return {
        "device_id": device.id,
        "tenant_id": TENANT_ID,
        "epoch": 1,
        "seq": 1 if never else _CHECK_INS,
        "request_digest": None if never else device.request_digest,
        "last_check_in": None if never else NOON - ago,
        "target_digest": target,
        "facts_digest": None if never else device.machine_id_hash,
        "status_digest": None if never else status,
        "status_at": None if status is None else NOON - ago,
        "protocol": PROTOCOL,
    }
