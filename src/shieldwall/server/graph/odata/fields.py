"""What a listing may be asked about: its properties, their types, and where SQL finds them.

Every listing has a ``FieldMap`` beside its resource shapes. It is an allow-list: what is not in it can neither be
filtered nor ordered by nor selected. A field without a column belongs to a listing that is held in memory, where the
resource itself has the value; in a listing that SQL reads such a field can be selected and no more.

The value that SQL finds under a field and the one in the resource are the same, or the field is ``Shown`` alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement


class Kind(StrEnum):
    """The type of a property's value."""

    TEXT = "text"
    GUID = "GUID"
    CHOICE = "enumeration"
    FLAGS = "flags"
    BOOLEAN = "boolean"
    NUMBER = "number"
    MOMENT = "time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A property with one value.

    ``members`` are the names of an enumeration or of flags, in their canonical order; ``stored`` maps those that a
    column keeps under another value. ``folded`` says that the column holds folded text. ``nullable`` is whether SQL may
    find nothing there.
    """

    name: str
    kind: Kind
    column: ColumnElement[Any] | None = None
    nullable: bool = False
    members: tuple[str, ...] = ()
    stored: Mapping[str, Any] = field(default_factory=dict)
    folded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Many:
    """A property with a list of values, for ``any`` and ``all``.

    ``element`` is what each value is: a field, or fields of their own. In SQL the values are either a JSON list of
    texts in ``column``, or ``items``, each there under a condition. ``single`` says that there is always one item,
    whose fields are columns of the row itself.
    """

    name: str
    element: Field | FieldMap
    column: ColumnElement[Any] | None = None
    items: tuple[tuple[str, ColumnElement[bool]], ...] = ()
    single: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Complex:
    """A property that has properties: ``templateReference/templateFamily``."""

    name: str
    fields: FieldMap


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A property that can be selected and is nothing to ask about; perhaps one that we have no value for."""

    name: str


Property: TypeAlias = Field | Many | Complex | Shown


@dataclass(frozen=True, slots=True)
class FieldMap:
    """The properties of one kind of resource, found by their names whatever the case.

    ``searched`` are the names that ``$search`` may speak of, each with the property it means; the first where it names
    none.
    """

    properties: tuple[Property, ...]
    searched: Mapping[str, str] = field(default_factory=dict)
    _by_name: dict[str, Property] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Remember where each name stands."""
        object.__setattr__(self, "_by_name", {each.name.lower(): each for each in self.properties})

    def find(self, name: str) -> Property | None:
        """Return the property of a name, or ``None``."""
        return self._by_name.get(name.lower())

    def has(self, name: str) -> bool:
        """Whether a property of this name may be selected."""
        return name.lower() in self._by_name

    def __iter__(self) -> Iterator[Property]:
        """Go through all properties."""
        return iter(self.properties)


EMPTY: Final = FieldMap(())


def text(name: str, column: ColumnElement[Any] | None = None, *, nullable: bool = False, folded: bool = False) -> Field:
    """Make a field with a text."""
    return Field(name=name, kind=Kind.TEXT, column=column, nullable=nullable, folded=folded)


def guid(name: str, column: ColumnElement[Any] | None = None, *, nullable: bool = False) -> Field:
    """Make a field with a GUID, or an id of ours that is no GUID but small letters; both are compared as they stand."""
    return Field(name=name, kind=Kind.GUID, column=column, nullable=nullable)


def choice(
    name: str,
    members: Iterable[str],
    column: ColumnElement[Any] | None = None,
    *,
    nullable: bool = False,
    stored: Mapping[str, Any] | None = None,
) -> Field:
    """Make a field with one member of an enumeration."""
    return Field(
        name=name,
        kind=Kind.CHOICE,
        column=column,
        nullable=nullable,
        members=tuple(map(str, members)),
        stored=stored or {},
    )


def flags(name: str, members: Iterable[str], column: ColumnElement[Any] | None = None) -> Field:
    """Make a field with several members of an enumeration, joined by commas in their canonical order."""
    return Field(name=name, kind=Kind.FLAGS, column=column, members=tuple(members))


def boolean(name: str, column: ColumnElement[Any] | None = None, *, nullable: bool = False) -> Field:
    """Make a field that is true or false."""
    return Field(name=name, kind=Kind.BOOLEAN, column=column, nullable=nullable)


def number(name: str, column: ColumnElement[Any] | None = None, *, nullable: bool = False) -> Field:
    """Make a field with a whole number or a fraction."""
    return Field(name=name, kind=Kind.NUMBER, column=column, nullable=nullable)


def moment(name: str, column: ColumnElement[Any] | None = None, *, nullable: bool = False) -> Field:
    """Make a field with a time."""
    return Field(name=name, kind=Kind.MOMENT, column=column, nullable=nullable)


def texts(
    name: str,
    column: ColumnElement[Any] | None = None,
    *,
    items: tuple[tuple[str, ColumnElement[bool]], ...] = (),
) -> Many:
    """Make a property with a list of texts."""
    return Many(name=name, element=text(name), column=column, items=items)


def within(name: str, *properties: Property) -> Complex:
    """Make a property that has properties."""
    return Complex(name=name, fields=FieldMap(properties))


def shown(*names: str) -> tuple[Shown, ...]:
    """Make properties that can be selected alone."""
    return tuple(Shown(name=name) for name in names)
