"""The application permissions there are. Names are Microsoft's; those of our own begin with ``Shieldwall``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from shieldwall.contract.errors import ShieldwallError

PERMISSIONS: Final = (
    "AppRoleAssignment.ReadWrite.All",
    "Application.Read.All",
    "Application.ReadWrite.All",
    "AuditLog.Read.All",
    "Device.Read.All",
    "Device.ReadWrite.All",
    "DeviceManagementApps.Read.All",
    "DeviceManagementApps.ReadWrite.All",
    "DeviceManagementConfiguration.Read.All",
    "DeviceManagementConfiguration.ReadWrite.All",
    "DeviceManagementManagedDevices.PrivilegedOperations.All",
    "DeviceManagementManagedDevices.Read.All",
    "DeviceManagementManagedDevices.ReadWrite.All",
    "DeviceManagementRBAC.Read.All",
    "DeviceManagementRBAC.ReadWrite.All",
    "DeviceManagementServiceConfig.Read.All",
    "DeviceManagementServiceConfig.ReadWrite.All",
    "Directory.Read.All",
    "Group.Read.All",
    "Group.ReadWrite.All",
    "GroupMember.ReadWrite.All",
    "IdentityProvider.Read.All",
    "IdentityProvider.ReadWrite.All",
    "Machine.Offboard",
    "Machine.Read.All",
    "Machine.ReadWrite.All",
    "ManagedTenants.Read.All",
    "Organization.Read.All",
    "SecurityAlert.Read.All",
    "SecurityAlert.ReadWrite.All",
    "Shieldwall.Onboarding.ReadWrite.All",
    "Shieldwall.Webhooks.Read.All",
    "Shieldwall.Webhooks.ReadWrite.All",
    "User.Read",
    "User.Read.All",
    "User.ReadWrite.All",
    "User.RevokeSessions.All",
    "UserAuthenticationMethod.Read.All",
    "UserAuthenticationMethod.ReadWrite.All",
)
RESERVED: Final[tuple[str, ...]] = ()
"""Permissions of Microsoft's that no route asks for yet. Scripts name them, so an application may hold them."""


class UnknownPermissionError(ShieldwallError):
    """A permission that we do not know: misspelt, most likely."""

    code = "unknownPermission"
    remedy = f"Choose from: {', '.join(sorted(PERMISSIONS + RESERVED))}."


def check_permissions(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names, each once and in order. Raises: UnknownPermissionError."""
    wanted = sorted(set(names))
    for name in wanted:
        if name not in PERMISSIONS + RESERVED:
            raise UnknownPermissionError(f"There is no permission {name!r}.")
    return tuple(wanted)
