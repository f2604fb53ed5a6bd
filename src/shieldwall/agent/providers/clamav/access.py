"""Is an open really looked at? Another process opens two files, one with the harmless marker, and what it meets counts.

The files are new each time, so that nothing remembered answers. The opener is a process of its own: this one may open
what is blocked. It is not waited for without end, not even after it was killed: a process that a broken engine holds
cannot end, and must not hold us too.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Final

import msgspec

from shieldwall.agent.broker import settings as broker
from shieldwall.agent.broker import standing
from shieldwall.agent.broker.fanotify import why_not as why_no_fanotify
from shieldwall.agent.broker.matching import Matcher
from shieldwall.agent.broker.mounts import parse, watched
from shieldwall.agent.detections import spool
from shieldwall.agent.detections.model import Detection
from shieldwall.agent.host.in_time import HungError, in_time
from shieldwall.agent.host.kernel_files import shown
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.base import Observation
from shieldwall.agent.providers.clamav import backend, canary, marks, onaccess
from shieldwall.agent.providers.clamav.levels import Level
from shieldwall.contract.kinds import learned

_READERS: Final = ("cat", "head", "tail", "od", "cksum", "sum")
_PATIENCE_SECONDS: Final = {"broker": 8.0, "clamonacc": 30.0}
"""How long an open may be held before it counts as held for good; clamonacc now and then takes twenty."""
_MOUNT_SECONDS: Final = 4.0
"""The gate looks for new mounts every second."""
_MOUNT_PAUSE_SECONDS: Final = 0.2
_EVENT_SECONDS: Final = 3.0
_POLL_SECONDS: Final = 0.01


class Met(Enum):
    """What somebody met who opened a file."""

    READ = "read"
    DENIED = "denied"
    HUNG = "hung"


def why_impossible(host: Host) -> str | None:
    """Say why opens cannot be looked at on this system, ``None`` when they can or nobody can tell."""
    if host.root == Path("/"):
        why = why_no_fanotify()
        return f"The engine is unavailable: {why}" if why is not None else None
    if not host.root.is_dir():
        return None
    try:
        mounts = parse(shown(Path("/proc/self/mountinfo")))
    except OSError:
        return None
    if watched(mounts, unmonitored=(), mute_noexec=False, within=str(host.root)):
        why = why_no_fanotify()
        return f"The engine is unavailable: {why}" if why is not None else None
    return "Files below this root are on no mount of their own, so they cannot be watched apart from the machine's."


def observe(host: Host, level: Level, which: backend.Backend) -> Observation:  # noqa: PLR0911 - one for each reason
    """Say whether opens meet what the level asks for."""
    if not backend.is_running(host, which):
        return _broken("onAccessNotRunning", "Nothing looks at files as they are opened.")
    matcher = None
    if which == "broker":
        state, content = standing.read(host.root), host.read_file(broker.CONFIGURATION)
        if state is None or content is None or not backend.takes_settings(host):
            return _broken("notInEffect", "The gate works with other settings.")
        if not state.watching:
            return _broken("nothingWatched", "No mount is watched.")
        settings = broker.read(content)
        if holes := _holes(host, state, settings):
            return _broken("notWatched", f"Opens are not held on {', '.join(holes[:5])}."[:512])
        matcher = Matcher(settings.left_out)
        if not _is_watched(host, state):
            return Observation(effective=None, code="notProvable", reason="Where we could try it, nothing is watched.")
    reader = _reader(host, matcher)
    if reader is None:
        return Observation(effective=None, code="notProvable", reason="No program is there to open a file with.")
    return _tried(host, level, reader, _PATIENCE_SECONDS[which])


def off(host: Host) -> Observation:
    """Say whether nothing of ours looks at opens."""
    left = [which for which in ("broker", "clamonacc") if backend.is_running(host, which)]
    return _broken("notInEffect", f"{left[0]} still runs.") if left else Observation(effective=True)


def _tried(host: Host, level: Level, reader: str, patience: float) -> Observation:
    directory = host.locate(onaccess.PROBE_DIRECTORY)
    clean, threat = (directory / f"{name}-{time.monotonic_ns()}" for name in ("clean", "threat"))
    there = directory.is_dir()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(clean, b"nothing to see here\n")
        _write(threat, canary.marker())
        met = try_to_read([reader, str(clean)], seconds=patience)
        if met is not Met.READ:
            return _unreadable(met, "a clean file", patience)
        met = try_to_read([reader, str(threat)], seconds=patience)
        if met is Met.HUNG:
            return _unreadable(met, "the marker", patience)
        if level is Level.REAL_TIME:
            reason = "The harmless marker could be opened although it must be denied."
            return Observation(effective=True) if met is Met.DENIED else _broken("notBlocking", reason)
        if met is Met.DENIED:
            return _broken("notInEffect", "The harmless marker was denied although the level only audits.")
        reason = "The harmless marker was opened, and nothing was told of it."
        return Observation(effective=True) if _is_told(host, threat) else _broken("notAudited", reason)
    except OSError as error:
        return Observation(effective=None, code="notProvable", reason=f"It cannot be tried: {error}"[:512])
    finally:
        for path in (clean, threat):
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        if not there:
            with contextlib.suppress(OSError):
                directory.rmdir()


def _unreadable(met: Met, what: str, patience: float) -> Observation:
    if met is Met.HUNG:
        return _broken("engineHung", f"Whoever opened {what} was held for more than {patience:g} seconds.")
    return _broken("notInEffect", f"Even {what} was denied.")


def _broken(code: str, reason: str) -> Observation:
    return Observation(effective=False, code=code, reason=reason)


def _write(path: Path, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o600), "wb") as file:  # noqa: PTH123 - pathlib cannot refuse what is there
        file.write(content)


def _holes(host: Host, state: standing.State, settings: broker.Settings) -> tuple[str, ...]:
    """Return where opens ought to be held and are not; what was mounted a moment ago is given a little time."""
    within = None if host.root == Path("/") else str(host.root)
    process, deadline = Path("/proc") / str(state.pid), time.monotonic() + _MOUNT_SECONDS
    while True:
        try:
            mountinfo = shown(process / "mountinfo")
            fdinfos = [each.read_text() for each in (process / "fdinfo").iterdir()]
            holes = marks.unmarked(mountinfo, fdinfos, settings, within=within, given_up=state.unwatchable)
        except OSError as error:  # it is just ending, or has closed what was about to be looked at
            holes = (f"any mount, for the gate cannot be looked at ({error.strerror})",)
        # Nothing but /proc is opened here: a gate that hangs would hold us.
        if not holes or not process.exists() or time.monotonic() > deadline:
            return holes
        time.sleep(_MOUNT_PAUSE_SECONDS)


def _is_watched(host: Host, state: standing.State) -> bool:
    directory = host.locate(onaccess.PROBE_DIRECTORY)
    while not directory.exists():
        directory = directory.parent
    numbers = set()
    for point in state.watching:
        with contextlib.suppress(OSError, HungError):
            numbers.add(in_time(f"The mount {point}", Path(point).stat, seconds=1.0).st_dev)
    return directory.stat().st_dev in numbers


def _reader(host: Host, matcher: Matcher | None) -> str | None:
    found = (host.find_program(name) for name in _READERS)
    return next(
        (path for path in found if path and not (matcher and matcher.leaves_out_process(str(Path(path).resolve())))),
        None,
    )


def _is_told(host: Host, path: Path) -> bool:
    file = host.locate(spool.DIRECTORY) / f"{broker.PROBES}.jsonl"
    deadline = time.monotonic() + _EVENT_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, msgspec.DecodeError):
            for line in reversed(file.read_bytes().splitlines()):
                if msgspec.json.decode(line, type=learned(Detection)).path == str(path):
                    return True
        time.sleep(_POLL_SECONDS * 5)
    return False


def try_to_read(command: Sequence[str], *, seconds: float) -> Met:
    """Let another process open a file, and say what it met. Raises: OSError when it cannot be started."""
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        actions = [(os.POSIX_SPAWN_DUP2, nothing, standard) for standard in range(3)]
        pid = os.posix_spawn(command[0], list(command), {"PATH": "/usr/bin:/bin"}, file_actions=actions)
    finally:
        os.close(nothing)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return Met.READ if os.waitstatus_to_exitcode(status) == 0 else Met.DENIED
        time.sleep(_POLL_SECONDS)
    os.kill(pid, signal.SIGKILL)
    time.sleep(_POLL_SECONDS)
    os.waitpid(pid, os.WNOHANG)
    return Met.HUNG
