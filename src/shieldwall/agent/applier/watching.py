"""Drift is noticed when it happens: whoever changes what providers hold is put right within seconds.

Watched are the files of all providers, and what programs of theirs print when a component changes. A notice leads to a
look for drift after a short quiet, so that an editor's five steps are one change; notices that keep coming lead to
looks farther and farther apart, up to the period after which drift is looked for anyway. What we write ourselves is no
notice: the kernel names our process, and where it names none, notices that come while we work are dropped.

Values of the kernel (``/proc``, ``/sys``) send no notices; they are read again every few seconds (``kernel_values``).
"""

from __future__ import annotations

import contextlib
import os
import selectors
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from msgspec import Struct, field

from shieldwall.agent.applier.culprits import culprit, culprit_in
from shieldwall.agent.applier.kernel_values import KernelValues
from shieldwall.agent.applier.notifying import Fanotify, Inotify, Notice, Notifier
from shieldwall.agent.applier.store import BusyError
from shieldwall.agent.applier.transaction import Seen
from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.ports import Host
from shieldwall.agent.host.streams import Stream
from shieldwall.agent.providers.base import Monitored, Provider
from shieldwall.contract.errors import ShieldwallError

QUIET_SECONDS: Final = 0.5
"""So long nothing more must come before anybody looks."""
LONGEST_SECONDS: Final = 60.0
"""However much comes, so often somebody looks, and no notice is older than that."""
_REARM_SECONDS: Final = 30.0
_RESTART_SECONDS: Final = 10.0
_SILENT: Final = (PurePosixPath("/proc"), PurePosixPath("/sys"))


class DriftWatch(Struct, kw_only=True):
    """Watches until it is stopped; ``look`` is called in its thread with whoever was seen changing which file.

    A ``look`` that raises ``BusyError`` is repeated. ``start`` starts a provider's watching program.
    """

    host: Host
    providers: Sequence[Provider]
    look: Callable[[Seen], None]
    notifiers: Sequence[Callable[[], Notifier]] = (Fanotify, Inotify)
    """The best first. One that cannot watch a directory makes place for the next."""
    start: Callable[[Sequence[str]], Stream] = Stream
    monotonic: Callable[[], float] = time.monotonic
    _working: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _notifier: Notifier | None = None
    _kept: list[Notice] = field(default_factory=list)
    _is_stale: bool = True
    """Whether directories may have come, be it by our own doing, that are not watched yet."""
    _wake: tuple[int, int] = field(default_factory=lambda: os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC))
    _stopping: bool = False

    def stop(self) -> None:
        """Let ``run`` return soon. May be called from any thread, and from a signal handler."""
        self._stopping = True
        self._nudge()

    @contextlib.contextmanager
    def own_work(self) -> Iterator[None]:
        """Say that what changes now is our own doing."""
        self._working += 1
        try:
            yield
        finally:
            with self._lock:
                self._kept += self._take()  # those of nobody are still our own
                self._working -= 1
            if self._kept or self._is_stale:
                self._nudge()

    def run(self) -> None:
        """Watch until ``stop``. Where the kernel gives no notices at all, watching programs remain."""
        files = self._files()
        streams: dict[Stream, Provider] = {}
        pending = _Pending(monotonic=self.monotonic)
        values = KernelValues.of(self.host, self.providers, self.monotonic)
        choices = list(self.notifiers)
        armed = restarted = -_REARM_SECONDS
        try:
            while not self._stopping:
                now = self.monotonic()
                if self._is_stale or now - armed >= _REARM_SECONDS:
                    self._is_stale = False
                    self._arm(files, choices)
                    armed = now
                if now - restarted >= _RESTART_SECONDS:
                    self._start_missing(streams)
                    restarted = now
                for path in values.changed():
                    pending.add(path, "")
                self._wait(streams, min(pending.seconds_left(), values.seconds_left(), _RESTART_SECONDS))
                for path, who in (*self._noticed(files), *self._told(streams)):
                    pending.add(path, who)
                if pending.is_due():
                    pending.looked(done=self._looked(pending.seen))
        finally:
            for stream in streams:
                stream.stop()
            with self._lock:
                if self._notifier is not None:
                    self._notifier.close()
                    self._notifier = None

    def _nudge(self) -> None:
        with contextlib.suppress(BlockingIOError):  # full, so it is awake already, or gone for good
            os.write(self._wake[1], b"\0")

    def _looked(self, seen: Seen) -> bool:
        try:
            with self.own_work():
                self.look(dict(seen))
        except BusyError:
            return False
        except ShieldwallError:
            return True  # the periodic look tells of it
        return True

    def _files(self) -> dict[Path, PurePosixPath]:
        """Name the places to watch: every file, and for one that is not there yet the directories on the way to it."""
        paths = {path for provider in self.providers for path in provider.files()}
        return {self.host.locate(path): path for path in paths if not any(map(path.is_relative_to, _SILENT))}

    def _arm(self, files: dict[Path, PurePosixPath], choices: list[Callable[[], Notifier]]) -> None:
        """Watch every directory that is there, with the best of the notifiers left that can."""
        while self._notifier is not None or choices:
            if self._notifier is None:
                with contextlib.suppress(OSError), self._lock:
                    self._notifier = choices.pop(0)()
                continue
            if self._watched(self._notifier, files) or not choices:
                return
            with self._lock:
                self._notifier.close()
                self._notifier = None

    @staticmethod
    def _watched(source: Notifier, files: dict[Path, PurePosixPath]) -> bool:
        """Watch what is there, and what came while we did; false where something cannot be watched."""
        able, watched = True, set[Path]()
        directories = {place.parent for place in files}
        while missing := {_nearest(directory) for directory in directories} - watched:
            able &= all(source.watch(directory) for directory in sorted(missing))
            watched |= missing
        return able

    def _noticed(self, files: dict[Path, PurePosixPath]) -> list[tuple[PurePosixPath, str]]:
        with self._lock:
            notices, self._kept = [*self._kept, *self._take()], []
        return [
            (path, "" if notice.pid is None else culprit(notice.pid))
            for notice in notices
            for path in _meant(notice, files)
        ]

    def _take(self) -> list[Notice]:
        """Take the notices that are not of our own doing."""
        if self._notifier is None:
            return []
        own = os.getpid()
        notices = self._notifier.notices()
        self._is_stale |= bool(notices)
        return [notice for notice in notices if notice.pid != own and not (notice.pid is None and self._working)]

    def _start_missing(self, streams: dict[Stream, Provider]) -> None:
        running = {id(provider) for provider in streams.values()}
        for provider in self.providers:
            if not isinstance(provider, Monitored) or id(provider) in running:
                continue
            with contextlib.suppress(HostError):
                command = provider.monitor(self.host)
                if command is not None:
                    streams[self.start(command)] = provider

    def _heard(self, streams: dict[Stream, Provider]) -> list[tuple[Provider, bytes]]:
        heard = []
        for stream, provider in list(streams.items()):
            text = stream.read()
            if text is None:
                stream.stop()
                del streams[stream]
            elif text:
                heard.append((provider, text))
        return heard

    def _told(self, streams: dict[Stream, Provider]) -> Iterator[tuple[PurePosixPath, str]]:
        for provider, text in self._heard(streams):
            for path in provider.files():
                yield path, culprit_in(text)

    def _wait(self, streams: dict[Stream, Provider], seconds: float) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake[0], selectors.EVENT_READ)
            if self._notifier is not None:
                selector.register(self._notifier, selectors.EVENT_READ)
            for stream in streams:
                selector.register(stream, selectors.EVENT_READ)
            if any(key.fd == self._wake[0] for key, _ in selector.select(max(0.0, seconds))):
                os.read(self._wake[0], 4096)


class _Pending(Struct, kw_only=True):
    """Notices that nobody has looked after yet, and when somebody will."""

    monotonic: Callable[[], float]
    seen: dict[PurePosixPath, str] = field(default_factory=dict)
    _first: float | None = None
    _last: float = 0.0
    _pause: float = 4 * QUIET_SECONDS
    _looked_at: float = float("-inf")

    def add(self, path: PurePosixPath, who: str) -> None:
        """Note a change. Who is named first stays named: later notices may be of the repair."""
        now = self.monotonic()
        self._first = now if self._first is None else self._first
        self._last = now
        if who or path not in self.seen:
            self.seen[path] = self.seen.get(path) or who

    def seconds_left(self) -> float:
        """Say how long until somebody has to look."""
        if self._first is None:
            return LONGEST_SECONDS
        quiet = min(self._last + QUIET_SECONDS, self._first + 4 * QUIET_SECONDS)
        return max(0.0, max(quiet, self._looked_at + self._pause) - self.monotonic())

    def is_due(self) -> bool:
        """Say whether somebody has to look now."""
        return self._first is not None and self.seconds_left() <= 0

    def looked(self, *, done: bool) -> None:
        """Note that somebody looked, or could not. Looks in close succession come farther apart."""
        now = self.monotonic()
        close = now - self._looked_at < LONGEST_SECONDS
        self._pause = min(2 * self._pause, LONGEST_SECONDS) if close else 4 * QUIET_SECONDS
        self._looked_at = now
        if done:
            self._first = None
            self.seen.clear()


def _nearest(directory: Path) -> Path:
    """Return a directory, or on the way to it the last that is there."""
    while not directory.is_dir() and directory != directory.parent:
        directory = directory.parent
    return directory


def _meant(notice: Notice, files: dict[Path, PurePosixPath]) -> list[PurePosixPath]:
    """Say which files a notice is about: one by its name, those below a directory that came, all if nobody knows."""
    if notice.directory is None:
        return list(files.values())
    changed = notice.directory / notice.name
    return [path for place, path in files.items() if place == changed or changed in place.parents]
