"""A database that refuses what was written, as a full disk does: at the commit, when all the work is done."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, event
from sqlalchemy.exc import OperationalError

from shieldwall.server.storage.engine.database import Database
from shieldwall.simulator.chance import Chance
from shieldwall.simulator.core.history import History


@dataclass(slots=True)
class BreakableCommits:
    """Lets commits fail by chance while somebody is at work."""

    chance: Chance
    history: History

    @contextmanager
    def breaking(self, database: Database, often: float) -> Iterator[None]:
        """Let each commit inside fail with this chance."""
        if often <= 0:
            yield
            return

        def refuse(_connection: Connection) -> None:
            if self.chance.random() < often:
                self.history.add("commitFailed")
                raise OperationalError("COMMIT", {}, sqlite3.OperationalError("database or disk is full"))

        event.listen(database.engine, "commit", refuse)
        try:
            yield
        finally:
            event.remove(database.engine, "commit", refuse)
