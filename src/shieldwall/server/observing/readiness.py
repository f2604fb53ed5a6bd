"""Can this process serve? If its database has the right schema and took what was written last, and the signer answers.

Whether a database takes what is written, those know who write: a question of ours would find room for a small row where
theirs find none, and no lock on the table that theirs wait for.

Whoever asks is answered in bounded time, whatever the parts are about: one that stands still says nothing at all. Each
part is asked once at a time, for all who want to know, in a thread of its own: else those who watch over a server would
take up the threads and connections of those who use it, just when it is in trouble.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Thread
from typing import Final

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.signer.errors import SignerUnavailableError
from shieldwall.server.signer.ports import Signer
from shieldwall.server.storage.engine import migrate
from shieldwall.server.storage.engine.database import Database, StorageUnavailableError

OK = "ok"
PATIENCE_SECONDS: Final = 5.0
"""So long a part may take to answer; then it counts as not there."""
ASKED_ANEW_SECONDS: Final = 60.0
"""A question that was not answered for so long may never be, though the part is well again: then another is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadinessReport:
    """State by part: ``ok``, or the code of what is wrong."""

    parts: dict[str, str]

    @property
    def is_ready(self) -> bool:
        """Whether every part is well."""
        return all(state == OK for state in self.parts.values())

    def shown(self) -> dict[str, str]:
        """Return the report as it is answered."""
        return {"status": "ready" if self.is_ready else "notReady", **self.parts}


@dataclass(slots=True, kw_only=True)
class _Part:
    """What is asked, and the question that is under way."""

    ask: Callable[[], str]
    silent: str
    """What is said of a part that does not answer in time."""
    answer: Future[str] | None = None
    asked_at: float = 0.0

    def asked(self) -> Future[str]:
        """Ask, or wait with those who asked before."""
        now = time.monotonic()
        if self.answer is None or self.answer.done() or now - self.asked_at >= ASKED_ANEW_SECONDS:
            self.answer, self.asked_at = _in_thread(self.ask), now
        return self.answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Asks the parts that a process cannot serve without. It belongs to one loop."""

    database: Database
    signer: Signer
    patience: float = PATIENCE_SECONDS
    _parts: dict[str, _Part] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Know whom to ask."""
        self._parts["database"] = _Part(ask=self._database, silent=StorageUnavailableError.code)
        self._parts["signer"] = _Part(ask=self._signer, silent=SignerUnavailableError.code)

    async def check(self) -> ReadinessReport:
        """Ask all parts at once."""
        asked = {name: part.asked() for name, part in self._parts.items()}
        await asyncio.wait([asyncio.wrap_future(each) for each in asked.values()], timeout=self.patience)
        return ReadinessReport(
            parts={name: each.result() if each.done() else self._parts[name].silent for name, each in asked.items()}
        )

    def _database(self) -> str:
        try:
            if not migrate.is_current(self.database):
                return "schemaNotCurrent"
        except ShieldwallError as error:
            return error.code
        return StorageUnavailableError.code if self.database.refuses_writes else OK

    def _signer(self) -> str:
        try:
            self.signer.trust_root()
        except ShieldwallError as error:
            return error.code
        return OK


def _in_thread(ask: Callable[[], str]) -> Future[str]:
    """Ask in a thread that nobody waits for when the process ends."""
    answer: Future[str] = Future()

    def carry_out() -> None:
        try:
            answer.set_result(ask())
        except Exception as failure:  # noqa: BLE001 - handed to the one who asked
            answer.set_exception(failure)

    Thread(target=carry_out, name="readiness", daemon=True).start()
    return answer
