"""Keeping the rows of ``inventory`` and ``device_texts`` true: written with a device, and with its reports."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final

from sqlalchemy import Connection, bindparam, insert, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from shieldwall.contract.ids import DeviceId, Digest
from shieldwall.contract.status import SEVERITY, SettingState, SettingStatus, StatusReport, gravest
from shieldwall.server.storage.device_records import Device
from shieldwall.server.storage.tables.folding import fold
from shieldwall.server.storage.tables.inventory_schema import LONGEST_KEY, device_texts, inventory
from shieldwall.server.storage.tables.schema import devices, status_documents, tenants

SEPARATOR: Final = "\x1f"
"""Stands around each tag and between what is searched: nobody can type it into a name."""
TROUBLED_ENGINES: Final = frozenset({"engineNotAnswering", "notRunning", "unreadableHealth"})
"""What a device says instead of a version about a product that is there and does not work."""
REPAIRED: Final = "repaired"
"""The code of a setting that somebody had changed and the agent put back."""
MDE: Final = "MDE"
_NUMBER: Final = re.compile(r"\d+")
_DIGITS: Final = 6

_OF: Final = "of_device"
_ITS_NUMBER: Final = select(devices.c.number).where(devices.c.id == bindparam(_OF)).scalar_subquery()

_TAKE_REPORT: Final = (
    update(inventory)
    .where(
        inventory.c.device_id == bindparam("device"),
        tenants.c.number == inventory.c.tenant_id,
        status_documents.c.tenant_id == tenants.c.id,
        status_documents.c.digest == bindparam("report"),
    )
    .values(
        report_trouble=status_documents.c.trouble,
        repaired=status_documents.c.repaired,
        drifted=status_documents.c.drifted,
        exposure=status_documents.c.repaired + status_documents.c.drifted,
        impaired=or_(inventory.c.engine_trouble, status_documents.c.trouble),
    )
)


def keep(connection: Connection, device: Device) -> None:
    """Write what is listed and searched of a device that was added or changed; what it reported stays."""
    kept, looked_through = row_of(device), text_of(device)
    insert_into = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert
    statement = insert_into(inventory)
    changed: dict[str, Any] = {name: statement.excluded[name] for name in kept if name != "device_id"}
    changed["impaired"] = or_(statement.excluded.engine_trouble, inventory.c.report_trouble)
    statement = statement.values(number=_ITS_NUMBER).on_conflict_do_update(index_elements=["number"], set_=changed)
    connection.execute(statement, kept | {"impaired": kept["engine_trouble"], _OF: device.id})
    statement = insert_into(device_texts)
    text, state = statement.excluded.text, statement.excluded.state
    statement = statement.values(number=_ITS_NUMBER).on_conflict_do_update(
        index_elements=["number"],
        set_={"text": text, "state": state},
        where=or_(device_texts.c.text != text, device_texts.c.state != state),
    )
    connection.execute(statement, looked_through | {_OF: device.id})


def _nothing(_device: Device) -> Mapping[str, Any]:
    return {}


def add(
    connection: Connection, added: Iterable[Device], reported: Callable[[Device], Mapping[str, Any]] = _nothing
) -> None:
    """Write the rows of devices that were added and have none yet; ``reported`` is what stands beside ``row_of``."""
    devices_added = list(added)
    rows = [row_of(each) | {_OF: each.id} for each in devices_added]
    for each, row in zip(devices_added, rows, strict=True):
        row |= {"impaired": row["engine_trouble"], **reported(each)}
    connection.execute(insert(inventory).values(number=_ITS_NUMBER), rows)
    texts = [text_of(each) | {_OF: each.id} for each in devices_added]
    connection.execute(insert(device_texts).values(number=_ITS_NUMBER), texts)


def refresh(connection: Connection, changed: Iterable[Device]) -> None:
    """Write what is listed of several devices."""
    for device in changed:
        keep(connection, device)


def take_report(connection: Connection, device_id: DeviceId, digest: Digest) -> None:
    """Note what a device's newest report comes to; it was counted once, when it was kept."""
    connection.execute(_TAKE_REPORT, {"device": device_id, "report": digest})


def counted(report: StatusReport) -> dict[str, Any]:
    """Return what a report comes to: trouble or none, how much was put back, how much is not as it should be."""
    return {
        "trouble": is_trouble(report),
        "repaired": sum(each.code == REPAIRED for each in report.settings),
        "drifted": sum(map(is_drifted, report.settings)),
        **states_of(report),
    }


def states_of(report: StatusReport) -> dict[str, Any]:
    """Return the states of a report: the gravest, how many of each as ``counts_in`` reads them, and about what."""
    states = [each.state for each in report.settings] + [SettingState.ERROR for _ in report.refused]
    return {
        "gravest": gravest(states).value,
        "target": report.target,
        "states": " ".join(str(states.count(state)) for state in SEVERITY),
    }


def counts_in(states: str) -> dict[SettingState, int]:
    """Read how many settings were in which state."""
    return dict(zip(SEVERITY, map(int, states.split()), strict=False))


def missing(connection: Connection, device_ids: Collection[DeviceId]) -> frozenset[DeviceId]:
    """Return those of these devices that have no row; a law of tests: there are none."""
    known = select(inventory.c.device_id).where(inventory.c.device_id.in_(device_ids))
    return frozenset(device_ids) - frozenset(map(DeviceId, connection.scalars(known)))


def row_of(device: Device) -> dict[str, Any]:
    """Return what is listed of a device, without what it reported."""
    return {
        "device_id": device.id,
        "tenant_id": device.tenant_id,
        "state": device.state.value,
        "name_key": key_of(in_order(device.display_name)),
        "os_key": key_of(f"{device.os_type} {in_order(device.os_version)}"),
        "agent_key": agent_key(device.agent_version),
        "os_type": device.os_type,
        "os_version": device.os_version,
        "agent_version": device.agent_version,
        "managed_by": managed_by(device),
        "enrollment_code": device.enrollment_code,
        "attestation_level": device.attestation_level.value,
        "tags": SEPARATOR.join(("", *(tag.casefold() for tag in device.tags), "")) if device.tags else "",
        "name_folded": fold(device.display_name),
        "os_folded": fold(device.os_type),
        "registered_at": device.registered_at,
        "tags_key": key_of(" ".join(tag.casefold() for tag in device.tags)),
        "engine_trouble": any(state in TROUBLED_ENGINES for state in device.providers.values()),
    }


def text_of(device: Device) -> dict[str, Any]:
    """Return what a search looks at of a device."""
    return {"tenant_id": device.tenant_id, "state": device.state.value, "text": searched(device)}


def managed_by(device: Device) -> str:
    """Say who manages a device: this channel, another manager by its name, or nobody."""
    return MDE if device.is_managed else device.managed_elsewhere or device.manager or ""


def searched(device: Device) -> str:
    """Return all texts of a device in which a search looks; ids have indexes of their own."""
    texts = (
        device.display_name,
        device.os_type,
        device.os_version,
        device.manufacturer,
        device.model,
        device.agent_version,
        device.managed_elsewhere or "",
        *device.tags,
    )
    return SEPARATOR.join(texts).casefold()


def key_of(text: str) -> str:
    """Return a text the way it is sorted: small and large letters alike, bounded."""
    return text.strip().casefold()[:LONGEST_KEY]


def agent_key(version: str) -> str:
    """Return the version of an agent the way it is sorted."""
    return key_of(in_order(version))


def in_order(version: str) -> str:
    """Write a version so that its texts order as its numbers do: 9 before 10."""
    return _NUMBER.sub(lambda number: number[0].lstrip("0").rjust(_DIGITS, "0"), version)


def is_trouble(report: StatusReport) -> bool:
    """Whether a report tells of an error, or of a policy that the device refused."""
    return bool(report.refused) or any(each.state is SettingState.ERROR for each in report.settings)


def is_drifted(status: SettingStatus) -> bool:
    """Whether a setting is not what it should be on the device."""
    if status.state in {SettingState.NOT_APPLICABLE, SettingState.CONFLICT} or status.value is None:
        return False
    return status.effective is False or (status.read_back is not None and status.read_back != status.value)
