"""Which slice of a fleet a report is asked about: columns that the filter fixes, each to one value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shieldwall.contract.ids import parse_group_id
from shieldwall.server.graph.errors import InvalidQueryError
from shieldwall.server.graph.reports.asking import Asked, Checked, names_read
from shieldwall.server.graph.reports.columns import Column, text
from shieldwall.server.graph.reports.tables import Row
from shieldwall.server.reporting.slices import Slice

_PARTS: Final[Mapping[str, str]] = {
    "GroupId": "groups",
    "DeviceTag": "tags",
    "OS": "os_type",
    "OSVersion": "os_version",
    "DeviceState": "state",
    "ManagedBy": "managed_by",
    "EnrollmentCode": "enrollment_code",
    "AgentVersion": "agent_version",
    "AttestationLevel": "attestation_level",
}
"""Columns, and the part of a slice that each names."""
COLUMNS: Final[Sequence[Column]] = text(*_PARTS)


@dataclass(frozen=True, slots=True)
class Sliced:
    """A slice, and what its columns hold in every row."""

    asked: Slice
    row: Row


def sliced(asked: Asked) -> Sliced:
    """Return the slice that a filter names. Raises: InvalidQueryError, InvalidIdError."""
    fixed = {name: value for name in _PARTS if (value := asked.fixed(name)) is not None}
    parts: dict[str, Any] = {_PARTS[name]: frozenset({_value(name, value)}) for name, value in fixed.items()}
    return Sliced(Slice(**parts), {name: fixed.get(name) for name in _PARTS})


def hold_fixed(checked: Checked, found: Sliced) -> None:
    """Hold that a filter says no more of these columns than that each is one value. Raises: InvalidQueryError."""
    others = {name for name in names_read(checked.conditions) & _PARTS.keys() if found.row[name] is None}
    if others:
        name = min(others)
        raise InvalidQueryError(f"A slice is named by ({name} eq '…'), joined by 'and' with the rest of the filter.")


def _value(name: str, value: str) -> Any:
    match name:
        case "GroupId":
            return parse_group_id(value)
        case "EnrollmentCode":
            if not value.isascii() or not value.isdigit() or len(value) > 9:
                raise InvalidQueryError("EnrollmentCode is a whole number, as text.")
            return int(value)
        case _:
            return value
