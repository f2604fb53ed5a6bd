"""From the wish for a scan to its result: lock, wait for an idle device, new definitions, engine, places, history."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Final

from msgspec import Struct, field

from shieldwall.agent.detections import spool
from shieldwall.agent.detections.model import Source
from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.files import make_directory
from shieldwall.agent.host.kernel_files import shown
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.base import ProviderError
from shieldwall.agent.providers.clamav import daemon
from shieldwall.agent.providers.freshclam import updating
from shieldwall.agent.scanning import engine, exclusions, history, loading, places, quarantine
from shieldwall.agent.scanning.history import Ended, ScanResult
from shieldwall.agent.scanning.policy import FILE, ScanPolicy, decode, of_values
from shieldwall.agent.scanning.scan import Scan, Tally, files_of
from shieldwall.agent.scanning.walking import OpenFile, Walk
from shieldwall.contract.clock import Clock

SEEN: Final = history.DIRECTORY / "definitions-seen"
"""Digest of the definitions that running programs were last scanned with."""
_IDLE_LOAD: Final = 0.25
_IDLE_POLL_SECONDS: Final = 60.0
_IDLE_PATIENCE_SECONDS: Final = 6 * 3600.0
_CLAMD: Final = PurePosixPath("/etc/clamav/clamd.conf")


class Kind(StrEnum):
    """What is scanned."""

    QUICK = "quick"
    FULL = "full"
    PROGRAMS = "programs"
    """What runs right now."""
    PATHS = "paths"


class Wish(Struct, frozen=True):
    """What somebody wants to be scanned, and why."""

    kind: Kind
    source: Source
    paths: tuple[str, ...] = ()


class Session(Struct, frozen=True, kw_only=True):
    """Everything that scans need of their surroundings."""

    host: Host
    clock: Clock
    monotonic: Callable[[], float]
    sleep: Callable[[float], object]
    load: Callable[[], float] = history.load_per_processor
    cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def policy(self) -> ScanPolicy:
        """What policies say about scans. Raises: HostError."""
        return of_values(decode(self.host.read_file(FILE)))

    @property
    def quarantine(self) -> quarantine.Quarantine:
        """The quarantine of this device."""
        return quarantine.Quarantine(directory=self.host.locate(quarantine.DIRECTORY), clock=self.clock)

    def scan(self, kind: Kind, source: Source, paths: Sequence[str] = ()) -> ScanResult:
        """Scan, and note the result. Raises: HostError, OSError when nothing can be noted."""
        begun = self.clock.now()
        name = f"{begun:%Y%m%dT%H%M%SZ}-{kind}"
        wanted = self.policy
        with self._alone() as alone:
            walk = Walk(is_excluded=lambda _path: False, borders=frozenset())
            tally = (
                self._carried_out(Wish(kind, source, tuple(paths)), name, wanted, walk) if alone else _skipped(_BUSY)
            )
            address = self._engine()
            result = ScanResult(
                id=name,
                kind=kind,
                source=source,
                started_at=begun.isoformat(timespec="seconds"),
                ended_at=self.clock.now().isoformat(timespec="seconds"),
                ended=tally.ended,
                files=tally.files,
                excluded=walk.excluded,
                unreadable=walk.unreadable + tally.failed,
                detections=tally.detections,
                quarantined=tally.quarantined,
                engine=(engine.version(address) if address is not None else None) or "",
                reasons=tuple((*tally.reasons, *walk.reasons)[:10]),
            )
            self.quarantine.purge(wanted.retention_days)
            history.record(
                self._directory, result, clock=self.clock, days=wanted.retention_days, items=wanted.history_items
            )
        return result

    def scan_after_update(self) -> ScanResult | None:
        """Scan what runs, if the definitions are others than at the last time. Raises: as ``scan``."""
        content = self.host.read_file(_CLAMD) or b""
        found = updating.databases(self.host, content)
        if (self.host.read_file(SEEN) or b"").decode(errors="replace").strip() == found.digest:
            return None
        address = self._engine()
        if address is not None:
            with contextlib.suppress(OSError):  # it then shows as a scan without an engine
                loading.reload_and_wait(
                    address,
                    updating.database_directory(self.host, content),
                    monotonic=self.monotonic,
                    sleep=self.sleep,
                )
        result = self.scan(Kind.PROGRAMS, Source.DEFINITION_UPDATE)
        if result.ended is Ended.COMPLETED:
            self.host.write_file(SEEN, found.digest.encode() + b"\n")
        return result

    def _carried_out(self, wish: Wish, name: str, wanted: ScanPolicy, walk: Walk) -> Tally:
        scheduled = wish.source is Source.SCHEDULED_SCAN
        if scheduled and wanted.when_idle and not self._became_idle():
            return _skipped("The device was never idle.")
        if scheduled and wanted.definitions_first:
            self._update()
        address = self._engine()
        if address is None or engine.version(address) is None:
            return Tally(ended=Ended.FAILED, reasons=["No clamd answers on this device."])
        content = self.host.read_file(_CLAMD) or b""
        found = places.mounts(shown(Path("/proc/self/mountinfo")))
        kept_out = {
            str(self.host.locate(quarantine.DIRECTORY)),
            str(updating.database_directory(self.host, content)),
        }
        walk.borders = (places.borders(found) if wish.kind is Kind.FULL else places.unscanned(found)) | kept_out
        if not (scheduled and wanted.ignore_exclusions):
            walk.is_excluded = exclusions.excluder(content)
        scan = Scan(
            name=name,
            source=wish.source,
            policy=wanted,
            engine=address,
            quarantine=self.quarantine,
            events=self.host.locate(spool.DIRECTORY),
            clock=self.clock,
            monotonic=self.monotonic,
            sleep=self.sleep,
            cancelled=self.cancelled,
        )
        return scan.over(self._files(wish, walk, found))

    def _files(self, wish: Wish, walk: Walk, found: tuple[places.Mount, ...]) -> Iterator[OpenFile]:
        match wish.kind:
            case Kind.FULL:
                return files_of(walk, self._under_root(places.full(found)))
            case Kind.QUICK:
                quick = (*self._placed(places.QUICK, found), *self._programs(found))
                return files_of(walk, quick)
            case Kind.PROGRAMS:
                return files_of(walk, self._programs(found))
            case Kind.PATHS:
                return files_of(walk, [os.path.realpath(path) for path in wish.paths])

    def _under_root(self, points: Iterable[str]) -> list[str]:
        """Of a root that is a directory of another system, only what lies below it belongs to the managed one."""
        root = str(self.host.root)
        if root == "/":
            return list(points)
        return [root, *(point for point in points if point.startswith(root + "/"))]

    def _placed(self, names: Iterable[str], found: tuple[places.Mount, ...]) -> Iterator[str]:
        """Resolve links that the machine itself has on the way, and leave out what lies on a foreign file system."""
        foreign = places.unscanned(found)
        for name in names:
            path = os.path.realpath(self.host.locate(PurePosixPath(name)))
            if _nearest(path, found) not in foreign:
                yield path

    def _programs(self, found: tuple[places.Mount, ...]) -> Iterator[str]:
        if self.host.root != Path("/"):
            return
        foreign = places.unscanned(found)
        for path in places.running_programs(Path("/proc")):
            if _nearest(path, found) not in foreign:
                yield path

    def _became_idle(self) -> bool:
        deadline = self.monotonic() + _IDLE_PATIENCE_SECONDS
        while self.load() > _IDLE_LOAD:
            if self.monotonic() > deadline or self.cancelled.is_set():
                return False
            self.sleep(_IDLE_POLL_SECONDS)
        return True

    def _update(self) -> None:
        """Get new definitions; a scan with the old ones is better than none, so failures are only noted there."""
        with contextlib.suppress(HostError, ProviderError, OSError):
            run = updating.update(self.host, self.clock)
            address = self._engine()
            if run.outcome is updating.Outcome.UPDATED and address is not None:
                directory = updating.database_directory(self.host, self.host.read_file(_CLAMD) or b"")
                loading.reload_and_wait(address, directory, monotonic=self.monotonic, sleep=self.sleep)

    def _engine(self) -> Path | None:
        content = self.host.read_file(_CLAMD)
        return None if content is None else daemon.address(self.host, content)

    @property
    def _directory(self) -> Path:
        return self.host.locate(history.DIRECTORY)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[bool]:
        make_directory(self._directory, mode=0o700)
        descriptor = os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)


_BUSY: Final = "Another scan was running."


def _skipped(reason: str) -> Tally:
    return Tally(ended=Ended.SKIPPED, reasons=[reason])


def _nearest(path: str, found: tuple[places.Mount, ...]) -> str:
    """Return the mount point that a path lies on."""
    within = [mount.point for mount in found if path == mount.point or path.startswith(mount.point.rstrip("/") + "/")]
    return max(within, key=len, default="/")
