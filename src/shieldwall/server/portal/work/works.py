"""The work under way in this process: each piece is of one person, who alone sees it and gets what comes of it.

It is kept in memory. A server that starts anew has forgotten it, and removes the files that were left.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from threading import Lock
from typing import Any, Final

import structlog

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.access.authorization import ForbiddenError, Principal
from shieldwall.server.access.grants import Access
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.portal.work.progress import File, Page, Progress, Run, WorkCancelledError
from shieldwall.server.storage.errors import NotFoundError

AT_ONCE: Final = 2
"""Pieces of work that run at the same time, of everybody; the others wait for their turn."""
MOST_UNFINISHED: Final = 3
MOST_KEPT: Final = 10
"""Pieces of one person: under way, and together with those that are finished."""
KEPT_FOR: Final = timedelta(hours=24)
FREE_BYTES: Final = 256 * 1024 * 1024
"""What has to be free beside the database before work that may fill a file is begun."""


class TooMuchWorkError(ShieldwallError):
    """Nothing more can be started now."""

    code = "tooMuchWork"
    remedy = "Wait until something is finished, or cancel it under 'Your work'."


class WorkState(StrEnum):
    """How a piece of work stands."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes."""
        return self not in {WorkState.WAITING, WorkState.RUNNING}


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A piece of work as it stands at a moment. ``title`` is a marked text, filled with ``values``."""

    id: str
    title: str
    values: Mapping[str, Any]
    origin: str
    started_at: datetime
    state: WorkState
    done: int
    total: int | None
    ended_at: datetime | None = None
    result: File | Page | None = None
    problem: ShieldwallError | None = None


@dataclass(slots=True, eq=False, kw_only=True)
class _Piece:
    id: str
    owner: tuple[str, str]
    access: Access
    title: str
    values: Mapping[str, Any]
    origin: str
    run: Run
    progress: Progress
    place: Path
    started_at: datetime
    state: WorkState = WorkState.WAITING
    ended_at: datetime | None = None
    result: File | Page | None = None
    problem: ShieldwallError | None = None

    def now(self) -> Work:
        return Work(
            id=self.id,
            title=self.title,
            values=self.values,
            origin=self.origin,
            started_at=self.started_at,
            state=self.state,
            done=self.progress.done,
            total=self.progress.total,
            ended_at=self.ended_at,
            result=self.result,
            problem=self.problem,
        )


class Works:
    """Starts work and remembers it."""

    def __init__(self, services: AdminServices) -> None:
        self._services = services
        self._pieces: dict[str, _Piece] = {}
        self._lock = Lock()
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="portal-work")

    def start(
        self, person: Principal, title: str, run: Run, *, origin: str, values: Mapping[str, Any] | None = None
    ) -> Work:
        """Begin a piece of work for somebody; show it them by redirecting to ``/work/ID``.

        ``title`` is a marked text that says what is done, ``values`` fill it, ``origin`` is the path of the page to go
        back to.

        Raises:
            TooMuchWorkError: The person has as much under way as anybody may, or the disk is almost full.
        """
        owner, now = (person.tenant_id, person.id), self._services.clock.now()
        place = self._folder
        place.mkdir(mode=0o700, exist_ok=True)
        if shutil.disk_usage(place).free < FREE_BYTES:
            raise TooMuchWorkError("The disk of the server is almost full.", remedy="Free space on it first.")
        identity = self._services.new_id()
        piece = _Piece(
            id=identity,
            owner=owner,
            access=person.access,
            title=title,
            values=dict(values or {}),
            origin=origin,
            run=run,
            progress=Progress(place / identity),
            place=place / identity,
            started_at=now,
        )
        with self._lock:
            mine = self._of(owner, now)
            if sum(not each.state.is_over for each in mine) >= MOST_UNFINISHED:
                raise TooMuchWorkError(f"You have {MOST_UNFINISHED} pieces of work under way.")
            for each in [each for each in mine if each.state.is_over][MOST_KEPT - 1 - MOST_UNFINISHED :]:
                self._forget(each)
            self._pieces[piece.id] = piece
        self._threads.submit(self._work, piece)
        return piece.now()

    def of(self, person: Principal) -> list[Work]:
        """Return somebody's work, the latest first."""
        with self._lock:
            return [each.now() for each in self._of((person.tenant_id, person.id), self._services.clock.now())]

    def find(self, person: Principal, identity: str) -> Work:
        """Return a piece of somebody's own work. Raises: NotFoundError."""
        return self._find(person, identity).now()

    def mark(self, identity: str) -> str:
        """Say in few letters how a piece of work stands, whosever it is; nothing where there is none."""
        piece = self._pieces.get(identity)
        return "" if piece is None else f"{piece.state} {piece.progress.done} {piece.progress.total}"

    def result(self, person: Principal, identity: str) -> File:
        """Return the file that came of work.

        Raises:
            NotFoundError: There is none.
            ForbiddenError: The person's roles are not what they were when the work began.
        """
        piece = self._find(person, identity)
        if piece.access != person.access:
            raise ForbiddenError(
                "Your roles have changed since this was made.", remedy="Start it again: it then shows what you may see."
            )
        if not isinstance(piece.result, File) or not piece.place.exists():
            raise NotFoundError("There is no such file.")
        return piece.result

    def cancel(self, person: Principal, identity: str) -> None:
        """Call off what is under way, and forget what is over. Raises: NotFoundError."""
        piece = self._find(person, identity)
        piece.progress.call_off()
        with self._lock:
            if piece.state.is_over:
                self._forget(piece)

    def open(self) -> None:
        """Remove what a server before this one left."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def close(self) -> None:
        """Call off everything, and remove what came of it."""
        with self._lock:
            for piece in self._pieces.values():
                piece.progress.call_off()
        self._threads.shutdown(wait=True, cancel_futures=True)
        self.open()

    @property
    def _folder(self) -> Path:
        return self._services.settings.data / "work"

    def _find(self, person: Principal, identity: str) -> _Piece:
        with self._lock:
            owned = self._of((person.tenant_id, person.id), self._services.clock.now())
            found = [each for each in owned if each.id == identity]
        if not found:
            raise NotFoundError(
                "There is no such work of yours.",
                remedy="What was made is kept for a day, and until the server starts anew: start it again.",
            )
        return found[0]

    def _of(self, owner: tuple[str, str], now: datetime) -> list[_Piece]:
        for piece in list(self._pieces.values()):
            if piece.ended_at is not None and now - piece.ended_at > KEPT_FOR:
                self._forget(piece)
        return [each for each in reversed(self._pieces.values()) if each.owner == owner]

    def _forget(self, piece: _Piece) -> None:
        self._pieces.pop(piece.id, None)
        piece.place.unlink(missing_ok=True)

    def _work(self, piece: _Piece) -> None:
        piece.state = WorkState.RUNNING
        with self._ending(piece):
            piece.progress.advance(0)
            piece.result = piece.run(piece.progress)
            piece.progress.advance(0)

    @contextmanager
    def _ending(self, piece: _Piece) -> Iterator[None]:
        state = WorkState.FINISHED
        try:
            yield
        except WorkCancelledError:
            state = WorkState.CANCELLED
        except ShieldwallError as error:
            state, piece.problem = WorkState.FAILED, error
        except Exception:  # noqa: BLE001 - it is logged, and said on the page of the work
            structlog.get_logger().exception("work_failed", work=piece.id, title=piece.title)
            state = WorkState.FAILED
            piece.problem = ShieldwallError(
                "Something went wrong inside the server.", remedy="Its log says what. Start it again."
            )
        finally:
            if state is not WorkState.FINISHED:
                piece.result = None
                piece.place.unlink(missing_ok=True)
            piece.ended_at = self._services.clock.now()
            piece.state = state
