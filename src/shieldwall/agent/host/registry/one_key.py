"""One key of the registry as a document, without what is below it: for keys under which half the system lies.

``/registry-key/HKLM/SOFTWARE/…`` holds the key's own values, and the names of the keys right below it with no values.
It is there to be read alone.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final, Protocol, runtime_checkable

from msgspec import Struct

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.ports import Host
from shieldwall.agent.host.registry.backend import RegistryBackend
from shieldwall.agent.host.registry.document import decode, encode
from shieldwall.agent.host.registry.model import RegistryValue, Tree, in_text, same_name

KEYS: Final = PurePosixPath("/registry-key")
"""Below it, every key is a document by itself."""


@runtime_checkable
class LooksAtOneKey(Protocol):
    """A backend that need not read what is below."""

    def look(self, key: str) -> Tree | None:
        """Return a key's values, and each key right below it with none; ``None`` when it does not exist.

        Raises:
            HostError: It is there and cannot be read.
        """
        ...


class OneKeyStore(Struct, frozen=True):
    """Single keys of one machine's registry; implements ``DocumentStore``."""

    backend: RegistryBackend

    def read(self, path: PurePosixPath) -> bytes | None:
        """See ``DocumentStore.read``. Raises: HostError."""
        key = "\\".join(path.parts)
        backend = self.backend
        tree = backend.look(key) if isinstance(backend, LooksAtOneKey) else backend.read(key)
        if tree is None:
            return None
        return encode(in_text({name: values if not name else {} for name, values in tree.items() if "\\" not in name}))

    def write(self, path: PurePosixPath, content: bytes | None) -> None:
        """See ``DocumentStore.write``. Raises: HostError: always."""
        raise HostError(f"{path} is there to be read alone, not to be replaced with {len(content or b'')} bytes.")


class RegistryView(Struct, frozen=True):
    """Single values, for whoever wants to know something; what cannot be read counts as not there."""

    host: Host

    def value(self, key: str, name: str) -> RegistryValue | None:
        """Return one value."""
        wanted = same_name(name)
        return next((value for each, value in self._tree(key).get("", {}).items() if same_name(each) == wanted), None)

    def text(self, key: str, name: str) -> str:
        """Return a text, empty where there is none."""
        value = self.value(key, name)
        return value.data if value is not None and isinstance(value.data, str) else ""

    def number(self, key: str, name: str) -> int | None:
        """Return a number."""
        value = self.value(key, name)
        return value.data if value is not None and isinstance(value.data, int) else None

    def keys(self, key: str) -> tuple[str, ...]:
        """Name the keys right below one."""
        return tuple(sorted(name for name in self._tree(key) if name))

    def exists(self, key: str) -> bool:
        """Say whether there is such a key."""
        return bool(self._tree(key))

    def _tree(self, key: str) -> Tree:
        try:
            content = self.host.read_file(KEYS.joinpath(*key.split("\\")))
            return {} if content is None else decode(content)
        except HostError:
            return {}
