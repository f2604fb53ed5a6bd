"""What the address of the list of devices asks for: filters, order, columns, place; and those that ask otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from urllib.parse import parse_qsl, urlencode

from shieldwall.server.inventory.machine_queries import (
    ORDERING,
    PARAMETERS,
    InvalidMachineQueryError,
    read_filter,
    read_order,
)
from shieldwall.server.portal.devices.device_words import COLUMNS, Column
from shieldwall.server.storage.inventory.inventory_queries import Filter, Order

_COLUMN: Final = "column"
_AFTER: Final = "after"
_KNOWN: Final = frozenset({*PARAMETERS, *ORDERING})
_BY_NAME: Final = {column.name: column for column in COLUMNS}
_MOST_PARTS: Final = 200
DEFAULT: Final = tuple(column for column in COLUMNS if column.is_default)

Given = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A list of devices as an address asks for it. ``given`` holds filters and order, each with all its values."""

    given: Given
    columns: tuple[Column, ...] = DEFAULT
    after: str | None = None

    def filter(self, now: datetime) -> Filter:
        """Return which devices are meant. Raises: InvalidMachineQueryError."""
        return read_filter(self.given, now)

    @property
    def order(self) -> Order:
        """Return the order. Raises: InvalidMachineQueryError."""
        return read_order(self.given)

    @property
    def filters(self) -> Given:
        """Return what is filtered for, without the order."""
        return {name: values for name, values in self.given.items() if name not in ORDERING}

    def one(self, name: str) -> str:
        """Return the first value of a filter, empty where it is not asked for."""
        return next(iter(self.given.get(name, ())), "")

    def all(self, name: str) -> Sequence[str]:
        """Return all values of a filter."""
        return self.given.get(name, ())

    @property
    def query(self) -> str:
        """Write what is asked, as an address does; without the place."""
        return _written(self.given, self.columns)

    def following(self, cursor: str) -> str:
        """Write the address of the next page."""
        return _written({**self.given, _AFTER: [cursor]}, self.columns)

    def sorted_by(self, column: Column) -> str:
        """Write the address of the same list by a column: turned round where it is by that column already."""
        order = self.order
        given = {name: values for name, values in self.given.items() if name not in ORDERING}
        given["sort"] = [column.sort.value]
        if order.by is column.sort and not order.descending:
            given["descending"] = ["true"]
        return _written(given, self.columns)

    def without(self, name: str, value: str) -> str:
        """Write the address of the same list without a value of a filter."""
        given = dict(self.given)
        given[name] = [each for each in self.given.get(name, ()) if each != value]
        return _written(given, self.columns)

    @property
    def kept_columns(self) -> tuple[str, ...]:
        """Return the names of the columns that were chosen, none where nothing was."""
        return () if self.columns == DEFAULT else tuple(column.name for column in self.columns)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is filtered out but those that left."""
        return not self.filters

    def here(self) -> Asked:
        """Return the same without a place: its first page."""
        return replace(self, after=None)


def read(pairs: Sequence[tuple[str, str]]) -> Asked:
    """Read what an address asks; what was left blank is not asked. Raises: InvalidMachineQueryError."""
    given: dict[str, list[str]] = {}
    chosen: set[str] = set()
    after = None
    for name, value in pairs:
        if name == _COLUMN:
            chosen.add(value)
        elif name == _AFTER:
            if not value:
                raise InvalidMachineQueryError(
                    "The link to this page of the list is broken: begin with its first page."
                )
            after = value
        elif name not in _KNOWN:
            raise InvalidMachineQueryError(f"{name[:64]!r} is nothing that devices can be asked for.")
        elif value:
            given.setdefault(name, []).append(value)
    if unknown := chosen - _BY_NAME.keys():
        raise InvalidMachineQueryError(f"There is no column {min(unknown)[:64]!r}.")
    columns = DEFAULT if not chosen else (COLUMNS[0], *(each for each in COLUMNS[1:] if each.name in chosen))
    return Asked(given=given, columns=columns, after=after)


def read_query(query: str) -> Asked:
    """Read what stands in an address after the question mark. Raises: InvalidMachineQueryError."""
    try:
        return read(parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST_PARTS))
    except ValueError:
        raise InvalidMachineQueryError("The list cannot be asked for like that.") from None


def _written(given: Given, columns: tuple[Column, ...]) -> str:
    chosen = [] if columns == DEFAULT else [(_COLUMN, column.name) for column in columns]
    return urlencode([*((name, value) for name, values in given.items() for value in values), *chosen])
