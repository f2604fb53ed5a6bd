"""What the gate has to tell, on its way to the spool: detections, and troubles of the gate itself.

A flood of either must not fill disk or memory: the same file, opened by the same program again and again, is told of
once a minute, and there is a most in a second. What is left out is counted, and the number told.
"""

from __future__ import annotations

import collections
import os
from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

from msgspec import Struct, field

from shieldwall.agent.broker.processes import Process
from shieldwall.agent.broker.verdicts import Key
from shieldwall.agent.detections.model import Action, Detection, Opener, Source, readable_path

REPEAT_SECONDS: Final = 60.0
MOST_A_SECOND: Final = 50
_REMEMBERED: Final = 4096


class Found(Struct, frozen=True, kw_only=True):
    """A threat in a file that somebody opened."""

    threat: str
    key: Key
    path: str
    process: Process
    denied: bool
    late: bool
    """Whether it would have been denied, had the engine said so in time."""
    executes: bool
    owner: int
    """User id that owns the file."""
    descriptor: int | None
    """The file itself, to compute its hash; whoever takes this out of the queue closes it."""


class Trouble(Struct, frozen=True):
    """Something that an administrator must know of."""

    kind: str
    reason: str


Tell: TypeAlias = Callable[[Found | Trouble], None]


class Restraint(Struct):
    """Says what is told and what only counted. Times are of a monotonic clock."""

    suppressed: int = 0
    _last: collections.OrderedDict[object, float] = field(default_factory=collections.OrderedDict)
    _second: int = 0
    _told: int = 0

    def lets_pass(self, told: Found | Trouble, now: float) -> bool:
        """Say whether to tell it now."""
        name = (told.key, told.threat, told.process.program, told.denied) if isinstance(told, Found) else told.kind
        last = self._last.get(name)
        if last is not None and now - last < (REPEAT_SECONDS if isinstance(told, Found) else 1.0):
            self.suppressed += 1
            return False
        if int(now) != self._second:
            self._second, self._told = int(now), 0
        if self._told >= MOST_A_SECOND:
            self.suppressed += 1
            return False
        self._told += 1
        self._last[name] = now
        self._last.move_to_end(name)
        if len(self._last) > _REMEMBERED:
            self._last.popitem(last=False)
        return True


def detection(found: Found, *, at: str, sha256: str | None) -> Detection:
    """Write a detection as the spool takes it."""
    reasons = ["It was to be executed."] if found.executes else []
    if found.late:
        reasons.append("The engine said so only after the time for an answer was over, so it was opened.")
    return Detection(
        at=at,
        source=Source.ON_ACCESS,
        threat=found.threat,
        path=readable_path(found.path),
        action=Action.BLOCKED if found.denied else Action.FAILED if found.late else Action.REPORTED,
        sha256=sha256,
        size=found.key.size,
        owner=found.owner,
        opener=Opener(
            pid=found.process.pid,
            uid=found.process.uid,
            executable=readable_path(found.process.program) if found.process.program else None,
        ),
        reason=" ".join(reasons),
    )


def signatures(directory: str) -> Mapping[str, tuple[int, int]]:
    """Return the files of a database of definitions with what tells that they changed. Raises: OSError."""
    with os.scandir(directory) as entries:
        return {
            entry.name: (status.st_mtime_ns, status.st_size)
            for entry in entries
            if not entry.name.startswith((".", "tmp")) and (status := _status(entry)) is not None
        }


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False) if entry.is_file(follow_symlinks=False) else None
    except OSError:
        return None


def close_all(told: Iterable[Found | Trouble]) -> None:
    """Close the files of what is not told after all."""
    for one in told:
        if isinstance(one, Found) and one.descriptor is not None:
            os.close(one.descriptor)
