"""What stands under names of the registry, which does not tell cases apart; found at once among however many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Final, TypeVar

from shieldwall.agent.host.registry.model import same_name

V = TypeVar("V")


class ByName(MutableMapping[str, V]):
    """A mapping that takes a name in any spelling, and gives names as they were last written."""

    def __init__(self, held: Mapping[str, V] | None = None) -> None:
        """Hold what a mapping holds, in which no two names differ by their case alone."""
        self._held: Final[dict[str, tuple[str, V]]] = {
            same_name(name): (name, value) for name, value in (held or {}).items()
        }

    def __getitem__(self, name: str) -> V:
        """Return what stands under a name. Raises: KeyError."""
        return self._held[same_name(name)][1]

    def __setitem__(self, name: str, value: V) -> None:
        """Put a value under a name, which from now on is spelled so."""
        self._held[same_name(name)] = (name, value)

    def __delitem__(self, name: str) -> None:
        """Take out what stands under a name. Raises: KeyError."""
        del self._held[same_name(name)]

    def __iter__(self) -> Iterator[str]:
        """Go through the names as they are spelled."""
        return (name for name, _ in self._held.values())

    def __len__(self) -> int:
        """Count the names."""
        return len(self._held)

    def take(self, name: str) -> dict[str, V]:
        """Take out what stands under a name, and return it alone, spelled as it was; nothing where nothing stands."""
        held = self._held.pop(same_name(name), None)
        return {} if held is None else {held[0]: held[1]}
