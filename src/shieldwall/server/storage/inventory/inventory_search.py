"""Searching through devices: texts that stand somewhere in what is searched of a device, or begin one of its ids.

No index answers where a text stands, so every row of ``device_texts`` is looked at, and most of that time is stepping
from row to row and comparing. Each engine has a comparison that is quicker than others: SQLite's pattern begins to
compare at once, PostgreSQL's ``strpos`` skips as many letters as a text has. Longer texts are looked for first: they
are rarer, and quicker not to find.

Ids are not among these texts: a word that may be one is looked for in their indexes, by how it begins.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final, Self

from sqlalchemy import (
    Boolean,
    ColumnElement,
    CompoundSelect,
    Connection,
    FunctionElement,
    Select,
    String,
    and_,
    cast,
    exists,
    func,
    literal,
    or_,
    select,
    union_all,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.operators import OperatorType

from shieldwall.contract.ids import TenantId
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.statements.bulk import where_few
from shieldwall.server.storage.tables.schema import device_texts, devices, inventory
from shieldwall.server.storage.tenants.tenant_sizes import gone_through

_ESCAPE: Final = "\\"
_AN_ID: Final = re.compile("[0-9a-f-]{4,36}")
_TWICE_IS_ANOTHER: Final = "adf"
"""What is another letter where it stands twice, in a database that orders as Danish (aa) or Welsh (dd, ff) does."""
_BEHIND: Final = ("\u16ea", "zz")
"""What comes behind all letters of ids: one of both does, wherever a database orders as a language does. A rune comes
behind Latin letters but where those come last, as in Korean; there no two of them are another one behind z."""


def words_of(text: str) -> list[str]:
    """Return the words of a search, as they are looked for."""
    return text.casefold().split()


def searching(text: str) -> tuple[ColumnElement[bool], ...]:
    """Say that a search finds the device of a row of ``inventory``: asked of one row after another."""
    return (is_found(words_of(text)),) if words_of(text) else ()


def is_found(words: Iterable[str], states: Collection[DeviceState] | None = None) -> ColumnElement[bool]:
    """Say that all of these words find the device of a row of ``inventory``, and that it is in one of the ``states``.

    What no other column of the row is needed for is looked up beside the text: then SQLite need not read the row.
    """
    beside = exists().where(device_texts.c.number == inventory.c.number, *holding(words))
    return beside if states is None else beside.where(device_texts.c.state.in_(sorted(states)))


def found_at_once(
    connection: Connection,
    tenant_id: TenantId,
    conditions: Sequence[ColumnElement[bool]],
    states: Collection[DeviceState] | None = None,
) -> Select[int]:
    """Select the numbers of a tenant's devices whose texts are so: in one go through all of them.

    PostgreSQL knows by itself how many of all texts are the tenant's.
    """
    asked = () if states is None else (device_texts.c.state.in_(sorted(states)),)
    mine = device_texts.c.tenant_id == tenant_id
    if connection.dialect.name == "sqlite":
        mine = gone_through(connection, device_texts.c.tenant_id, tenant_id)
    return select(device_texts.c.number).where(*conditions, *asked, mine)


def few_found(connection: Connection, found: Select[int], most: int) -> list[int] | None:
    """Return the numbers of devices that a query selects, where these are few; ``None`` where they are more."""
    (number,) = found.selected_columns
    few = where_few(connection, found.with_only_columns(cast(number, String)), most)
    return None if few is None else list(map(int, few))


def holding(texts: Iterable[str], *, exactly: bool = False) -> tuple[ColumnElement[bool], ...]:
    """Say that each of these texts, in small letters and not empty, stands in a row of ``device_texts``.

    Unless it shall be ``exactly`` so, the beginning of one of the device's ids does as well.
    """
    longest_first = sorted(texts, key=len, reverse=True)
    return tuple(_stands(each) if exactly else _stands_or_begins_an_id(each) for each in longest_first)


def beginning_ids(word: str) -> CompoundSelect[int] | None:
    """Select the numbers of the devices of which an id begins with a word; ``None`` where none could."""
    if _AN_ID.fullmatch(word) is None:
        return None
    ids = (devices.c.id, devices.c.object_id)
    return union_all(*(select(devices.c.number).where(each) for column in ids for each in beginnings(column, word)))


def beginnings(column: ColumnElement[str], word: str) -> tuple[ColumnElement[bool], ...]:
    """Say that a text begins with a word, as ranges of an index of which it is in one or more, and exactly beside that.

    On PostgreSQL an index orders as the database does. Where the last letter and one like it behind it are another
    letter, texts that go on with that are a range apart.
    """
    begun = (word, word + word[-1]) if word[-1] in _TWICE_IS_ANOTHER else (word,)
    return tuple(and_(_range(column, each), func.substr(column, 1, len(word)) == word) for each in begun)


def _range(column: ColumnElement[str], word: str) -> ColumnElement[bool]:
    return and_(column >= word, column < _Greater(*(literal(word + each) for each in _BEHIND)))


def _stands(text: str) -> ColumnElement[bool]:
    return _Holds(device_texts.c.text, literal(text), literal(_pattern(text)))


def _stands_or_begins_an_id(word: str) -> ColumnElement[bool]:
    begun = beginning_ids(word)
    return _stands(word) if begun is None else or_(_stands(word), device_texts.c.number.in_(begun))


def contains(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    """Say that a short text of a row has another one in it."""
    return column.contains(text, autoescape=True, escape=_ESCAPE)


class _Greater(FunctionElement[str]):
    """That of two texts which comes last."""

    name = "greatest"
    type = String()
    inherit_cache = True


@compiles(_Greater, "sqlite")
def _by_its_name_there(element: _Greater, compiler: SQLCompiler, **options: Any) -> str:
    return f"max({compiler.process(element.clauses, **options)})"


@compiles(_Greater, "postgresql")
def _by_its_own_name(element: _Greater, compiler: SQLCompiler, **options: Any) -> str:
    return f"greatest({compiler.process(element.clauses, **options)})"


class _Holds(FunctionElement[bool]):
    """Whether a column has a text in it. Its clauses: the column, the text, and the pattern of it."""

    name = "holds"
    type = Boolean()
    inherit_cache = True

    def self_group(self, against: OperatorType | None = None) -> Self:
        """Stay a comparison: of what a function says SQLite would be asked whether it is 1."""
        del against
        return self


@compiles(_Holds, "sqlite")
def _by_pattern(element: _Holds, compiler: SQLCompiler, **options: Any) -> str:
    column, _, pattern = element.clauses
    return f"({compiler.process(column, **options)} LIKE {compiler.process(pattern, **options)} ESCAPE '{_ESCAPE}')"


@compiles(_Holds, "postgresql")
def _by_skipping(element: _Holds, compiler: SQLCompiler, **options: Any) -> str:
    column, text, _ = element.clauses
    return f"(strpos({compiler.process(column, **options)}, {compiler.process(text, **options)}) > 0)"


def _pattern(text: str) -> str:
    for each in (_ESCAPE, "%", "_"):
        text = text.replace(each, _ESCAPE + each)
    return f"%{text}%"
