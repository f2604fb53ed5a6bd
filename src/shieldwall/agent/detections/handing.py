"""Handing the spool over: in batches, each again until it is said to be on the server's disk.

How far the server knows stands in ``told.json`` beside the spool, for each file the digest of its first line and a
number of bytes: files are set aside and replaced, and an inode comes back under another content.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from shieldwall.agent.detections.spool import locked
from shieldwall.agent.detections.telling import STEMS, event_of, size_of
from shieldwall.agent.host.opening import NOT_FOLLOWED, OURS_ALONE
from shieldwall.contract.events import MAX_EVENTS, DeviceEvent
from shieldwall.contract.ids import TenantId
from shieldwall.contract.kinds import learned

TOLD: Final = "told.json"
MOST_BYTES: Final = 200 * 1024
"""Of events in one batch; what stands around them in a request has room beside."""
READ_BYTES: Final = 1024 * 1024
"""Of one file at a time."""
_HEAD: Final = 4_096
_LONGEST_LINE: Final = 256 * 1024


class Place(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far a file is told: the digest of its first line, and a number of bytes."""

    head: str
    offset: int


class Told(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom, and how far."""

    tenant: str
    places: dict[str, Place] = {}


class Batch(Struct, frozen=True, kw_only=True):
    """Events to be told; ``name`` is what to acknowledge them by, empty where there are none."""

    name: str = ""
    events: tuple[DeviceEvent, ...] = ()
    lost: int = 0
    """How many times the spool turned over before it was told; at least so many events are gone."""
    more: bool = False


class _File(Struct, frozen=True, kw_only=True):
    path: Path
    head: str
    size: int


@dataclass(slots=True, kw_only=True)
class Handing:
    """Hands events over for one tenant at a time. Not for several threads at once."""

    directory: Path
    new_name: Callable[[], str]
    _given: tuple[str, Told] | None = field(default=None, repr=False)

    def hand_over(self, tenant: TenantId, acknowledged: str | None, *, most: int = MAX_EVENTS) -> Batch:
        """Take note of what was told, and return what is next.

        Only a name that was given counts, and only once: whoever makes one up changes nothing.

        Raises:
            OSError: The spool cannot be read, or ``told.json`` not be written.
        """
        if not self.directory.is_dir():
            return Batch()
        with locked(self.directory):
            if self._given is not None and acknowledged == self._given[0]:
                self._write(self._given[1])
            self._given = None
            told = self._told(tenant)
            events, after, lost, more = self._next(told, most)
            if not events:
                if after != told and not lost:  # lines that mean nothing: nobody has to hear of them
                    self._write(after)
                return Batch(more=more and not lost)  # a loss is told along with what comes next
        name = self.new_name()
        self._given = (name, after)
        return Batch(name=name, events=tuple(events), lost=lost, more=more)

    def newest(self, most: int) -> tuple[DeviceEvent, ...]:
        """Return the newest events of the spool, told or not, the newest first. Raises: OSError."""
        found: list[DeviceEvent] = []
        for stem in STEMS:
            for file in self._files(stem):
                content = file.path.read_bytes()
                found += [event for line in content.splitlines() if (event := event_of(stem, line)) is not None]
        return tuple(sorted(found, key=lambda event: event.at, reverse=True)[:most])

    def _next(self, told: Told, most: int) -> tuple[list[DeviceEvent], Told, int, bool]:
        events: list[DeviceEvent] = []
        places = dict(told.places)
        size = lost = 0
        more = False
        for stem in STEMS:
            files = self._files(stem)
            begun, missed = _begin(files, places.get(stem))
            lost += missed
            for number, file in enumerate(files[begun:], begun):
                place = places.get(stem)
                offset = place.offset if place is not None and place.head == file.head else 0
                is_aside = number < len(files) - 1
                for line, end in _lines(file, offset, is_aside=is_aside):
                    event = event_of(stem, line)
                    cost = 0 if event is None else size_of(event)
                    if event is not None and (len(events) >= most or size + cost > MOST_BYTES):
                        return events, msgspec.structs.replace(told, places=places), lost, True
                    places[stem] = Place(head=file.head, offset=end)
                    size += cost
                    events += [] if event is None else [event]
                more = more or places.get(stem, Place(head="", offset=0)).offset + READ_BYTES < file.size
        return events, msgspec.structs.replace(told, places=places), lost, more

    def _files(self, stem: str) -> list[_File]:
        """Return the files of a stem, the one set aside first; those without a whole line are none."""
        found = []
        for name in (f"{stem}.1.jsonl", f"{stem}.jsonl"):
            path = self.directory / name
            try:
                with path.open("rb") as stream:
                    head = stream.read(_HEAD).split(b"\n")[0]
                    size = os.fstat(stream.fileno()).st_size
            except FileNotFoundError:
                continue
            if head:
                found.append(_File(path=path, head=hashlib.sha256(head).hexdigest(), size=size))
        return found

    def _told(self, tenant: TenantId) -> Told:
        try:
            told = msgspec.json.decode((self.directory / TOLD).read_bytes(), type=learned(Told))
        except FileNotFoundError:
            return Told(tenant=tenant)
        except msgspec.DecodeError:  # told again, which the server counts once
            return Told(tenant=tenant)
        if told.tenant == tenant:
            return told
        # What happened under another tenant is none of this one's business.
        ends = {stem: _end(self._files(stem)) for stem in STEMS}
        told = Told(tenant=tenant, places={stem: end for stem, end in ends.items() if end is not None})
        self._write(told)
        return told

    def _write(self, told: Told) -> None:
        temporary = self.directory / f".{TOLD}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | NOT_FOLLOWED | OURS_ALONE
        descriptor = os.open(temporary, flags, 0o600)
        try:
            os.write(descriptor, msgspec.json.encode(told))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(self.directory / TOLD)


def _begin(files: list[_File], place: Place | None) -> tuple[int, int]:
    """Say in which of the files to go on, and how often the spool turned over meanwhile."""
    if place is None:
        return 0, 0
    for number, file in enumerate(files):
        if file.head == place.head:
            return number, 0
    return 0, 1 if files else 0


def _end(files: list[_File]) -> Place | None:
    return Place(head=files[-1].head, offset=files[-1].size) if files else None


def _lines(file: _File, offset: int, *, is_aside: bool) -> Iterator[tuple[bytes, int]]:
    """Yield whole lines from an offset on, each with where it ends; at most ``READ_BYTES`` of them."""
    with file.path.open("rb") as stream:
        stream.seek(offset)
        content = stream.read(READ_BYTES)
    whole = content.rfind(b"\n") + 1
    for line in content[:whole].splitlines(keepends=True):
        offset += len(line)
        yield line.rstrip(b"\n"), offset
    rest = content[whole:]
    if rest and (len(rest) >= _LONGEST_LINE or (is_aside and len(content) < READ_BYTES)):
        yield b"", offset + len(rest)  # cut off by a crash, and nothing comes after it
