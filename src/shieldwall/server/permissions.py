"""The application permissions there are. Names are Microsoft's; those of our own begin with ``Shieldwall``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from shieldwall.contract.errors import ShieldwallError

PERMISSIONS: Final = (
    "Device.Read.All",
    "Device.ReadWrite.All",
    "DeviceManagementConfiguration.Read.All",
    "DeviceManagementConfiguration.ReadWrite.All",
    "DeviceManagementManagedDevices.PrivilegedOperations.All",
    "DeviceManagementManagedDevices.Read.All",
    "DeviceManagementManagedDevices.ReadWrite.All",
    "Group.Read.All",
    "Group.ReadWrite.All",
    "GroupMember.ReadWrite.All",
    "Organization.Read.All",
    "Shieldwall.Onboarding.ReadWrite.All",
)


class UnknownPermissionError(ShieldwallError):
    """A permission that nothing asks for."""

    code = "unknownPermission"
    remedy = f"Choose from: {', '.join(PERMISSIONS)}."


def check_permissions(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names, each once and in order. Raises: UnknownPermissionError."""
    wanted = sorted(set(names))
    for name in wanted:
        if name not in PERMISSIONS:
            raise UnknownPermissionError(f"There is no permission {name!r}.")
    return tuple(wanted)
