"""The device list as a file: CSV for spreadsheets, JSON for programs, written in portions.

Whatever a device calls itself stays text in a spreadsheet: a cell that would be read as a formula begins with an
apostrophe, and characters that steer a display stand as their numbers.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any, Final

from shieldwall.contract import strict_json
from shieldwall.server.directory.names import visible
from shieldwall.server.inventory.machines import Machine, onboarding_status
from shieldwall.server.storage.inventory.inventory_rows import managed_by
from shieldwall.trust import moments

COLUMNS: Final = (
    "id",
    "name",
    "operatingSystem",
    "osVersion",
    "health",
    "onboardingStatus",
    "state",
    "enrollmentCode",
    "managedBy",
    "agentVersion",
    "attestationLevel",
    "tags",
    "manufacturer",
    "model",
    "repaired",
    "drifted",
    "registered",
    "lastCheckIn",
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_PORTION: Final = 200
_MARK: Final = "\ufeff"
"""Without it, spreadsheets take UTF-8 for something else."""


def as_csv(machines: Iterable[Machine]) -> Iterator[bytes]:
    """Write a header and one line per device."""
    yield (_MARK + _lines([COLUMNS])).encode()
    for few in _portions(machines):
        yield _lines(tuple(map(cell, row_of(each).values())) for each in few).encode()


def as_json(machines: Iterable[Machine]) -> Iterator[bytes]:
    """Write a list with one object per device."""
    before = b"["
    for few in _portions(machines):
        yield before + b",\n".join(strict_json.encode(row_of(each)) for each in few)
        before = b",\n"
    yield b"[]\n" if before == b"[" else b"]\n"


def row_of(machine: Machine) -> dict[str, Any]:
    """Return what is exported of a device, in the order of the columns."""
    device, standing = machine.device, machine.standing
    values = (
        device.id,
        device.display_name,
        device.os_type,
        device.os_version,
        machine.health.value,
        onboarding_status(device),
        device.state.value,
        device.enrollment_code,
        managed_by(device),
        device.agent_version,
        device.attestation_level.value,
        list(device.tags),
        device.manufacturer,
        device.model,
        standing.repaired,
        standing.drifted,
        moments.write(device.registered_at),
        None if standing.last_check_in is None else moments.write(standing.last_check_in),
    )
    return dict(zip(COLUMNS, values, strict=True))


def cell(value: Any) -> str:
    """Write a value so that no spreadsheet takes it for a formula and no display obeys it."""
    match value:
        case None:
            return ""
        case int():
            return str(value)
        case list():
            text = "; ".join(value)
        case _:
            text = str(value)
    return visible(f"'{text}" if text.lstrip().startswith(_FORMULA) or text.startswith(_FORMULA) else text)


def _lines(rows: Iterable[Iterable[str]]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerows(rows)
    return written.getvalue()


def _portions(machines: Iterable[Machine]) -> Iterator[list[Machine]]:
    few: list[Machine] = []
    for machine in machines:
        few.append(machine)
        if len(few) == _PORTION:
            yield few
            few = []
    if few:
        yield few
