"""One scan: every file handed to the engine, what it finds acted upon as the policy says, and the result noted."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from msgspec import Struct, field

from shieldwall.agent.detections import spool
from shieldwall.agent.detections.model import Action, Detection, Source, readable_path
from shieldwall.agent.scanning.engine import EngineGoneError, Verdict, look_at
from shieldwall.agent.scanning.history import Ended
from shieldwall.agent.scanning.policy import ScanPolicy
from shieldwall.agent.scanning.quarantine import Quarantine, QuarantineError
from shieldwall.agent.scanning.walking import OpenFile, Walk
from shieldwall.contract.clock import Clock

_WAITING_PER_WORKER: Final = 4
_LONGEST_PAUSE_SECONDS: Final = 1.0
_CHUNK: Final = 1024 * 1024


class Tally(Struct, kw_only=True):
    """What a scan has come to so far."""

    files: int = 0
    failed: int = 0
    detections: int = 0
    quarantined: int = 0
    ended: Ended = Ended.COMPLETED
    reasons: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


class Scan(Struct, frozen=True, kw_only=True):
    """How one scan goes about it."""

    name: str
    """Its id, which its detections carry."""
    source: Source
    policy: ScanPolicy
    engine: Path
    """The socket of clamd."""
    quarantine: Quarantine
    events: Path
    clock: Clock
    monotonic: Callable[[], float]
    sleep: Callable[[float], object]
    cancelled: threading.Event

    def over(self, files: Iterable[OpenFile]) -> Tally:
        """Have the engine look at each file, several at a time.

        Raises:
            OSError: What was found cannot be noted.
        """
        tally = Tally()
        slots = threading.BoundedSemaphore(self.policy.workers * _WAITING_PER_WORKER)

        broken: list[Exception] = []

        def judge(file: OpenFile) -> None:
            try:
                if tally.ended is Ended.COMPLETED and not broken:
                    self._judge(file, tally)
            except Exception as error:  # noqa: BLE001 - raised below, where somebody sees it
                broken.append(error)
            finally:
                file.close()
                slots.release()

        with ThreadPoolExecutor(self.policy.workers) as workers:
            for file in self._until_over(files, tally):
                slots.acquire()
                workers.submit(judge, file)
                if broken:
                    break
        if broken:
            raise broken[0]
        return tally

    def _until_over(self, files: Iterable[OpenFile], tally: Tally) -> Iterator[OpenFile]:
        for file in files:
            if self.cancelled.is_set():
                tally.ended = Ended.CANCELLED
            if tally.ended is not Ended.COMPLETED:
                file.close()
                return
            yield file

    def _judge(self, file: OpenFile, tally: Tally) -> None:
        begun = self.monotonic()
        try:
            answer = look_at(self.engine, file.descriptor)
        except EngineGoneError as error:
            with tally.lock:
                tally.ended = Ended.FAILED
                tally.reasons.append(str(error)[:256])
            return
        with tally.lock:
            tally.files += 1
        if answer.verdict is Verdict.FOUND and not self.policy.is_allowed(answer.threat):
            self._act(file, answer.threat, tally)
        elif answer.verdict is Verdict.FAILED:
            with tally.lock:
                tally.failed += 1
                if len(tally.reasons) < 10:
                    tally.reasons.append(f"{readable_path(file.path)}: {answer.reason}"[:256])
        if self.policy.low_priority:  # clamd does the work, so a low priority of ours alone would leave it as busy
            self.sleep(min(self.monotonic() - begun, _LONGEST_PAUSE_SECONDS))

    def _act(self, file: OpenFile, threat: str, tally: Tally) -> None:
        shown = readable_path(file.path)
        action, reason, item = self.policy.action(threat), "", None
        if action is Action.QUARANTINED:
            try:
                item = self.quarantine.take(file, threat, shown)
            except QuarantineError as error:
                action, reason = Action.FAILED, error.cause[:512]
        detection = Detection(
            at=self.clock.now().isoformat(timespec="milliseconds"),
            source=self.source,
            threat=threat,
            path=shown,
            action=action,
            sha256=item.sha256 if item is not None else _digest(file.descriptor),
            size=file.status.st_size,
            owner=file.status.st_uid,
            scan=self.name,
            quarantine=item.id if item is not None else None,
            reason=reason,
        )
        with tally.lock:
            tally.detections += 1
            tally.quarantined += item is not None
            spool.append(self.events, [detection])


def files_of(walk: Walk, roots: Iterable[str]) -> Iterator[OpenFile]:
    """Walk over several roots, one after the other."""
    for root in roots:
        yield from walk.over(root)


def _digest(descriptor: int) -> str:
    digest, offset = hashlib.sha256(), 0
    while chunk := os.pread(descriptor, _CHUNK, offset):
        digest.update(chunk)
        offset += len(chunk)
    return digest.hexdigest()
