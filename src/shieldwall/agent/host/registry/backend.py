"""The thin edge to a registry: ``winreg`` on Windows itself, ``reg.exe``, or one in memory."""

from __future__ import annotations

from typing import Protocol

from shieldwall.agent.host.registry.model import Tree
from shieldwall.agent.host.registry.operations import Operation


class RegistryBackend(Protocol):
    r"""Whoever has the registry. Full keys start with the name of a hive: ``HKLM\SOFTWARE\…``. The 64-bit view."""

    def read(self, key: str) -> Tree | None:
        """Return a key with all that is below it; ``None`` when it does not exist.

        Raises:
            HostError: It is there and cannot be read, or holds more than anybody would write by hand.
        """
        ...

    def carry_out(self, key: str, operation: Operation) -> None:
        """Do one thing in or below a key. To take away what is not there is no error.

        Raises:
            HostError: It was refused.
        """
        ...
