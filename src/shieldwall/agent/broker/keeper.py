"""The thread that does for the gate whatever needs files: settings, events, definitions, mounts, the watch over it."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pwd
import queue
import socket
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from shieldwall.agent.broker import mounts, overlays, settings, standing, telling
from shieldwall.agent.broker.fanotify import REFUSED_FOR_NOW, Group
from shieldwall.agent.broker.gate import Gate, Rules
from shieldwall.agent.broker.matching import Matcher
from shieldwall.agent.broker.telling import Found, Restraint, Trouble
from shieldwall.agent.detections import spool
from shieldwall.agent.detections.model import Detection
from shieldwall.agent.detections.notices import STEM, Notice
from shieldwall.agent.host.kernel_files import shown

TICK_SECONDS: Final = 1.0
MAXIMUM_QUEUED: Final = 2000
_PROBES_BYTES: Final = 16_384
_HASH_CHUNK: Final = 1 << 20
_FRESH_SECONDS: Final = 15.0
_MARKS_OF_CONTAINERS: Final = ("/run/systemd/container", "/run/.containerenv", "/.dockerenv")
"""Left by systemd, Podman and Docker: what is mounted here is in part the host's."""


class Keeper:
    """Keeps one gate."""

    def __init__(self, root: Path, group: Group) -> None:
        self._root = root
        self._group = group
        self._queue: queue.SimpleQueue[Found | Trouble | None] = queue.SimpleQueue()
        self._restraint = Restraint()
        self._digest = ""
        self._reload = False
        self._marked: tuple[mounts.Watch, ...] = ()
        self._refused: frozenset[mounts.Watch] = frozenset()
        self._unwatchable: tuple[str, ...] = ()
        self._mountinfo = ""
        self._tells_of_layers: bool | None = None
        self._definitions: Mapping[str, tuple[int, int]] | None = None
        self._engine_answered: bool | None = None
        self._stopping = False

    def load(self) -> Rules:
        """Read the settings. Raises: OSError, msgspec.DecodeError."""
        content = (self._root / settings.CONFIGURATION.relative_to("/")).read_bytes()
        read = settings.read(content)
        self._digest = hashlib.sha256(content).hexdigest()
        return Rules(settings=read, matcher=Matcher(read.left_out), engine_uid=_uid(read.engine_user))

    def tell(self, told: Found | Trouble) -> None:
        """Take something to be told, without waiting; what is too much is counted."""
        if self._queue.qsize() >= MAXIMUM_QUEUED:
            self._restraint.suppressed += 1
            telling.close_all([told])
        else:
            self._queue.put(told)

    def reload(self) -> None:
        """Read the settings anew, soon."""
        self._reload = True
        self._queue.put(None)

    def stop(self) -> None:
        """End, after telling what is still to be told."""
        self._stopping = True
        self._queue.put(None)

    def run(self, gate: Gate, ready: Callable[[], None]) -> None:
        """Do all of it until stopped. Whatever fails is told of and tried again."""
        self._care(gate)
        ready()
        _notify("READY=1")
        next_care = time.monotonic() + TICK_SECONDS
        while not self._stopping:
            self._tell_queued(max(0.0, next_care - time.monotonic()))
            if time.monotonic() >= next_care or self._reload:
                self._care(gate)
                next_care = time.monotonic() + TICK_SECONDS
        self._tell_queued(0.0)

    def _care(self, gate: Gate) -> None:
        if time.monotonic() - gate.beat < _FRESH_SECONDS:
            _notify("WATCHDOG=1")
        try:
            if self._reload:
                self._reload = False
                gate.order(functools.partial(gate.take, self.load()))
                gate.order(self._mount_marks_are_old)
            gate.spared = standing.spared(self._root)
            self._look_at_definitions(gate)
            if self._look_at_mounts(gate.rules.settings) or gate.engine_answers != self._engine_answered:
                self._write_state(gate)
        except (OSError, msgspec.DecodeError) as error:
            self.tell(Trouble("fault", f"The gate cannot be looked after: {error}."))

    def _mount_marks_are_old(self) -> None:
        self._mountinfo = ""
        self._queue.put(None)

    def _look_at_definitions(self, gate: Gate) -> None:
        try:
            found = telling.signatures(gate.rules.settings.engine_databases)
        except OSError:
            found = {}
        if found != self._definitions:
            if self._definitions is not None:
                gate.order(gate.forget)
            self._definitions = found

    def _look_at_mounts(self, rules: settings.Settings) -> bool:
        text = shown(Path("/proc/self/mountinfo"))
        if text == self._mountinfo:
            return False
        within = None if self._root == Path("/") else str(self._root)
        listed = mounts.parse(text)
        wanted = mounts.watched(
            listed,
            unmonitored=rules.unmonitored_filesystems,
            mute_noexec=rules.mute_noexec_mounts,
            within=within,
            contained=any(Path(mark).exists() for mark in _MARKS_OF_CONTAINERS),
            device_of=_device_of,
            tells_of_layers=self._knows_layers() if any(mount.layers for mount in listed) else True,
        )
        for watch in set(self._marked) - set(wanted):
            with contextlib.suppress(OSError):
                self._group.ignore(watch.point, whole_filesystem=watch.whole_filesystem)
        refused: dict[mounts.Watch, bool] = {}
        for watch in wanted:
            try:
                self._group.watch(watch.point, whole_filesystem=watch.whole_filesystem)
            except OSError as error:
                refused[watch] = error.errno in REFUSED_FOR_NOW
                if watch not in self._refused:
                    self.tell(Trouble("unwatchable", f"{watch.point} cannot be watched: {error.strerror}."))
        self._marked = tuple(watch for watch in wanted if watch not in refused)
        self._refused = frozenset(refused)
        self._unwatchable = tuple(watch.point for watch, is_for_now in refused.items() if not is_for_now)
        self._mountinfo = "" if any(refused.values()) else text  # else it is not tried again before mounts change
        return True

    def _knows_layers(self) -> bool:
        """Try once whether the kernel tells of what lies below an overlay; in doubt nobody may wait for himself."""
        if self._tells_of_layers is None:
            found = overlays.tells_of_layers()
            if found is None:
                reason = "Whether opens in containers are seen here cannot be tried; before Linux 6.5 they may not be."
                self.tell(Trouble("unwatchable", reason))
            self._tells_of_layers = found is not False
        return self._tells_of_layers

    def _write_state(self, gate: Gate) -> None:
        self._engine_answered = gate.engine_answers
        state = standing.State(
            pid=os.getpid(),
            settings=self._digest,
            mode=gate.rules.settings.mode,
            engine_answers=gate.engine_answers,
            watching=tuple(watch.point for watch in self._marked),
            unwatchable=self._unwatchable,
        )
        standing.write(self._root, state)

    def _tell_queued(self, patience: float) -> None:
        """Wait for something to tell, then tell all there is."""
        found: list[Detection] = []
        notices: list[Notice] = []
        with contextlib.suppress(queue.Empty):
            told = self._queue.get(timeout=patience) if patience > 0 else self._queue.get_nowait()
            while True:
                if isinstance(told, Trouble):
                    if self._restraint.lets_pass(told, time.monotonic()):
                        notices.append(Notice(at=_now(), source="broker", kind=told.kind, reason=told.reason))
                elif told is not None:
                    found += self._told(told)
                told = self._queue.get_nowait()
        if self._restraint.suppressed and not found and not notices:
            count, self._restraint.suppressed = self._restraint.suppressed, 0
            reason = "So many events were not told one by one, because they repeat others or were too many at once."
            notices.append(Notice(at=_now(), source="broker", kind="suppressed", reason=reason, count=count))
        directory = self._root / spool.DIRECTORY.relative_to("/")
        probes = str(self._root / settings.PROBE_DIRECTORY.relative_to("/")) + "/"
        probed = [detection for detection in found if detection.path.startswith(probes)]
        try:
            spool.append(directory, [detection for detection in found if detection not in probed])
            spool.append_lines(
                directory, settings.PROBES, map(msgspec.json.encode, probed), maximum_bytes=_PROBES_BYTES
            )
            spool.append_lines(directory, STEM, map(msgspec.json.encode, notices))
        except OSError:
            self._restraint.suppressed += len(found) + len(notices)  # a full disk must not stop the gate

    def _told(self, found: Found) -> list[Detection]:
        try:
            if not self._restraint.lets_pass(found, time.monotonic()):
                return []
            sha256 = _sha256(found.descriptor) if found.descriptor is not None else None
            return [telling.detection(found, at=_now(), sha256=sha256)]
        finally:
            telling.close_all([found])


def _sha256(descriptor: int) -> str | None:
    digest, offset = hashlib.sha256(), 0
    try:
        while chunk := os.pread(descriptor, _HASH_CHUNK, offset):
            digest.update(chunk)
            offset += len(chunk)
    except OSError:
        return None
    return digest.hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")  # noqa: TID251 - a program's edge: events need a moment


def _uid(user: str | None) -> int | None:
    if user is None:
        return None
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return None


def _notify(message: str) -> None:
    """Tell systemd, where it started us (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
            connection.sendto(message.encode(), address.replace("@", "\0", 1) if address[0] == "@" else address)


def _device_of(folder: str) -> str | None:
    try:
        number = Path(folder).stat().st_dev
    except OSError:
        return None
    return f"{os.major(number)}:{os.minor(number)}"
