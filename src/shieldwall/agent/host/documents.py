"""State that is no file, treated as one: a part of the Windows registry, the preferences of a product.

A *document* is such a part, written down in one canonical form. It has a path below a mount of its own
(``/registry/HKLM/SOFTWARE/…``), is read as bytes and replaced as bytes. So what the engine knows about files holds
for it as well: the journal, the undo, the drift, the providers' laws. Its store turns the difference into operations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Protocol

from shieldwall.agent.host.ports import Completed, Host


class DocumentStore(Protocol):
    """Reads and replaces the documents below one mount. ``path`` is relative to it."""

    def read(self, path: PurePosixPath) -> bytes | None:
        """Return a document in its canonical form; ``None`` when what it stands for does not exist.

        Raises:
            HostError: It is there and cannot be read.
        """
        ...

    def write(self, path: PurePosixPath, content: bytes | None) -> None:
        """Bring the machine from what it is now to ``content``; ``None`` takes away what the document stands for.

        It may change in several steps. Whoever is killed between them has the old content in the journal, and writes
        it once more.

        Raises:
            HostError: The machine refuses, or the content is no document.
        """
        ...


class DocumentHost:
    """A host with documents mounted beside its files."""

    def __init__(self, host: Host, stores: Mapping[PurePosixPath, DocumentStore]) -> None:
        self._host = host
        self._stores = dict(stores)

    @property
    def root(self) -> Path:
        """See ``Host.root``."""
        return self._host.root

    def locate(self, path: PurePosixPath) -> Path:
        """See ``Host.locate``; a document lies nowhere, so its place is one where nothing is."""
        return self._host.locate(path)

    def read_file(self, path: PurePosixPath) -> bytes | None:
        """Return a file's or a document's content. Raises: HostError."""
        found = self._store(path)
        return self._host.read_file(path) if found is None else found[0].read(found[1])

    def write_file(self, path: PurePosixPath, content: bytes | None, *, mode: int = 0o644) -> None:
        """Replace a file or a document. Raises: HostError."""
        found = self._store(path)
        if found is None:
            self._host.write_file(path, content, mode=mode)
        else:
            found[0].write(found[1], content)

    def find_program(self, name: str) -> str | None:
        """See ``Host.find_program``."""
        return self._host.find_program(name)

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout_seconds: float = 30.0) -> Completed:
        """See ``Host.run``. Raises: HostError."""
        return self._host.run(command, stdin=stdin, timeout_seconds=timeout_seconds)

    def _store(self, path: PurePosixPath) -> tuple[DocumentStore, PurePosixPath] | None:
        return next(
            ((store, path.relative_to(mount)) for mount, store in self._stores.items() if path.is_relative_to(mount)),
            None,
        )
