"""Many small writes, one fsync.

Requests that arrive while a commit is under way wait together and go into the next transaction. None is acknowledged
before the commit is on disk, and one that fails takes nothing else with it: the batch is then undone and run once more,
each piece in a savepoint of its own. Mostly nothing fails, and savepoints cost more than the writes they guard.

Where all that is asked waits for a lock until its time is up, each piece would do so once more, one after the other,
and whoever asked would wait for minutes. So the rest is given up after ``PATIENCE_SECONDS``: it may come again.

Where PostgreSQL had to choose between two who waited for each other's rows, whoever gave way is run once more, in a
transaction of its own: only its end lets go of all that the other one waits for.

Work that may aim policies anew goes into a transaction of its own kind, which begins with the lock of targeting: taken
later, it would be a deadlock with whoever holds it and waits for a row that was written before in the same transaction.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError

from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.engine.database import Database, StorageUnavailableError, translated
from shieldwall.server.storage.engine.write_ahead_log import WriteAheadLog

T = TypeVar("T")

_Outcome = tuple[Any, Exception | None]
_MOST_PER_COMMIT: Final = 512
_MOST_RUNS: Final = 3
PATIENCE_SECONDS: Final = 7.0
"""So long pieces are tried although the database does not take them. One that waits for a lock until its time is up
takes nothing from the others: there is time for another."""
_DEADLOCK: Final = "40P01"
"""SQLSTATE deadlock_detected: another gateway wrote to the same rows at this moment, in another order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Submitted:
    work: Callable[[Connection], Any]
    aims: bool
    acknowledges: int
    loop: asyncio.AbstractEventLoop
    """Where somebody waits for ``future``."""
    future: asyncio.Future[Any]


class GroupCommit:
    """The writer thread of one process. Start it once, close it before the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queue: queue.SimpleQueue[_Submitted | None] = queue.SimpleQueue()
        self._door = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)
        self.commits = 0
        """Batches of which at least a part is durable."""
        self.acknowledged = 0
        """How many requests those were for; one that failed is none of them."""
        self.log: Final = WriteAheadLog(database)
        self._thread.start()

    async def submit(self, work: Callable[[Connection], T], *, aims: bool = False, acknowledges: int = 1) -> T:
        """Run ``work`` in the next transaction; return its result once that is durable.

        It may run several times, undone but for the last: it must have no effect but on its connection. ``aims`` says
        that it may aim policies anew, ``acknowledges`` for how many requests it stands.

        Raises:
            StorageUnavailableError: The commit failed, and nothing of the transaction happened; or this is closed.
            Exception: Whatever ``work`` raised; its own writes are undone.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        submitted = _Submitted(work=work, aims=aims, acknowledges=acknowledges, loop=loop, future=future)
        with self._door:  # so that nothing is put behind the end of the queue, where nobody would answer
            if self._closed:
                raise StorageUnavailableError("The server is stopping.", remedy="Try again in a minute.")
            self._queue.put(submitted)
        return await future

    def close(self) -> None:
        """Finish what was submitted, then end the thread."""
        with self._door:
            self._closed = True
            self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            batch, ends = self._gather(first)
            for aims in (False, True):
                if alike := [each for each in batch if each.aims is aims]:
                    self._commit(alike, aims=aims)
            self.log.keep_small()
            if ends:
                return

    def _gather(self, first: _Submitted) -> tuple[list[_Submitted], bool]:
        batch = [first]
        while len(batch) < _MOST_PER_COMMIT:
            try:
                following = self._queue.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return batch, True
            batch.append(following)
        return batch, False

    def _commit(self, batch: list[_Submitted], *, aims: bool) -> None:
        works = [each.work for each in batch]
        try:
            outcomes = self._together(works, aims=aims)
        except Exception:  # noqa: BLE001 - whatever it is, the second run finds out whose it is
            outcomes = self._one_by_one(works, aims=aims)
            for _ in range(_MOST_RUNS - 1):
                self._run_again(works, outcomes, aims=aims)
        if all(isinstance(failure, StorageUnavailableError) for _, failure in outcomes):
            self._database.refused()
        taken = [each.acknowledges for each, (_, failure) in zip(batch, outcomes, strict=True) if failure is None]
        self.commits += bool(taken)
        self.acknowledged += sum(taken)
        for loop in {each.loop for each in batch}:
            futures = [
                (each.future, outcome) for each, outcome in zip(batch, outcomes, strict=True) if each.loop is loop
            ]
            with suppress(RuntimeError):  # the loop is closed: nobody is there any more
                loop.call_soon_threadsafe(_tell, futures)

    def _together(self, works: list[Callable[[Connection], Any]], *, aims: bool) -> list[_Outcome]:
        with self._transaction(aims=aims) as connection:
            return [(work(connection), None) for work in works]

    def _one_by_one(self, works: list[Callable[[Connection], Any]], *, aims: bool) -> list[_Outcome]:
        try:
            with self._transaction(aims=aims) as connection:
                return _attempts(connection, works)
        except Exception as failed_commit:  # noqa: BLE001 - every waiter must hear of it, whatever it is
            return [(None, failed_commit)] * len(works)

    def _run_again(self, works: list[Callable[[Connection], Any]], outcomes: list[_Outcome], *, aims: bool) -> None:
        """Run again whatever gave way to others, and replace its outcome."""
        places = [place for place, (_, failure) in enumerate(outcomes) if _gave_way(failure)]
        if places:
            again = self._one_by_one([works[place] for place in places], aims=aims)
            for place, outcome in zip(places, again, strict=True):
                outcomes[place] = outcome

    @contextmanager
    def _transaction(self, *, aims: bool) -> Iterator[Connection]:
        with self._database.write() as connection:
            if aims:
                targets.lock(connection)
            yield connection


def _tell(futures: Sequence[tuple[asyncio.Future[Any], _Outcome]]) -> None:
    """Tell those who wait on a loop, all of one commit with one call of it."""
    for future, (result, failure) in futures:
        if future.done():
            continue  # the asker went away; what it asked for is done all the same
        if failure is None:
            future.set_result(result)
        else:
            future.set_exception(failure)


def _gave_way(failure: Exception | None) -> bool:
    database_said = None if failure is None else getattr(failure.__cause__, "orig", None)
    return getattr(database_said, "sqlstate", None) == _DEADLOCK


def _attempts(connection: Connection, works: Sequence[Callable[[Connection], Any]]) -> list[_Outcome]:
    """Try one after the other, as long as the database takes some of it or there is time."""
    until = time.monotonic() + PATIENCE_SECONDS
    outcomes: list[_Outcome] = []
    for work in works:
        outcomes.append(_attempt(connection, work))
        _, failure = outcomes[-1]
        if isinstance(failure, StorageUnavailableError) and time.monotonic() >= until:
            return outcomes + [(None, failure)] * (len(works) - len(outcomes))
    return outcomes


def _attempt(connection: Connection, work: Callable[[Connection], Any]) -> _Outcome:
    savepoint = connection.begin_nested()
    try:
        with translated():
            result = work(connection)
    except Exception as failure:  # noqa: BLE001 - handed to the one who asked
        try:
            savepoint.rollback()
        except DatabaseError:  # a full disk: SQLite has undone the transaction, and with it what others wrote in it
            raise failure from None
        return None, failure
    savepoint.commit()
    return result, None
