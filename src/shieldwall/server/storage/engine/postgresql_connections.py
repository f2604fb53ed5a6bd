"""Connections to PostgreSQL that ask it as seldom as can be: most of what a small question costs is that it is asked.

*A transaction begins in the message of its first statement.* Values are therefore written into statements on this side
(``psycopg.ClientCursor``): a message that carries them apart has room for one statement.

*Whether a connection is still there is seen*, and asked only where that says too little. Whoever ended it has left word
of that, which waits to be read; a host that vanished says nothing, and is noticed by its silence.
"""

from __future__ import annotations

import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import psycopg
from psycopg.pq import TransactionStatus

BELIEVED_SECONDS: Final = 1.0
"""How long after its last word a host is taken to be there."""
_SEPARATOR: Final = ";"
_Row: TypeAlias = tuple[Any, ...]


class Connection(psycopg.Connection[_Row]):
    """A connection in autocommit mode, whose transactions are begun by the statements in them."""

    def __init__(self, *words: Any, **named: Any) -> None:
        super().__init__(*words, **named)
        self.cursor_factory = _Cursor
        self.server_cursor_factory = _ServerCursor
        self._opening = ""
        self._heard_at = time.monotonic()

    def begin(self, opening: str) -> None:
        """Have the next statement begin a transaction, by these statements before it."""
        self._opening = opening

    def commit(self) -> None:
        """Make durable what was done since ``begin``. Raises: psycopg.Error."""
        self._opening = ""  # nothing was asked since, so nothing has begun
        super().commit()

    def rollback(self) -> None:
        """Undo what was done since ``begin``. Raises: psycopg.Error."""
        self._opening = ""
        super().rollback()

    def rest(self) -> None:
        """Note that the other side was there just now, and that nobody needs the connection for a while."""
        self._heard_at = time.monotonic()

    def is_there(self) -> bool:
        """Say whether the other side still answers; it is asked where that is not clear."""
        try:
            if time.monotonic() - self._heard_at >= BELIEVED_SECONDS or self._has_news():
                self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    @contextmanager
    def opened_by(self) -> Iterator[str]:
        """Give what has to stand before a statement that is sent now. It stays due where that began nothing."""
        try:
            yield self._opening
        finally:
            if self._opening and self.pgconn.transaction_status != TransactionStatus.IDLE:
                self._opening = ""

    def open(self) -> None:
        """Begin a transaction that is due, for what cannot have anything before it. Raises: psycopg.Error."""
        with self.opened_by() as opening:
            if opening:
                psycopg.ClientCursor(self).execute(opening.encode())

    def _has_news(self) -> bool:
        """Say whether something came that nobody waits for: the end of the connection, or word of a setting."""
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        return bool(poll.poll(0))


class _Cursor(psycopg.ClientCursor[_Row]):
    def execute(self, query: Any, params: Any = None, **how: Any) -> _Cursor:
        connection: Any = self.connection
        with connection.opened_by() as opening:
            if not opening:
                return super().execute(query, params, **how)
            super().execute(f"{opening}{_SEPARATOR}{query}", params, **how)
        self.set_result(opening.count(_SEPARATOR) + 1)
        return self

    def executemany(self, query: Any, params_seq: Any, *, returning: bool = False) -> None:
        connection: Any = self.connection
        connection.open()
        super().executemany(query, params_seq, returning=returning)


class _ServerCursor(psycopg.ServerCursor[_Row]):
    def execute(self, query: Any, params: Any = None, **how: Any) -> _ServerCursor:
        connection: Any = self.connection
        connection.open()
        return super().execute(query, params, **how)
