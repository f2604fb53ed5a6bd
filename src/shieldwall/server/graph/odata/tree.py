"""A filter as it is written: a tree of names and literals, which knows no fields and no types yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TypeAlias


class LiteralKind(StrEnum):
    """How a literal is written."""

    NULL = "null"
    BOOLEAN = "boolean"
    NUMBER = "number"
    TEXT = "text"
    GUID = "guid"
    MOMENT = "time"
    MEMBER = "enumeration member"
    """``microsoft.graph.kind'name'``; the name of the type is not looked at."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A value. Moments are aware UTC; GUIDs are small letters."""

    kind: LiteralKind
    value: str | bool | int | Decimal | datetime | None
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Path:
    """A property, or one below it: ``templateReference/templateFamily``."""

    names: tuple[str, ...]
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A function of one or two operands; its name in small letters."""

    name: str
    operands: tuple[Node, ...]
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Comparison:
    """``eq``, ``ne``, ``gt``, ``ge``, ``lt``, ``le`` or ``has`` between two operands."""

    operator: str
    left: Node
    right: Node
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Among:
    """``in``: an operand is one of several literals."""

    operand: Node
    literals: tuple[Literal, ...]
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Quantified:
    """``any`` or ``all`` items of a collection, each under the name ``variable``; without a condition there is one."""

    quantifier: str
    collection: Path
    variable: str | None
    condition: Node | None
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Not:
    """What does not hold."""

    part: Node
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Every:
    """``and``: all parts hold."""

    parts: tuple[Node, ...]
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Some:
    """``or``: one of the parts holds."""

    parts: tuple[Node, ...]
    at: int = field(default=0, compare=False)


Node: TypeAlias = Literal | Path | Call | Comparison | Among | Quantified | Not | Every | Some
