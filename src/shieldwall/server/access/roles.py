"""The roles that every tenant has. Ids and names are those that Intune and Entra publish, so that scripts find them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from shieldwall.server.access.actions import EVERYTHING, READING, ResourceAction


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A named set of actions. ``scope_tag_ids`` say who sees a custom role; built-in ones are seen by all who may."""

    id: str
    display_name: str
    description: str
    actions: frozenset[ResourceAction]
    is_built_in: bool = False
    scope_tag_ids: tuple[str, ...] = ("0",)


_ROLES_AND_PEOPLE: Final = frozenset(
    action for action in ResourceAction if action.resource in {"Roles", "People", "Applications", "Tenants"}
)
_POLICIES: Final = frozenset(
    action for action in ResourceAction if action.resource in {"DeviceConfigurations", "AssignmentFilter"}
)

ADMINISTRATOR: Final = Role(
    id="62e90394-69f5-4237-9190-012177145e10",
    display_name="Global Administrator",
    description="May do everything; the first person of a tenant has this role.",
    actions=EVERYTHING,
    is_built_in=True,
)
SECURITY_ADMINISTRATOR: Final = Role(
    id="194ae4cb-b126-40b2-bd5b-6091b380977d",
    display_name="Security Administrator",
    description="Runs all of security: policies, devices, groups, onboarding, scope, protection; reads who may what.",
    actions=(EVERYTHING - _ROLES_AND_PEOPLE)
    | {ResourceAction.READ_ROLES, ResourceAction.READ_PEOPLE, ResourceAction.READ_APPLICATIONS},
    is_built_in=True,
)
ENDPOINT_SECURITY_MANAGER: Final = Role(
    id="c56d53a2-73d0-4502-b6bd-4a9d3dba28d5",
    display_name="Endpoint Security Manager",
    description="Writes and assigns security policies, follows how they stand, and steers the devices they are for.",
    actions=_POLICIES
    | {
        ResourceAction.READ_DEVICES,
        ResourceAction.UPDATE_DEVICES,
        ResourceAction.SYNC_DEVICES,
        ResourceAction.OFFBOARD_DEVICES,
        ResourceAction.READ_ORGANIZATION,
        ResourceAction.READ_CONNECTORS,
        ResourceAction.READ_AUDIT,
        ResourceAction.READ_ROLES,
        ResourceAction.READ_GROUPS,
        ResourceAction.READ_DIRECTORY,
        ResourceAction.READ_ONBOARDING,
        ResourceAction.READ_SCOPE,
        ResourceAction.READ_PROTECTION,
        ResourceAction.READ_ALERTS,
        ResourceAction.UPDATE_ALERTS,
    },
    is_built_in=True,
)
READ_ONLY_OPERATOR: Final = Role(
    id="fa1d7878-e8cb-41a1-8254-0142355c9e84",
    display_name="Read Only Operator",
    description="Sees policies, devices, groups and reports, and changes nothing.",
    actions=READING - {ResourceAction.READ_TENANTS, ResourceAction.READ_EVENTS},
    is_built_in=True,
)
HELP_DESK_OPERATOR: Final = Role(
    id="9e0cc482-82df-4ab2-a24c-0c23a3f52e1e",
    display_name="Help Desk Operator",
    description="Looks at devices and what they got, lets them check in at once, tags them and looks after alerts.",
    actions=frozenset(
        {
            ResourceAction.READ_POLICIES,
            ResourceAction.VIEW_REPORTS,
            ResourceAction.READ_FILTERS,
            ResourceAction.READ_DEVICES,
            ResourceAction.UPDATE_DEVICES,
            ResourceAction.SYNC_DEVICES,
            ResourceAction.READ_ORGANIZATION,
            ResourceAction.READ_GROUPS,
            ResourceAction.READ_DIRECTORY,
            ResourceAction.READ_ONBOARDING,
            ResourceAction.READ_ALERTS,
            ResourceAction.UPDATE_ALERTS,
        }
    ),
    is_built_in=True,
)
ROLE_ADMINISTRATOR: Final = Role(
    id="fb2603eb-3c87-4be3-8b5b-d58a5b4a0bc0",
    display_name="Intune Role Administrator",
    description="Makes roles and assigns them, and reads what is needed to choose; may not give itself more.",
    actions=frozenset(action for action in ResourceAction if action.resource == "Roles")
    | {
        ResourceAction.READ_PEOPLE,
        ResourceAction.READ_GROUPS,
        ResourceAction.READ_ORGANIZATION,
        ResourceAction.READ_AUDIT,
    },
    is_built_in=True,
)
BUILT_IN: Final = {
    role.id: role
    for role in (
        ADMINISTRATOR,
        SECURITY_ADMINISTRATOR,
        ENDPOINT_SECURITY_MANAGER,
        READ_ONLY_OPERATOR,
        HELP_DESK_OPERATOR,
        ROLE_ADMINISTRATOR,
    )
}
