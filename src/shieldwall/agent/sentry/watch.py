"""The loop that answers the kernel. Whoever starts a program waits for it, so it starts none itself.

It asks for the start of programs alone: opening files, its own modules included, never waits for it.
"""

from __future__ import annotations

import contextlib
import os
import select
from collections.abc import Callable
from pathlib import Path
from typing import Final

from shieldwall.agent.broker import processes
from shieldwall.agent.broker.fanotify import REFUSED_FOR_NOW, Event, Group
from shieldwall.agent.broker.mounts import parse, watched
from shieldwall.agent.host.kernel_files import shown
from shieldwall.agent.sentry.names import pretends
from shieldwall.agent.sentry.settings import Settings

_TICK_SECONDS: Final = 5.0
_MOUNTS: Final = "/proc/self/mountinfo"
_MARKS_OF_CONTAINERS: Final = ("/run/systemd/container", "/run/.containerenv", "/.dockerenv")


class Sentry:
    """Looks at each program that is started anywhere on file systems that programs can be started from."""

    def __init__(self, group: Group, settings: Settings, *, within: str | None, alive: Callable[[], None]) -> None:
        self._group = group
        self._settings = settings
        self._within = within
        self._alive = alive
        self._stopping = False
        self._is_short = False
        """Whether there may be mounts that are not watched yet."""
        self._mounts = os.open(_MOUNTS, os.O_RDONLY | os.O_CLOEXEC)
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def stop(self) -> None:
        """End the loop; from a signal handler."""
        self._stopping = True
        os.eventfd_write(self._wake, 1)

    def look_at_mounts(self) -> int:
        """Watch every mount there is now, and return how many."""
        listed = parse(shown(Path(_MOUNTS)))
        contained = any(Path(mark).exists() for mark in _MARKS_OF_CONTAINERS)
        marked, self._is_short = 0, False
        for watch in watched(listed, unmonitored=(), mute_noexec=True, within=self._within, contained=contained):
            try:
                self._group.watch_execution(watch.point, whole_filesystem=watch.whole_filesystem)
                marked += 1
            except OSError as error:  # else unmounted meanwhile, or a file system that cannot be watched
                self._is_short |= error.errno in REFUSED_FOR_NOW
        return marked

    def run(self) -> None:
        """Answer until stopped; whoever waits then goes on."""
        poll = select.poll()
        poll.register(self._group.fileno(), select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        poll.register(
            self._mounts, select.POLLPRI | select.POLLERR
        )  # how the kernel says that mounts changed (proc(5))
        try:
            while not self._stopping:
                for descriptor, _ in poll.poll(_TICK_SECONDS * 1000):
                    if descriptor == self._group.fileno():
                        for event in self._group.events():
                            self._answer(event)
                    elif descriptor == self._mounts:
                        self._is_short = True
                if self._is_short:
                    self.look_at_mounts()
                self._alive()
        finally:
            self._group.close()

    def _answer(self, event: Event) -> None:
        if event.descriptor < 0:
            return
        found = False
        try:
            path = os.readlink(f"/proc/self/fd/{event.descriptor}")  # noqa: PTH115 - as cheap as can be
            # Most names are nobody's; only of the others it is asked from where their process sees them.
            found = pretends(path, self._settings.excluded) and pretends(
                _as_seen_by(event.pid, path), self._settings.excluded
            )
            if found:
                self._tell(event.pid, path)
        except OSError:
            pass  # a path longer than the kernel tells
        finally:
            with contextlib.suppress(OSError):
                self._group.answer(event.descriptor, allow=not (found and self._settings.mode == "block"))
            os.close(event.descriptor)

    def _tell(self, pid: int, path: str) -> None:
        """Write a line for the journal; one that it does not take at once is lost, for nobody may wait for it."""
        process = processes.look_at(pid)
        done = "kept from starting" if self._settings.mode == "block" else "started"
        line = f"impersonated system tool {done}: {path!r} by {process.program!r}, pid {pid}, uid {process.uid}\n"
        with contextlib.suppress(OSError):
            os.write(2, line.encode(errors="replace"))


def _as_seen_by(pid: int, path: str) -> str:
    """Return a path as a process calls it whose root is another directory, as where packages are built."""
    try:
        root = os.readlink(f"/proc/{pid}/root").rstrip("/")  # noqa: PTH115 - as cheap as can be
    except OSError:
        return path
    return path.removeprefix(root) if root and path.startswith(f"{root}/") else path
