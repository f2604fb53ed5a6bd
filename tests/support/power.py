"""A disk that loses power: below one directory, what was not synced is lost, torn or there, in every way POSIX allows.

The calls that change names and those that sync are noted in their order, by standing between the program and ``os``.
At one of them the power goes, or the process alone is killed, and its successor goes on with what everybody reads and
no disk holds yet. Then the directory is made anew from what the disk may hold:

* a name follows any number of the changes made to it since its directory was synced, whatever became of other names; a
  rename happens to both of its names or to none;
* a file holds what it held when it was synced, or any part of what was written since, or zeros;
* a directory whose own name is lost is lost with all that it holds.

A file system may keep more order than that (ext4 does), never less.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias
from unittest import mock

MAKING = os.O_CREAT | os.O_WRONLY


class PowerLostError(BaseException):
    """Nothing runs any more. Nobody catches this but a test."""


@dataclass(eq=False)
class File:
    """A file by its content: what is on disk for certain, and what is read where that is another."""

    synced: bytes = b""
    read: bytes | None = None
    mode: int = 0o644
    is_written: bool = False
    """Whether something may have been written since it was synced."""


@dataclass(eq=False)
class Folder:
    """A directory: the names that are on disk for certain, those that everybody sees, and what led there."""

    synced: dict[str, Node] = field(default_factory=dict)
    seen: dict[str, Node] = field(default_factory=dict)
    changes: list[dict[str, Node | None]] = field(default_factory=list)

    def change(self, names: dict[str, Node | None]) -> None:
        """Note a change that happens as a whole or not at all."""
        self.changes.append(names)
        _follow(self.seen, names)

    def sync(self) -> None:
        """Have the names on disk."""
        self.synced, self.changes = dict(self.seen), []


Node: TypeAlias = File | Folder


class PowerDisk:
    """The disk below ``root``; everything there is on disk when this is made.

    What is ``in_memory`` goes with the power. ``lies_about``: nothing of that kind is ever synced, whatever is asked.
    """

    def __init__(
        self,
        root: Path,
        chance: random.Random,
        *,
        in_memory: Path | None = None,
        lies_about: type[Node] | None = None,
    ) -> None:
        self.lies_about = lies_about
        self.root = root.resolve()
        self.in_memory = None if in_memory is None else in_memory.resolve()
        self.chance = chance
        self.calls = 0
        """How many calls were noted since the machine was started."""
        self._top = self._found(self.root)
        self._left: int | None = None
        self._exactly = False
        self._dead = False

    @contextmanager
    def ends_after(self, calls: int | None, *, exactly: bool = False) -> Iterator[None]:
        """Let the process in this block end after so many calls, or (not ``exactly``) one more; ``None``: at none.

        Raises:
            PowerLostError: That is where it ends.
        """
        self._left, self._exactly, self._dead = calls, exactly, False
        with ExitStack() as patches:
            for name, note in self._notes().items():
                patches.enter_context(mock.patch.object(os, name, self._noted(note, getattr(os, name))))
            yield

    def lose_power(self, *, with_all_unsynced: bool = False) -> None:
        """Make the directory anew from something that the disk may hold, after the block has ended."""
        self._keep_contents(self.root, self._top)
        how = _nothing if with_all_unsynced else self.chance.choice([_nothing, _everything, _anything, _anything])
        shutil.rmtree(self.root)
        self.root.mkdir()
        self._write(self.root, self._top, how)
        self._top, self.calls = self._found(self.root), 0

    def missed(self) -> list[str]:
        """Name the files with other contents than those noted: what was changed by a way that nobody watches."""
        return list(_differing(self.root, self._top, self._found(self.root)))

    def _notes(self) -> dict[str, Callable[..., Callable[[], None] | None]]:
        return {
            "mkdir": self._mkdir,
            "open": self._open,
            "fsync": self._fsync,
            "rename": self._rename,
            "replace": self._rename,
            "unlink": self._unlink,
        }

    def _noted(self, note: Callable[..., Callable[[], None] | None], genuine: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            if self._dead:
                raise PowerLostError
            noting = note(*arguments, **more)
            if noting is None:
                return genuine(*arguments, **more)
            self.calls += 1
            last = self._left is not None and self.calls > self._left
            if last and (self._exactly or self.chance.random() < 0.5):
                self._end()
            result = genuine(*arguments, **more)
            noting()
            if last:
                self._end()
            return result

        return call

    def _end(self) -> None:
        self._keep_contents(self.root, self._top)
        self._dead = True
        raise PowerLostError

    # What calls do to names. Each says what to note once the call has succeeded, or that it is none of ours.

    def _mkdir(self, path: Any, *_: Any, **__: Any) -> Callable[[], None] | None:
        return self._named(path, Folder)

    def _open(self, path: Any, flags: int, *_: Any, **__: Any) -> Callable[[], None] | None:
        return self._named(path, lambda: File(is_written=True)) if flags & MAKING == MAKING else None

    def _named(self, path: Any, make: Callable[[], Node]) -> Callable[[], None] | None:
        at = self._at(path)
        return None if at is None else lambda: at[0].change({at[1]: make()})

    def _rename(self, source: Any, target: Any, *_: Any, **__: Any) -> Callable[[], None] | None:
        here, there = self._at(source), self._at(target)
        if here is None or there is None:
            return None
        assert here[0] is there[0], "of renames between directories nothing is known here"
        return lambda: here[0].change({here[1]: None, there[1]: here[0].seen[here[1]]})

    def _unlink(self, path: Any, *_: Any, **__: Any) -> Callable[[], None] | None:
        at = self._at(path)
        return None if at is None or at[1] not in at[0].seen else lambda: at[0].change({at[1]: None})

    def _fsync(self, descriptor: int) -> Callable[[], None] | None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        at = self._at(path)
        node = self._top if path == self.root else None if at is None else at[0].seen.get(at[1])
        if node is None or type(node) is self.lies_about:
            return None

        def note() -> None:
            if isinstance(node, Folder):
                node.sync()
            else:
                node.synced, node.is_written, node.read = path.read_bytes(), False, None
                node.mode = path.stat().st_mode & 0o7777

        return note

    def _at(self, path: Any) -> tuple[Folder, str] | None:
        """Find the directory and the name in it; ``None`` for what lies elsewhere or was never noted."""
        path = Path(os.fsdecode(path))
        if path == self.root or not path.is_relative_to(self.root) or self._is_in_memory(path):
            return None
        folder: Node | None = self._top
        for part in path.relative_to(self.root).parts[:-1]:
            folder = folder.seen.get(part) if isinstance(folder, Folder) else None
        return (folder, path.name) if isinstance(folder, Folder) else None

    def _is_in_memory(self, path: Path) -> bool:
        return self.in_memory is not None and path.is_relative_to(self.in_memory)

    def _found(self, path: Path) -> Folder:
        """Take what is there for what is on disk."""
        nodes: dict[str, Node] = {}
        for entry in path.iterdir():
            if self._is_in_memory(entry):
                continue
            if entry.is_dir():
                nodes[entry.name] = self._found(entry)
            else:
                nodes[entry.name] = File(synced=entry.read_bytes(), mode=entry.stat().st_mode & 0o7777)
        return Folder(synced=dict(nodes), seen=nodes)

    # What the disk may hold

    def _keep_contents(self, path: Path, node: Node) -> None:
        if self._dead:
            return  # what is closed while a dead process is cleared away was never written
        if isinstance(node, File):
            if node.is_written:
                node.read, node.mode = path.read_bytes(), path.stat().st_mode & 0o7777
            return
        for name, inner in node.seen.items():
            self._keep_contents(path / name, inner)

    def _write(self, path: Path, node: Folder, how: Callable[[random.Random, Folder], dict[str, Node]]) -> None:
        for name, inner in how(self.chance, node).items():
            if isinstance(inner, Folder):
                (path / name).mkdir()
                self._write(path / name, inner, how)
                continue
            (path / name).write_bytes(self._content(inner))
            (path / name).chmod(inner.mode)

    def _content(self, file: File) -> bytes:
        if not file.is_written:
            return file.synced
        read = file.read or b""
        cut = self.chance.randrange(len(read) + 1)
        return self.chance.choice(
            [file.synced, read, read[:cut], bytes(len(read)), read[:cut] + bytes(len(read) - cut)]
        )


def _nothing(_: random.Random, folder: Folder) -> dict[str, Node]:
    return folder.synced


def _everything(_: random.Random, folder: Folder) -> dict[str, Node]:
    return folder.seen


def _anything(chance: random.Random, folder: Folder) -> dict[str, Node]:
    """Let each name follow its own changes up to some point; names that were changed as one keep together."""
    names = dict(folder.synced)
    reached: set[str] = set()
    for change in folder.changes:
        if not reached & change.keys() and chance.random() < 0.5:
            _follow(names, change)
        else:  # what comes later to one of these names builds on this
            reached |= change.keys()
    return names


def _follow(names: dict[str, Node], change: dict[str, Node | None]) -> None:
    for name, node in change.items():
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node


def _differing(path: Path, noted: Folder, found: Folder) -> Iterator[str]:
    for name in noted.seen.keys() | found.seen.keys():
        ours, theirs = noted.seen.get(name), found.seen.get(name)
        if isinstance(ours, Folder) and isinstance(theirs, Folder):
            yield from _differing(path / name, ours, theirs)
        elif isinstance(theirs, File) and (theirs.synced if ours is None else _other(ours, theirs)):
            yield str(path / name)  # an empty file that nobody noted is a lock
        elif theirs is None or isinstance(theirs, Folder):
            yield str(path / name)


def _other(noted: Node, found: File) -> bool:
    return not isinstance(noted, File) or (not noted.is_written and noted.synced != found.synced)
