"""A registry in memory, which refuses what a real one refuses."""

from __future__ import annotations

from collections.abc import Mapping

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.registry.model import RegistryValue, Tree, same_name
from shieldwall.agent.host.registry.operations import DeleteKey, DeleteValue, MakeKey, Operation, SetValue


class PretendRegistry:
    """All hives of one machine; implements ``RegistryBackend``.

    ``refused`` are keys that nobody may write to, as under tamper protection or a foreign owner: with everything below.
    """

    def __init__(self, keys: Mapping[str, Mapping[str, RegistryValue]] | None = None) -> None:
        self._keys: dict[str, tuple[str, dict[str, tuple[str, RegistryValue]]]] = {}
        self.refused: set[str] = set()
        self.operations: list[tuple[str, Operation]] = []
        for key, values in (keys or {}).items():
            self.fill(key, values)

    def fill(self, key: str, values: Mapping[str, RegistryValue]) -> None:
        """Put values into a key as another program or a person would; no operation of ours is noted."""
        self._make(key)
        for name, value in values.items():
            self._keys[same_name(key)][1][same_name(name)] = (name, value)

    def read(self, key: str) -> Tree | None:
        """See ``RegistryBackend.read``."""
        root = same_name(key)
        if root not in self._keys:
            return None
        prefix = f"{root}\\"
        return {
            spelled[len(key) :].lstrip("\\"): dict(values.values())
            for folded, (spelled, values) in self._keys.items()
            if folded == root or folded.startswith(prefix)
        }

    def carry_out(self, key: str, operation: Operation) -> None:
        """See ``RegistryBackend.carry_out``. Raises: HostError."""
        place = f"{key}\\{operation.key}" if operation.key else key
        folded = same_name(place)
        if any(f"{folded}\\".startswith(f"{same_name(refused)}\\") for refused in self.refused):
            raise HostError(f"{place}: Access is denied.")
        self.operations.append((key, operation))
        match operation:
            case MakeKey():
                self._make(place)
            case SetValue(_, name, value):
                if folded not in self._keys:
                    raise HostError(f"{place}: The system cannot find the key.")
                values = self._keys[folded][1]
                values[same_name(name)] = (values.get(same_name(name), (name, value))[0], value)
            case DeleteValue(_, name):
                if folded in self._keys:
                    self._keys[folded][1].pop(same_name(name), None)
            case DeleteKey():
                if any(each.startswith(f"{folded}\\") for each in self._keys):
                    raise HostError(f"{place}: The key has keys below it.")
                self._keys.pop(folded, None)

    def value(self, key: str, name: str) -> RegistryValue | None:
        """Return one value, as a program would look at it."""
        found = self._keys.get(same_name(key), ("", {}))[1].get(same_name(name))
        return None if found is None else found[1]

    def _make(self, key: str) -> None:
        parts = key.split("\\")
        for length in range(1, len(parts) + 1):
            above = "\\".join(parts[:length])
            self._keys.setdefault(same_name(above), (above, {}))
