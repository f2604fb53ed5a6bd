"""The triggers of a database, word for word."""

from __future__ import annotations

from sqlalchemy import Connection, text


def triggers(connection: Connection, beginning: str = "") -> dict[str, str]:
    """Return every trigger whose name begins so, by name; on PostgreSQL with the function that it calls."""
    if connection.dialect.name == "sqlite":
        query = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
    else:
        query = (
            "SELECT tgname, pg_get_triggerdef(pg_trigger.oid) || prosrc FROM pg_trigger"
            " JOIN pg_proc ON pg_proc.oid = tgfoid WHERE NOT tgisinternal"
        )
    found = {str(name): str(words) for name, words in connection.execute(text(query))}
    return {name: words for name, words in found.items() if name.startswith(beginning)}
