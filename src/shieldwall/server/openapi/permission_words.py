"""What the permissions allow, in words made of their names. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

_ABOUT: Final[Mapping[str, str]] = {
    "AppRoleAssignment": "what applications may do, which is worth every permission",
    "AuditLog": "the audit trail",
    "Device": "devices of the directory",
    "DeviceManagementApps": "apps, and the audit trail of device management",
    "DeviceManagementConfiguration": "policies and all that decides about settings",
    "DeviceManagementManagedDevices": "managed devices",
    "DeviceManagementRBAC": "roles and scope tags",
    "DeviceManagementServiceConfig": "the service itself: enrollment, packages, connectors",
    "Directory": "every object of the directory",
    "IdentityProvider": "where else people may sign in, by which one can become them",
    "GroupMember": "members of groups",
    "ManagedTenants": "all tenants of the server",
    "SecurityAlert": "alerts",
    "Shieldwall.Onboarding": "onboarding packages",
    "Shieldwall.Webhooks": "webhooks, and what was sent to them",
    "User": "people",
    "UserAuthenticationMethod": "how people sign in, by which one can become them",
}
_VERBS: Final[Mapping[str, str]] = {
    "Read": "Read {}.",
    "ReadWrite": "Read and change {}.",
    "PrivilegedOperations": "Act on {}: synchronise, disable, retire.",
    "Offboard": "Let {} leave management.",
}
_WORDS: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


def in_words(permissions: Iterable[str]) -> dict[str, str]:
    """Say of each permission what it allows."""
    return {name: _said(name) for name in permissions}


def _said(name: str) -> str:
    about, _, verb = name.removesuffix(".All").rpartition(".")
    named = _ABOUT.get(about) or f"{_WORDS.sub(' ', about).lower()}s"
    return _VERBS.get(verb, f"{_WORDS.sub(' ', verb).capitalize()}: {{}}.").format(named)
