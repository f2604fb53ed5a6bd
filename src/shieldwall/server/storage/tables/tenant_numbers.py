"""Tenants as small numbers: what the tables with a row for each device, and their indexes, hold in place of their ids.

An id takes 37 bytes in a row and in each index that begins with it, a million times the same. Its number takes one or
two on SQLite, four on PostgreSQL, and compares faster. It is storage's own: a column of the kind ``TENANT`` is given
ids and gives ids, and is called ``tenant_id`` as everywhere.

A tenant has its number from the beginning, and never another one. On PostgreSQL that is said to the planner (the
function is ``IMMUTABLE``): it knows the number before it plans, and so how many rows a tenant has. No statement is
prepared there (``postgresql``), so no plan outlives what it was made from.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    DDL,
    BindParameter,
    Column,
    ColumnElement,
    ForeignKey,
    Integer,
    Table,
    event,
    type_coerce,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import UserDefinedType

from shieldwall.contract.ids import TenantId
from shieldwall.server.storage.tables.columns import UUID


class NumberOf(FunctionElement[int]):
    """The number of the tenant with an id; nothing where there is none."""

    name = "tenant_number"
    type = Integer()
    inherit_cache = True


class _IdOf(FunctionElement[str]):
    """The id of the tenant with a number."""

    name = "tenant_id"
    type = UUID
    inherit_cache = True


@compiles(NumberOf, "sqlite")
def _looked_up(element: NumberOf, compiler: SQLCompiler, **options: Any) -> str:
    return f"(SELECT number FROM tenants WHERE id = {compiler.process(element.clauses, **options)})"  # noqa: S608 - a placeholder


@compiles(NumberOf, "postgresql")
def _called(element: NumberOf, compiler: SQLCompiler, **options: Any) -> str:
    return f"tenant_number({compiler.process(element.clauses, **options)})"


@compiles(_IdOf)
def _named(element: _IdOf, compiler: SQLCompiler, **options: Any) -> str:
    return f"(SELECT id FROM tenants WHERE number = {compiler.process(element.clauses, **options)})"  # noqa: S608 - a column


class _Tenant(UserDefinedType[TenantId]):
    """A tenant, kept as its number."""

    cache_ok = True

    def get_col_spec(self, **_options: Any) -> str:
        """Say what a column holds."""
        return "INTEGER"

    def bind_expression(self, bindvalue: BindParameter[TenantId]) -> ColumnElement[Any]:
        """Have the id that a statement is given taken for its number."""
        return NumberOf(type_coerce(bindvalue, UUID))

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Have a number that is read become its id."""
        return _IdOf(column)


TENANT: Final = _Tenant()


def tenant_column() -> Column[TenantId]:
    """Return the column that says whose a row is, for a table with a row for each device or more."""
    return Column("tenant_number", TENANT, ForeignKey("tenants.number"), nullable=False, key="tenant_id")


_LOOKING_UP: Final = DDL(  # type: ignore[no-untyped-call]  # as the library has it
    "CREATE OR REPLACE FUNCTION tenant_number(text) RETURNS integer LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE"
    " AS 'BEGIN RETURN (SELECT number FROM tenants WHERE id = $1); END'"
)


def stand_beside(tenants: Table) -> None:
    """Have a table of tenants made with what looks up their numbers on PostgreSQL."""
    event.listen(tenants, "after_create", _LOOKING_UP.execute_if(dialect="postgresql"))
