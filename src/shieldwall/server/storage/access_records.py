"""Records of who may what: custom roles, role assignments, scope tags."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shieldwall.contract.ids import GroupId, TenantId


class ScopeType(StrEnum):
    """On which devices a role assignment lets its members act."""

    RESOURCE_SCOPE = "resourceScope"
    """On the members of its scope groups."""
    ALL_DEVICES = "allDevices"
    ALL_LICENSED_USERS = "allLicensedUsers"
    """On no device: there are no users of devices here. Kept, because tools give back what they read."""
    ALL_DEVICES_AND_LICENSED_USERS = "allDevicesAndLicensedUsers"

    @property
    def covers_all_devices(self) -> bool:
        """Whether no scope group narrows it."""
        return self in {ScopeType.ALL_DEVICES, ScopeType.ALL_DEVICES_AND_LICENSED_USERS}


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleAssignment:
    """Gives a role to people and groups of people (``members``), within scope groups and scope tags.

    Without any ``role_scope_tag_ids`` it is not narrowed by tags.
    """

    id: str
    tenant_id: TenantId
    role_id: str
    display_name: str
    description: str
    members: tuple[str, ...]
    scope_type: ScopeType
    scope_groups: tuple[GroupId, ...]
    role_scope_tag_ids: tuple[str, ...]
    created_at: datetime
    modified_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeTag:
    """A mark on policies and devices that role assignments are narrowed by; the tag ``0`` is built in."""

    tenant_id: TenantId
    id: str
    display_name: str
    description: str
    created_at: datetime
