"""A filter whose names are fields and whose literals have their types: what SQL and memory both work from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TypeAlias

from shieldwall.server.graph.odata.fields import Field, Kind, Many

Plain: TypeAlias = str | bool | int | Decimal | datetime | frozenset[str] | None
"""A value to compare with: texts folded, GUIDs in small letters, members by their canonical names, flags as a set."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The value of a field. ``names`` lead to it from the resource, or from the item that ``variable`` stands for."""

    field: Field
    names: tuple[str, ...]
    variable: str | None = None

    @property
    def kind(self) -> Kind:
        """Its type."""
        return self.field.kind


@dataclass(frozen=True, slots=True)
class Value:
    """A literal of a type."""

    kind: Kind
    value: Plain


@dataclass(frozen=True, slots=True)
class Applied:
    """``trim`` or ``length`` of a text. The case of a text is nothing to change: texts are compared folded."""

    name: str
    operand: Operand
    kind: Kind


Operand: TypeAlias = Reading | Value | Applied


@dataclass(frozen=True, slots=True)
class Fixed:
    """A condition that holds whatever the resource, or never."""

    holds: bool


@dataclass(frozen=True, slots=True)
class Compares:
    """Two operands of one type stand in a relation. Nothing is equal to nothing, and neither before nor after."""

    operator: str
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class Matches:
    """A text starts with another, ends with it or contains it (``how``)."""

    how: str
    operand: Operand
    text: str


@dataclass(frozen=True, slots=True)
class OneOf:
    """An operand is one of several values."""

    operand: Operand
    values: tuple[Plain, ...]


@dataclass(frozen=True, slots=True)
class HasAll:
    """Flags include all of these."""

    reading: Reading
    members: frozenset[str]


@dataclass(frozen=True, slots=True)
class Ranges:
    """A condition about the items of a collection: of ``any`` one of them, or of ``all`` of them.

    ``names`` lead to the collection as those of a ``Reading`` do.
    """

    quantifier: str
    many: Many
    names: tuple[str, ...]
    origin: str | None
    variable: str | None
    condition: Condition | None


@dataclass(frozen=True, slots=True)
class Inverse:
    """What does not hold."""

    part: Condition


@dataclass(frozen=True, slots=True)
class Both:
    """All parts hold."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """One of the parts holds."""

    parts: tuple[Condition, ...]


Condition: TypeAlias = Fixed | Compares | Matches | OneOf | HasAll | Ranges | Inverse | Both | Either
