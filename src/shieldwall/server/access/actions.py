"""The actions that roles are made of.

Names are Intune's resource operations (``Microsoft.Intune_<resource>_<action>``) where it has them; ours begin with
``Shieldwall_``. Every route for administrators names the one action that a person must be allowed.
"""

from __future__ import annotations

from enum import StrEnum


class ResourceAction(StrEnum):
    """One thing that may be done to one kind of resource."""

    READ_POLICIES = "Microsoft.Intune_DeviceConfigurations_Read"
    CREATE_POLICIES = "Microsoft.Intune_DeviceConfigurations_Create"
    UPDATE_POLICIES = "Microsoft.Intune_DeviceConfigurations_Update"
    DELETE_POLICIES = "Microsoft.Intune_DeviceConfigurations_Delete"
    ASSIGN_POLICIES = "Microsoft.Intune_DeviceConfigurations_Assign"
    VIEW_REPORTS = "Microsoft.Intune_DeviceConfigurations_ViewReports"

    READ_FILTERS = "Microsoft.Intune_AssignmentFilter_Read"
    CREATE_FILTERS = "Microsoft.Intune_AssignmentFilter_Create"
    UPDATE_FILTERS = "Microsoft.Intune_AssignmentFilter_Update"
    DELETE_FILTERS = "Microsoft.Intune_AssignmentFilter_Delete"

    READ_DEVICES = "Microsoft.Intune_ManagedDevices_Read"
    UPDATE_DEVICES = "Microsoft.Intune_ManagedDevices_Update"
    DELETE_DEVICES = "Microsoft.Intune_ManagedDevices_Delete"
    SYNC_DEVICES = "Microsoft.Intune_RemoteTasks_SyncDevice"
    OFFBOARD_DEVICES = "Microsoft.Intune_RemoteTasks_Retire"

    READ_ORGANIZATION = "Microsoft.Intune_Organization_Read"
    UPDATE_ORGANIZATION = "Microsoft.Intune_Organization_Update"
    READ_CONNECTORS = "Microsoft.Intune_MobileThreatDefense_Read"
    UPDATE_CONNECTORS = "Microsoft.Intune_MobileThreatDefense_Modify"
    READ_AUDIT = "Microsoft.Intune_AuditData_Read"

    READ_ROLES = "Microsoft.Intune_Roles_Read"
    CREATE_ROLES = "Microsoft.Intune_Roles_Create"
    UPDATE_ROLES = "Microsoft.Intune_Roles_Update"
    DELETE_ROLES = "Microsoft.Intune_Roles_Delete"
    ASSIGN_ROLES = "Microsoft.Intune_Roles_Assign"

    READ_GROUPS = "Shieldwall_Groups_Read"
    CREATE_GROUPS = "Shieldwall_Groups_Create"
    UPDATE_GROUPS = "Shieldwall_Groups_Update"
    DELETE_GROUPS = "Shieldwall_Groups_Delete"
    READ_DIRECTORY = "Shieldwall_Directory_Read"
    UPDATE_DIRECTORY = "Shieldwall_Directory_Update"
    READ_ONBOARDING = "Shieldwall_Onboarding_Read"
    UPDATE_ONBOARDING = "Shieldwall_Onboarding_Update"
    ADMIT_DEVICES = "Shieldwall_Onboarding_Admit"
    READ_SCOPE = "Shieldwall_EnforcementScope_Read"
    UPDATE_SCOPE = "Shieldwall_EnforcementScope_Update"
    READ_PROTECTION = "Shieldwall_TamperProtection_Read"
    UPDATE_PROTECTION = "Shieldwall_TamperProtection_Update"
    READ_ALERTS = "Shieldwall_Alerts_Read"
    UPDATE_ALERTS = "Shieldwall_Alerts_Update"
    READ_APPLICATIONS = "Shieldwall_Applications_Read"
    UPDATE_APPLICATIONS = "Shieldwall_Applications_Update"
    READ_PEOPLE = "Shieldwall_People_Read"
    UPDATE_PEOPLE = "Shieldwall_People_Update"
    READ_EVENTS = "Shieldwall_Events_Read"
    UPDATE_EVENTS = "Shieldwall_Events_Update"
    READ_TENANTS = "Shieldwall_Tenants_Read"

    @property
    def resource(self) -> str:
        """The kind of resource, such as ``DeviceConfigurations``."""
        return self.value.split("_")[1]

    @property
    def verb(self) -> str:
        """What is done to it, such as ``Read``."""
        return self.value.split("_")[2]


READING: frozenset[ResourceAction] = frozenset(
    action for action in ResourceAction if action.verb in {"Read", "ViewReports"}
)
"""The actions that change nothing."""
EVERYTHING: frozenset[ResourceAction] = frozenset(ResourceAction)
