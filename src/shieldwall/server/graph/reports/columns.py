"""The columns that reports are made of, and the words that stand beside numbers. Pure.

A column of an enumeration comes as a pair: ``X`` is the number, ``X_loc`` the word for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement

from shieldwall.contract.status import SettingState, SettingStatus
from shieldwall.server.graph.odata import fields

LOCALIZED: Final = "_loc"
MOST_KINDS: Final = 256
"""Kinds of tables of which it is remembered what their columns come to: reports have the same ones each time."""


class Type(StrEnum):
    """The type of a column's values."""

    TEXT = "String"
    NUMBER = "Int32"
    MOMENT = "DateTime"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Column:
    """One column, equal to itself alone.

    ``words`` name the numbers of an enumeration, ``localized`` is whether a word comes beside a text. ``stored`` is
    where SQL finds it, in reports that SQL reads; ``folded`` as texts are compared. ``field`` is the column as a
    property to be filtered and ordered by.
    """

    name: str
    type: Type = Type.TEXT
    words: Mapping[int, str] = field(default_factory=dict)
    localized: bool = False
    stored: ColumnElement[Any] | None = None
    folded: bool = False
    field: fields.Field = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make the field once: columns are asked about with every report."""
        object.__setattr__(self, "field", self._as_field())

    @property
    def is_pair(self) -> bool:
        """Whether a column with words comes beside it."""
        return bool(self.words) or self.localized

    def word_of(self, value: Any) -> str | None:
        """Return the word for a value."""
        return self.words.get(value) if self.words else value

    def _as_field(self) -> fields.Field:
        match self.type:
            case Type.TEXT:
                return fields.text(self.name, self.stored, nullable=True, folded=self.folded)
            case Type.NUMBER:
                return fields.number(self.name, self.stored, nullable=True)
            case Type.MOMENT:
                return fields.moment(self.name, self.stored, nullable=True)


def text(*names: str) -> tuple[Column, ...]:
    """Make columns of texts."""
    return tuple(Column(name=name) for name in names)


def count(*names: str) -> tuple[Column, ...]:
    """Make columns of numbers."""
    return tuple(Column(name=name, type=Type.NUMBER) for name in names)


def moment(name: str) -> Column:
    """Make a column of times."""
    return Column(name=name, type=Type.MOMENT)


STATUS_WORDS: Final[Mapping[int, str]] = {
    0: "Pending",
    1: "Not applicable",
    2: "Succeeded",
    3: "Remediated",
    4: "Not compliant",
    5: "Error",
    6: "Conflict",
    7: "Not assigned",
}
"""Published numbers of ``complianceStatus``; 0, unknown there, is what no device has reported yet."""
STATUS_NUMBERS: Final[Mapping[SettingState, int]] = {
    SettingState.PENDING: 0,
    SettingState.NOT_APPLICABLE: 1,
    SettingState.SUCCEEDED: 2,
    SettingState.ERROR: 5,
    SettingState.CONFLICT: 6,
}


def status(name: str, stored: ColumnElement[Any] | None = None) -> Column:
    """Make a column of states."""
    return Column(name=name, type=Type.NUMBER, words=STATUS_WORDS, stored=stored)


REMEDIATED: Final = 3
TROUBLED: Final = frozenset({4, 5, 6})
"""What reports about non-compliance show."""
_REPAIRED: Final = "repaired"
_ERROR_CODES: Final = {SettingState.ERROR: -2016281112, SettingState.CONFLICT: -2016281211}
"""How Intune's agents number a failed remediation and a conflict."""
POLICY_TYPE: Final = "DeviceManagementConfigurationPolicy"
POLICY_TYPE_WORDS: Final[Mapping[int, str]] = {1: "Settings catalog", 2: "Endpoint security"}
PLATFORM_WORDS: Final[Mapping[int, str]] = {0: "Unknown", 1: "Windows 10 and later", 2: "macOS", 3: "Linux"}
_PLATFORMS: Final = {"windows10": 1, "macOS": 2, "linux": 3}


def setting_status(state: SettingState, reported: SettingStatus | None) -> int:
    """Number the state of a setting; what somebody had changed and the agent put back is remediated."""
    if state is SettingState.SUCCEEDED and reported is not None and reported.code == _REPAIRED:
        return REMEDIATED
    return STATUS_NUMBERS[state]


def error_code(state: SettingState) -> int:
    """Return the published number of an error, 0 where there is none."""
    return _ERROR_CODES.get(state, 0)


def policy_type(template_family: str) -> int:
    """Number the kind of a policy: of an endpoint security template, or of the settings catalog at large."""
    return 2 if template_family.startswith("endpointSecurity") else 1


def platform(platforms: str) -> int:
    """Number the platform of a policy."""
    return _PLATFORMS.get(platforms, 0)
