"""SQLite, PostgreSQL and memory give one answer to every filter and every order, whatever the letters."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Boolean, Column, Integer, MetaData, String, Table, Text, false, func, literal, select
from sqlalchemy.dialects import sqlite
from tests.graph.test_odata_filter import PLATFORMS

from shieldwall.server.graph.errors import InvalidQueryError
from shieldwall.server.graph.odata import fields, memory, sql
from shieldwall.server.graph.odata.check import checked
from shieldwall.server.graph.odata.fields import FieldMap
from shieldwall.server.graph.odata.ordering import Term, checked_order
from shieldwall.server.graph.odata.parse import parse_filter
from shieldwall.server.graph.odata.places import read, written
from shieldwall.server.graph.query import parse_query
from shieldwall.server.graph.resources import moment
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.order_terms import OrderTerm, Tally
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.statements import paging
from shieldwall.server.storage.statements.rows import to_text
from shieldwall.server.storage.tables.columns import Moment
from shieldwall.server.storage.tables.folding import Folded, fold

things = Table(
    "things",
    MetaData(),
    Column("id", String(36), primary_key=True),
    Column("name", Text),
    Column("folded", String(256).with_variant(String(256, collation="C"), "postgresql"), nullable=False),
    Column("enabled", Boolean),
    Column("size", Integer),
    Column("at", Moment),
    Column("state", String(16)),
    Column("platforms", Text, nullable=False),
    Column("tags", Text, nullable=False),
)
c = things.c
FIELDS = FieldMap(
    (
        fields.guid("id", c.id),
        fields.text("displayName", c.name, nullable=True),
        fields.text("deviceName", c.folded, folded=True),
        fields.boolean("enabled", c.enabled, nullable=True),
        fields.boolean("isActive", func.coalesce(c.state == "on", false())),
        fields.number("size", c.size, nullable=True),
        fields.moment("createdDateTime", c.at, nullable=True),
        fields.choice("state", ("active", "retired"), c.state, nullable=True, stored={"active": "on"}),
        fields.flags("platforms", PLATFORMS, c.platforms),
        fields.texts("tags", c.tags),
        fields.texts("groupTypes", items=(("DynamicMembership", c.size > 5),)),
    )
)
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
# Letters that languages and their rules for case are known to differ by; each has a case of its own in Unicode.
LETTERS = (
    "aAbB0_%\\' \u00c4\u00e4\u00df\u1e9e\u03c3\u03a3\u03c2\u0130\u0131\u0141\u0142"
    "\u0416\u0436\u01c5\u212a\u212b\U0001f600\uffff"
)
TEXTS = st.text(LETTERS, max_size=4)
MOMENTS = st.integers(0, 3).map(lambda count: FIRST + timedelta(milliseconds=count))


def optional(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


ROWS = st.fixed_dictionaries(
    {
        "name": optional(TEXTS),
        "enabled": optional(st.booleans()),
        "size": optional(st.integers(3, 8)),
        "at": optional(MOMENTS),
        "state": optional(st.sampled_from(("on", "retired"))),
        "platforms": st.lists(st.sampled_from(PLATFORMS), unique=True, min_size=1, max_size=3),
        "tags": st.lists(TEXTS, max_size=3),
    }
)


def resource_of(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "displayName": row["name"],
        "deviceName": row["name"] or "",
        "enabled": row["enabled"],
        "isActive": row["state"] == "on",
        "size": row["size"],
        "createdDateTime": moment(row["at"]),
        "state": {"on": "active"}.get(row["state"], row["state"]),
        "platforms": ",".join(sorted(row["platforms"], key=PLATFORMS.index)),
        "tags": row["tags"],
        "groupTypes": ["DynamicMembership"] if row["size"] is not None and row["size"] > 5 else [],
    }


def columns_of(row: dict[str, Any]) -> dict[str, Any]:
    return row | {
        "folded": fold(row["name"] or ""),
        "platforms": resource_of(row)["platforms"],
        "tags": to_text(row["tags"]),
    }


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


NAMED = st.sampled_from(("displayName", "deviceName"))
QUOTED = TEXTS.map(quoted)
ORDERS = st.sampled_from(("eq", "ne", "gt", "ge", "lt", "le"))
SAME = st.sampled_from(("eq", "ne"))
MATCHING = st.sampled_from(("startswith", "endswith", "contains"))
TIMES = st.integers(-1, 12).map(lambda count: f"{FIRST + timedelta(microseconds=500 * count):%Y-%m-%dT%H:%M:%S.%fZ}")
ABOUT_TEXT = st.builds("{} {} {}".format, st.just("t"), ORDERS, QUOTED) | st.builds("{}(t,{})".format, MATCHING, QUOTED)
LEAVES = st.one_of(
    st.builds("{} {} {}".format, NAMED, ORDERS, QUOTED),
    st.builds(
        "{} {} null".format, st.sampled_from(("displayName", "enabled", "size", "createdDateTime", "state")), SAME
    ),
    st.builds("{}({},{})".format, MATCHING, NAMED, QUOTED),
    st.builds("{} in ({},{})".format, NAMED, QUOTED, QUOTED | st.just("null")),
    st.builds("length({}) {} {}".format, NAMED, ORDERS, st.integers(0, 4)),
    st.builds("trim({}) {} {}".format, NAMED, SAME, QUOTED),
    st.builds("displayName {} deviceName".format, ORDERS),
    st.builds("enabled {} {}".format, SAME, st.sampled_from(("true", "false"))),
    st.sampled_from(("enabled", "isActive", "not isActive", "isActive eq false", "isActive ne enabled")),
    st.builds("size {} {}".format, ORDERS, st.integers(2, 9) | st.sampled_from(("4.5", "5.0"))),
    st.builds("size in ({},{})".format, st.integers(2, 9), st.integers(2, 9) | st.just("null")),
    st.builds("createdDateTime {} {}".format, ORDERS, TIMES),
    st.builds("createdDateTime in ({},null)".format, TIMES),
    st.builds("state {} '{}'".format, SAME, st.sampled_from(("active", "RETIRED"))),
    st.builds("state in ('Active',{})".format, st.sampled_from(("'retired'", "null"))),
    st.builds("platforms has '{}'".format, st.sampled_from(PLATFORMS)),
    st.builds("platforms {} 'linux,{}'".format, SAME, st.sampled_from(PLATFORMS)),
    st.builds("tags/{}(t:{})".format, st.sampled_from(("any", "all")), ABOUT_TEXT),
    st.builds(
        "groupTypes/{}(t:{} 'dynamicmembership')".format, st.sampled_from(("any", "all")), SAME.map("t {}".format)
    ),
    st.sampled_from(("tags/any()", "groupTypes/any()", "not tags/any()")),
)
FILTERS = st.recursive(
    LEAVES,
    lambda parts: st.one_of(
        st.builds("({}) and ({})".format, parts, parts),
        st.builds("({}) or ({})".format, parts, parts),
        st.builds("not ({})".format, parts),
    ),
    max_leaves=4,
)


@pytest.fixture(scope="module")
def asked(shared_database_url: str) -> Iterator[Database]:
    database = Database(shared_database_url)
    with database.write() as connection:
        things.metadata.create_all(connection)
    yield database
    database.close()


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(rows=st.lists(ROWS, max_size=6), filters=st.lists(FILTERS, min_size=1, max_size=5))
def test_sql_and_memory_agree_on_every_filter(asked: Database, rows: list[dict[str, Any]], filters: list[str]) -> None:
    numbered = [{"id": f"{number:08d}", **row} for number, row in enumerate(rows)]
    with asked.write() as connection:
        connection.execute(things.delete())
        if numbered:
            connection.execute(things.insert(), list(map(columns_of, numbered)))
        for text in filters:
            found = checked(parse_filter(text), FIELDS)
            expected = [row["id"] for row in numbered if memory.holds(found, resource_of(row))]

            query = select(things.c.id).where(sql.condition(found)).order_by(things.c.id)
            assert list(connection.scalars(query)) == expected, text


SORTABLE = ("displayName", "deviceName", "enabled", "isActive", "size", "createdDateTime", "state", "platforms")
TERMS = st.lists(
    st.builds(Term, st.sampled_from(SORTABLE), st.booleans()), max_size=3, unique_by=lambda term: term.path
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(rows=st.lists(ROWS, max_size=8), terms=TERMS.map(tuple), size=st.integers(1, 3))
def test_pages_in_every_order_are_the_whole_in_that_order(
    asked: Database, rows: list[dict[str, Any]], terms: tuple[Term, ...], size: int
) -> None:
    numbered = [{"id": f"{number:08d}", **row} for number, row in enumerate(rows)]
    order = checked_order(terms, FIELDS)
    resources = [resource_of(row) for row in numbered]
    last = terms[-1].descending if terms else False
    expected = [each["id"] for each in memory.in_order(resources[::-1] if last else resources, order)]
    sql_order = tuple(
        OrderTerm(sql.ordering(each.field, each.path), each.descending, each.field.nullable) for each in order
    )
    with asked.write() as connection:
        connection.execute(things.delete())
        if numbered:
            connection.execute(things.insert(), list(map(columns_of, numbered)))
        page, found = Page(size=size, order=sql_order, tally=(tally := Tally())), []
        while rows_read := paging.rows(connection, select(things.c.id), page, things.c.id):
            found += [row.id for row in rows_read]
            place = memory.place_of(order, next(each for each in resources if each["id"] == found[-1]))
            values = tuple(read(written(value), each.field.kind) for value, each in zip(place, order, strict=True))
            page = Page(size=size, order=sql_order, after=found[-1], place=values)
        skipped = paging.rows(connection, select(things.c.id), Page(size=9, order=sql_order, skip=2), things.c.id)

    assert found == expected
    assert [row.id for row in skipped] == expected[2:]
    assert tally.total == len(rows)


@pytest.mark.parametrize("letter", LETTERS)
def test_a_letter_is_folded_alike_everywhere(asked: Database, letter: str) -> None:
    with asked.read() as connection:
        found = connection.scalar(select(Folded(literal(letter, Text())).label("folded")))

    assert found == fold(letter)


def test_nothing_of_a_filter_is_written_into_sql() -> None:
    text = "displayName eq 'x'' or 1=1 --' and contains(displayName,'50%_\\') and tags/any(t:t eq 'y''; drop')"
    compiled = sql.condition(checked(parse_filter(text), FIELDS)).compile(dialect=sqlite.dialect())

    assert "1=1" not in str(compiled)
    assert "drop" not in str(compiled)
    assert {"x' or 1=1 --", "y'; drop"} <= set(compiled.params.values())


def test_a_field_that_sql_does_not_find_is_refused() -> None:
    query = parse_query({"$filter": ["reference eq 'x'"]})
    only_shown = FieldMap((fields.text("reference"),))

    with pytest.raises(InvalidQueryError, match="selected"):
        query.page_of(only_shown)
