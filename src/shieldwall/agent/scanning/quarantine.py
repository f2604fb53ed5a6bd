"""Quarantine: what was found is moved where nobody can run it, and can be given back.

A file goes in through the open descriptor that was judged, so what is kept is what was found, whatever happened to its
name. Its bytes are veiled (each combined with a fixed one), because a stored threat must not be found again, nor run
by mistake. Its name is taken away in the very directory in which it was found, and only while it still stands for the
same file. Content and notes are on disk before that.

The directory belongs to root alone. A crash leaves at most a stored copy beside the file, or a half-written one under a
temporary name, which the next clean-up takes away.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import ClassVar, Final

import msgspec
from msgspec import Struct

from shieldwall.agent.scanning import veil
from shieldwall.agent.scanning.walking import OpenFile, open_parent
from shieldwall.contract.clock import Clock
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.kinds import learned

DIRECTORY: Final = PurePosixPath("/var/lib/shieldwall-applier/quarantine")
MAXIMUM_FILE_BYTES: Final = 1024**3
MAXIMUM_TOTAL_BYTES: Final = 4 * 1024**3
"""What the quarantine may take; what comes in beyond makes the oldest go."""

_ID: Final = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{16}(?:-[0-9]{1,4})?\Z")
_UNFINISHED: Final = ".new-"


class QuarantineError(ShieldwallError):
    """A file cannot be taken in or given back."""

    code: ClassVar[str] = "quarantineFailed"
    remedy: ClassVar[str] = "The cause names the file; look at its place and at the space on the disk, then try again."


class UnknownItemError(ShieldwallError):
    """Nothing lies in quarantine under this id."""

    code: ClassVar[str] = "unknownQuarantineItem"
    remedy: ClassVar[str] = "shieldwall-agent quarantine list shows what there is."


class ActionDisallowedError(ShieldwallError):
    """A policy keeps local users from this action on threats."""

    code: ClassVar[str] = "threatActionDisallowed"
    remedy: ClassVar[str] = "An administrator of Shieldwall can allow it in the policy (disallowed threat actions)."


class Item(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What is noted of a file in quarantine."""

    id: str
    path: str
    """Where it was, as bytes of the file system in hexadecimal: a name need not be text."""
    shown_path: str
    threat: str
    sha256: str
    size: int
    owner: int
    group: int
    mode: int
    links: int
    """How many names the file had; under the others it may still lie somewhere."""
    modified_ns: int
    taken_at: str
    """Moment in UTC, RFC 3339."""

    @property
    def original(self) -> str:
        """Where it was."""
        return os.fsdecode(bytes.fromhex(self.path))


class Quarantine(Struct, frozen=True, kw_only=True):
    """The files in one directory."""

    directory: Path
    clock: Clock
    maximum_file_bytes: int = MAXIMUM_FILE_BYTES
    maximum_total_bytes: int = MAXIMUM_TOTAL_BYTES

    def take(self, found: OpenFile, threat: str, shown_path: str) -> Item:
        """Move an open file in.

        Raises:
            QuarantineError: It is too large, its name stands for another file by now, or it cannot be removed; then
                it is not in quarantine either.
        """
        if found.is_gone:
            raise QuarantineError(f"{shown_path} runs, and its file is gone already; end the process.")
        if found.status.st_size > self.maximum_file_bytes:
            raise QuarantineError(f"{shown_path} is larger than {self.maximum_file_bytes} bytes.")
        try:
            self._make_room(found.status.st_size)
            item = self._store(found, threat, shown_path)
        except OSError as error:
            raise QuarantineError(f"{shown_path} cannot be stored: {error.strerror or error}.") from error
        try:
            _remove_name(found)
        except OSError as error:
            self._forget(item.id)
            raise QuarantineError(f"{shown_path} cannot be removed: {error.strerror or error}.") from error
        return item

    def items(self) -> tuple[Item, ...]:
        """Return everything that lies there, the oldest first."""
        found: list[Item] = []
        for path in sorted(self.directory.glob("*.json")):
            with contextlib.suppress(OSError, msgspec.DecodeError):
                item = msgspec.json.decode(path.read_bytes(), type=learned(Item))
                if item.id == path.stem and _ID.match(item.id):
                    found.append(item)
        return tuple(found)

    def restore(self, item_id: str, to: Path | None = None) -> Path:
        """Give a file back to where it was, or to another place, with its owner and rights but for setuid and setgid.

        Nothing that stands there is replaced, and no symbolic link on the way is followed.

        Raises:
            UnknownItemError: There is none.
            QuarantineError: It was damaged, or its place is taken or gone.
        """
        item = self._item(item_id)
        target = str(to.absolute()) if to is not None else item.original
        try:
            directory, name = open_parent(target)
        except OSError as error:
            raise QuarantineError(f"The directory of {target!r} cannot be used: {error.strerror}.") from error
        try:
            self._give_back(item, directory, name)
        except OSError as error:
            raise QuarantineError(f"{target!r} cannot be written: {error.strerror or error}.") from error
        finally:
            os.close(directory)
        self._forget(item.id)
        return Path(target)

    def delete(self, item_id: str) -> Item:
        """Destroy a file in quarantine. Raises: UnknownItemError."""
        item = self._item(item_id)
        self._forget(item.id)
        return item

    def purge(self, days: int) -> int:
        """Destroy what has been here for longer than ``days``, and what a crash left half done; say how many."""
        oldest = self.clock.now() - timedelta(days=days)
        gone = [item for item in self.items() if datetime.fromisoformat(item.taken_at) < oldest]
        for item in gone:
            self._forget(item.id)
        self._sweep()
        return len(gone)

    def _item(self, item_id: str) -> Item:
        for item in self.items():
            if item.id == item_id:
                return item
        raise UnknownItemError(f"Nothing lies in quarantine under {item_id[:64]!r}.")

    def _store(self, found: OpenFile, threat: str, shown_path: str) -> Item:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = self.directory.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise PermissionError(1, f"{self.directory} does not belong to root alone")
        unfinished = self.directory / f"{_UNFINISHED}{os.getpid()}-{found.descriptor}"
        try:
            digest, size = veil.copy_veiled(found.descriptor, unfinished, self.maximum_file_bytes)
            now = self.clock.now()
            item = Item(
                id=self._claimed(f"{now:%Y%m%dT%H%M%SZ}-{digest[:16]}", unfinished),
                path=os.fsencode(found.path).hex(),
                shown_path=shown_path,
                threat=threat,
                sha256=digest,
                size=size,
                owner=found.status.st_uid,
                group=found.status.st_gid,
                mode=stat.S_IMODE(found.status.st_mode),
                links=found.status.st_nlink,
                modified_ns=found.status.st_mtime_ns,
                taken_at=now.isoformat(timespec="seconds"),
            )
        finally:
            unfinished.unlink(missing_ok=True)
        _write_durably(self.directory / f"{_UNFINISHED}{item.id}", msgspec.json.encode(item))
        (self.directory / f"{_UNFINISHED}{item.id}").rename(self._notes(item.id))
        _sync(self.directory)
        return item

    def _give_back(self, item: Item, directory: int, name: str) -> None:
        temporary = f".{item.id}.shieldwall-restoring"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=directory)
        descriptor = os.open(temporary, flags, 0o600, dir_fd=directory)
        try:
            if veil.copy_unveiled(self._content(item.id), descriptor) != item.sha256:
                raise QuarantineError(f"{item.id} was damaged in quarantine; it is not given back.")
            os.fchown(descriptor, item.owner, item.group)
            os.fchmod(descriptor, item.mode & 0o777)
            os.utime(descriptor, ns=(item.modified_ns, item.modified_ns))
            os.fsync(descriptor)
            os.link(temporary, name, src_dir_fd=directory, dst_dir_fd=directory, follow_symlinks=False)
            os.fsync(directory)
        finally:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=directory)

    def _claimed(self, wished: str, unfinished: Path) -> str:
        """Give a content the first id that is free.

        Several threads of a scan find the same file in many places. A link is made for one of them alone, where asking
        first and renaming then would let one take another's place.
        """
        for candidate in (wished, *(f"{wished}-{number}" for number in range(1, 10_000))):
            with contextlib.suppress(FileExistsError):
                os.link(unfinished, self._content(candidate), follow_symlinks=False)
                return candidate
        raise FileExistsError(17, "the same file was stored ten thousand times within a second")

    def _make_room(self, size: int) -> None:
        items = self.items()
        taken = sum(item.size for item in items)
        for item in items:
            if taken + size <= self.maximum_total_bytes:
                return
            self._forget(item.id)
            taken -= item.size

    def _forget(self, item_id: str) -> None:
        self._notes(item_id).unlink(missing_ok=True)
        self._content(item_id).unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Take away what a crash left: unfinished files, and contents without notes."""
        known = {item.id for item in self.items()}
        for path in (*self.directory.glob(f"{_UNFINISHED}*"), *self.directory.glob("*.veiled")):
            if path.name.startswith(_UNFINISHED) or path.stem not in known:
                path.unlink(missing_ok=True)

    def _content(self, item_id: str) -> Path:
        return self.directory / f"{item_id}.veiled"

    def _notes(self, item_id: str) -> Path:
        return self.directory / f"{item_id}.json"


def check_allowed(action: str, disallowed: frozenset[str]) -> None:
    """Refuse an action on threats that a policy does not leave to local users. Raises: ActionDisallowedError."""
    if action in disallowed:
        raise ActionDisallowedError(f"A policy does not allow to {action} threats on this device.")


def _remove_name(found: OpenFile) -> None:
    status = os.stat(found.name, dir_fd=found.directory, follow_symlinks=False)
    if (status.st_dev, status.st_ino) != (found.status.st_dev, found.status.st_ino):
        raise OSError(116, "its name stands for another file by now")
    # Between the look and this, the name could come to stand for another file. Whoever can do that may remove names in
    # this directory anyway, and a name is all that goes: no link is followed and no file's content is touched.
    os.unlink(found.name, dir_fd=found.directory)
    os.fsync(found.directory)


def _write_durably(path: Path, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o600), "wb") as file:  # noqa: PTH123 - as above
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
