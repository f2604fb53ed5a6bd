"""Many small writes, one fsync.

Requests that arrive while a commit is under way wait together and go into the next transaction. None is acknowledged
before the commit is on disk, and one that fails takes nothing else with it: the batch is then undone and run once more,
each piece in a savepoint of its own. Mostly nothing fails, and savepoints cost more than the writes they guard.

Work that may aim policies anew goes into a transaction of its own kind, which begins with the lock of targeting: taken
later, it would be a deadlock with whoever holds it and waits for a row that was written before in the same transaction.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from sqlalchemy import Connection

from shieldwall.server.storage import targets
from shieldwall.server.storage.database import Database, StorageUnavailableError, translated
from shieldwall.server.storage.write_ahead_log import WriteAheadLog

T = TypeVar("T")

_Work = tuple[Callable[[Connection], Any], "Future[Any]", bool, int]
_Outcome = tuple[Any, Exception | None]
_MOST_PER_COMMIT: Final = 512


class GroupCommit:
    """The writer thread of one process. Start it once, close it before the database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._door = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)
        self.commits = 0
        self.acknowledged = 0
        self.log: Final = WriteAheadLog(database)
        self._thread.start()

    async def submit(self, work: Callable[[Connection], T], *, aims: bool = False, acknowledges: int = 1) -> T:
        """Run ``work`` in the next transaction; return its result once that is durable.

        It may run twice, the first time undone: it must have no effect but on its connection. ``aims`` says that it may
        aim policies anew, ``acknowledges`` for how many requests it stands.

        Raises:
            StorageUnavailableError: The commit failed, and nothing of the transaction happened; or this is closed.
            Exception: Whatever ``work`` raised; its own writes are undone.
        """
        future: Future[T] = Future()
        with self._door:  # so that nothing is put behind the end of the queue, where nobody would answer
            if self._closed:
                raise StorageUnavailableError("The server is stopping.", remedy="Try again in a minute.")
            self._queue.put((work, future, aims, acknowledges))
        return await asyncio.wrap_future(future)

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
                if alike := [each for each in batch if each[2] is aims]:
                    self._commit(alike, aims=aims)
            self.log.keep_small()
            if ends:
                return

    def _gather(self, first: _Work) -> tuple[list[_Work], bool]:
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

    def _commit(self, batch: list[_Work], *, aims: bool) -> None:
        works = [work for work, *_ in batch]
        try:
            outcomes = self._together(works, aims=aims)
        except Exception:  # noqa: BLE001 - whatever it is, the second run finds out whose it is
            outcomes = self._one_by_one(works, aims=aims)
        self.commits += 1
        self.acknowledged += sum(acknowledges for *_, acknowledges in batch)
        for (_, future, *_), (result, failure) in zip(batch, outcomes, strict=True):
            if not future.set_running_or_notify_cancel():
                continue  # the asker went away; what it asked for is done all the same
            if failure is None:
                future.set_result(result)
            else:
                future.set_exception(failure)

    def _together(self, works: list[Callable[[Connection], Any]], *, aims: bool) -> list[_Outcome]:
        with self._transaction(aims=aims) as connection:
            return [(work(connection), None) for work in works]

    def _one_by_one(self, works: list[Callable[[Connection], Any]], *, aims: bool) -> list[_Outcome]:
        try:
            with self._transaction(aims=aims) as connection:
                return [_attempt(connection, work) for work in works]
        except Exception as failed_commit:  # noqa: BLE001 - every waiter must hear of it, whatever it is
            return [(None, failed_commit)] * len(works)

    @contextmanager
    def _transaction(self, *, aims: bool) -> Iterator[Connection]:
        with self._database.write() as connection:
            if aims:
                targets.lock(connection)
            yield connection


def _attempt(connection: Connection, work: Callable[[Connection], Any]) -> _Outcome:
    savepoint = connection.begin_nested()
    try:
        with translated():
            result = work(connection)
    except Exception as failure:  # noqa: BLE001 - handed to the one who asked
        savepoint.rollback()
        return None, failure
    savepoint.commit()
    return result, None
