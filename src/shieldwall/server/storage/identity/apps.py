"""Applications that ask for tokens."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, bindparam, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from shieldwall.contract.ids import TenantId
from shieldwall.server.storage.errors import AlreadyExistsError, NotFoundError
from shieldwall.server.storage.identity_records import App
from shieldwall.server.storage.records import Page
from shieldwall.server.storage.statements import paging
from shieldwall.server.storage.statements.look_ups import LookUp
from shieldwall.server.storage.statements.rows import columns_of, strings_from, to_text
from shieldwall.server.storage.tables.folding import holds
from shieldwall.server.storage.tables.schema import apps

_LISTS: Final = ("permissions", "delegated", "redirect_uris")
_MOST_READ: Final = 1_000
_ONE: Final = LookUp(select(apps).where(apps.c.client_id == bindparam("id")))


def get(connection: Connection, client_id: str) -> App:
    """Return an application. Raises: NotFoundError."""
    if (app := find(connection, client_id)) is None:
        raise NotFoundError(f"There is no application {client_id}.")
    return app


def find(connection: Connection, client_id: str) -> App | None:
    """Return an application, or ``None``."""
    row = _ONE.row(connection, {"id": client_id})
    return None if row is None else _read(row)


def find_by_object_id(connection: Connection, tenant_id: TenantId, object_id: str) -> App | None:
    """Return the application of a tenant that the directory knows by this id, or ``None``."""
    named = (apps.c.tenant_id == tenant_id, apps.c.object_id == object_id)
    row = connection.execute(select(apps).where(*named)).one_or_none()
    return None if row is None else _app(row)


def list_apps(connection: Connection, tenant_id: TenantId, page: Page) -> tuple[App, ...]:
    """Return one page of a tenant's applications, ordered by client id."""
    query = select(apps).where(apps.c.tenant_id == tenant_id)
    return tuple(map(_app, paging.rows(connection, query, page, apps.c.client_id)))


def called_like(text: str) -> ColumnElement[bool]:
    """Say, as a condition, which applications have a text in their name, in any case, or are the one of that id."""
    return or_(holds(apps.c.display_name, text), apps.c.client_id == text.lower())


def add(connection: Connection, app: App) -> None:
    """Add an application. Raises: AlreadyExistsError."""
    try:
        connection.execute(insert(apps).values(_columns(app)))
    except IntegrityError as error:
        raise AlreadyExistsError(f"An application {app.client_id} is there already.") from error


def change(connection: Connection, app: App) -> None:
    """Write an application anew. Raises: NotFoundError."""
    if connection.execute(update(apps).where(apps.c.client_id == app.client_id).values(_columns(app))).rowcount == 0:
        raise NotFoundError(f"There is no application {app.client_id}.")


def remove(connection: Connection, client_id: str) -> None:
    """Remove an application. Raises: NotFoundError."""
    if connection.execute(delete(apps).where(apps.c.client_id == client_id)).rowcount == 0:
        raise NotFoundError(f"There is no application {client_id}.")


def _columns(app: App) -> dict[str, Any]:
    return columns_of(app, **{name: to_text(getattr(app, name)) for name in _LISTS})


def _app(row: Row[Any]) -> App:
    return _read(tuple(row))


@lru_cache(_MOST_READ)
def _read(values: tuple[Any, ...]) -> App:
    """Read a row, once for as long as it stays as it is: every request with a token reads that of its program."""
    columns = dict(zip(apps.c.keys(), values, strict=True))
    return App(**columns | {name: strings_from(columns[name]) for name in _LISTS})
