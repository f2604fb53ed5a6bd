"""How PostgreSQL is to answer a page of a list: by the one process that is asked, without compiling anything first.

Such questions take milliseconds. Others that help would have to be started, would gather anew what is left out, and
would be missing elsewhere; and machine code for a statement takes longer to make than the statement.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, func, select

_AT_ONCE: Final = select(
    func.set_config("max_parallel_workers_per_gather", "0", True), func.set_config("jit", "off", True)
)


def at_once(connection: Connection) -> None:
    """Have the rest of this transaction answered so; SQLite always does."""
    if connection.dialect.name != "sqlite":
        connection.execute(_AT_ONCE)
