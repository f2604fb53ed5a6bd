"""Other programs that manage a device: which kind is there, and whether an agent leaves the device to it."""

from __future__ import annotations

from typing import Final

from shieldwall.contract.messages import DeviceFacts, ManagerKind

_IN_CHARGE: Final = frozenset({"mdm", "microsoftChannel", "several"})


def manager_of(facts: DeviceFacts) -> ManagerKind | None:
    """Return the kind of the other manager; an agent that knows no kinds says only that there is one."""
    return facts.manager or (None if facts.managed_elsewhere is None else "mdm")


def stays_passive(*, manager: str | None, unsuitable: str | None) -> bool:
    """Say whether an agent enforces nothing of its own accord beside this manager, on a machine like this.

    Beside Configuration Manager alone it follows the server, because the tenant decides which of the two has authority.
    """
    return manager in _IN_CHARGE or unsuitable is not None
