"""Documents of the registry, read from and written to whatever backend there is."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final

from msgspec import Struct

from shieldwall.agent.host.registry.backend import RegistryBackend
from shieldwall.agent.host.registry.document import decode, encode
from shieldwall.agent.host.registry.model import Tree, in_text
from shieldwall.agent.host.registry.operations import as_carried_out, difference

MOUNT: Final = PurePosixPath("/registry")
"""Below it, every key of the registry is a document."""


def document_path(key: str) -> PurePosixPath:
    r"""Return the path of the document that is ``HKLM\SOFTWARE\…`` with all that is below it."""
    return MOUNT.joinpath(*key.split("\\"))


class RegistryStore(Struct, frozen=True):
    """The registry of one machine."""

    backend: RegistryBackend

    def read(self, path: PurePosixPath) -> bytes | None:
        """See ``DocumentStore.read``. Raises: HostError."""
        tree = self._tree(_key(path))
        return None if tree is None else encode(tree)

    def write(self, path: PurePosixPath, content: bytes | None) -> None:
        """See ``DocumentStore.write``. Raises: HostError."""
        key, after = _key(path), None if content is None else decode(content)
        for operation in difference(self._tree(key), after):
            self.backend.carry_out(key, as_carried_out(operation))

    def _tree(self, key: str) -> Tree | None:
        tree = self.backend.read(key)
        return None if tree is None else in_text(tree)


def _key(path: PurePosixPath) -> str:
    return "\\".join(path.parts)
