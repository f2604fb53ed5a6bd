"""PostgreSQL behind the same functions as SQLite, directly or through PgBouncer, one server or several.

*Transactions are ours to begin and to end*, as on SQLite, and nothing outlives one: limits are set in the message that
begins it, no statement is prepared on the server, nothing is asked of a connection when it is made. So a pooler may
give every transaction another connection (``pool_mode = transaction``). How they begin is in
``postgresql_connections``.

*A commit is waited for without limit*: limits of time do not count for it. Where the database copies to another machine
before it acknowledges (``synchronous_standby_names``), whoever asked waits as long as the copy is away.

*Several hosts may stand in the URL*, of which that one is used that takes writes
(``postgresql://user@db-1,db-2/shieldwall?target_session_attrs=read-write``). One that answers no more is given up soon.
"""

from __future__ import annotations

import re
from typing import Any, Final

from sqlalchemy import URL, Connection, Dialect, Engine, create_engine, event, make_url
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

STATEMENT_MILLISECONDS: Final = 5_000
IDLE_MILLISECONDS: Final = 10_000
"""How long a transaction may hold its locks without asking anything."""
CONNECT_SECONDS: Final = 3
SILENT_MILLISECONDS: Final = 10_000
"""How long a host may leave unacknowledged what was sent to it."""
KEPT_CONNECTIONS: Final = 5
MORE_CONNECTIONS: Final = 10
WAIT_FOR_CONNECTION_SECONDS: Final = 10.0
_READ_ONLY_STATE: Final = "25006"
"""SQLSTATE read_only_sql_transaction: this host is not, or no more, the one that takes writes."""
_LIMIT: Final = f"SET LOCAL statement_timeout = {STATEMENT_MILLISECONDS}"
_LIMITS: Final = f"{_LIMIT};SET LOCAL idle_in_transaction_session_timeout = {IDLE_MILLISECONDS}"
WRITING: Final = f"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;{_LIMITS}"
READING: Final = f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;{_LIMITS}"
"""Begins what shows one view and writes nothing."""
GLANCING: Final = f"SET TRANSACTION READ ONLY;{_LIMIT}"
"""What is sent in one message is one transaction; these hold for the rest of it, which is never idle."""
_SEVERAL_HOSTS: Final = re.compile(
    r"(?P<start>[^:/?#]+://(?:[^/?#@]*@)?)(?P<hosts>[^/?#@]*,[^/?#@]*)(?P<rest>.*)", re.DOTALL
)
_DEFAULTS: Final = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives_idle": SILENT_MILLISECONDS // 1_000,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": SILENT_MILLISECONDS,
    "application_name": "shieldwall",
}
"""What libpq does with connections, unless the URL says otherwise; a Unix socket has no use for most of it."""


def parse(url: str) -> URL:
    """Read the URL of a database. Several hosts may stand where one does, each with its port, parted by commas."""
    if (found := _SEVERAL_HOSTS.fullmatch(url)) is None:
        return make_url(url)
    hosts = tuple(each if ":" in each else f"{each}:5432" for each in found["hosts"].split(","))
    return make_url(found["start"] + found["rest"]).update_query_dict({"host": hosts}, append=True)


def open_engine(url: URL) -> Engine:
    """Open the database that the URL names; nothing is connected yet."""
    from shieldwall.server.storage.engine import postgresql_connections  # noqa: PLC0415 - nobody on SQLite needs the driver

    connect_args: dict[str, Any] = {name: value for name, value in _DEFAULTS.items() if name not in url.query}
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_use_lifo=True,  # the one that was used last is warm on both sides, and known to be there
        pool_size=KEPT_CONNECTIONS,
        max_overflow=MORE_CONNECTIONS,
        pool_timeout=WAIT_FOR_CONNECTION_SECONDS,
        hide_parameters=True,  # from logs, as on SQLite
        use_native_hstore=False,  # or it would be looked up on each new connection
        connect_args=connect_args | {"prepare_threshold": None},
    )

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: Dialect, _entry: ConnectionPoolEntry, words: list[Any], named: dict[str, Any]) -> Any:
        return postgresql_connections.Connection.connect(*words, **named)

    @event.listens_for(engine, "connect")
    def prepare(raw: Any, _entry: ConnectionPoolEntry) -> None:
        raw.autocommit = True  # transactions are ours to begin and to end, see `begin`

    @event.listens_for(engine, "checkout")
    def look(raw: Any, _entry: ConnectionPoolEntry, _lent: PoolProxiedConnection) -> None:
        if not raw.is_there():
            raise InvalidatePoolError

    @event.listens_for(engine, "checkin")
    def rest(raw: Any, _entry: ConnectionPoolEntry) -> None:
        if raw is not None:  # it was found out to be of no use
            raw.rest()

    @event.listens_for(engine, "handle_error")
    def look_elsewhere(context: ExceptionContext) -> None:
        if getattr(context.original_exception, "sqlstate", None) == _READ_ONLY_STATE:
            context.is_disconnect = True  # connections to this host are of no use any more

    return engine


def begin(connection: Connection, opening: str) -> None:
    """Have the next statement begin a transaction: ``READING``, ``GLANCING`` or ``WRITING``."""
    raw: Any = connection.connection.driver_connection
    raw.begin(opening)
