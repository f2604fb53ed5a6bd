"""State that is no file, treated as one: a part of the Windows registry, the preferences of a product.

A *document* is such a part, written down in one canonical form. It has a path below a mount of its own
(``/registry/HKLM/SOFTWARE/…``), is read as bytes and replaced as bytes. So what the engine knows about files holds
for it as well: the journal, the undo, the drift, the providers' laws. Its store turns the difference into operations.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Protocol

from shieldwall.agent.host.around import AroundHost
from shieldwall.agent.host.ports import Host


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


class DocumentHost(AroundHost):
    """A host with documents mounted beside its files."""

    def __init__(self, host: Host, stores: Mapping[PurePosixPath, DocumentStore]) -> None:
        super().__init__(host)
        self._stores = dict(stores)

    def read_file(self, path: PurePosixPath) -> bytes | None:
        """Return a file's or a document's content. Raises: HostError."""
        found = self._store(path)
        return super().read_file(path) if found is None else found[0].read(found[1])

    def write_file(self, path: PurePosixPath, content: bytes | None, *, mode: int = 0o644) -> None:
        """Replace a file or a document. Raises: HostError."""
        found = self._store(path)
        if found is None:
            super().write_file(path, content, mode=mode)
        else:
            found[0].write(found[1], content)

    def _store(self, path: PurePosixPath) -> tuple[DocumentStore, PurePosixPath] | None:
        return next(
            ((store, path.relative_to(mount)) for mount, store in self._stores.items() if path.is_relative_to(mount)),
            None,
        )
