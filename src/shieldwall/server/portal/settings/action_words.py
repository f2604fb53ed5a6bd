"""What the actions of roles allow, in words for whoever gives them; pure.

The names stay those that scripts know. Each is explained here by what can be done with it, and what comes along.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.portal.language import marked

_A: Final = ResourceAction


@dataclass(frozen=True, slots=True)
class ActionWords:
    """One action, its short name and what it allows."""

    action: ResourceAction
    label: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Area:
    """Actions on one kind of things."""

    name: str
    actions: tuple[ActionWords, ...]


AREAS: Final = (
    Area(
        marked("Endpoint security policies"),
        (
            ActionWords(_A.READ_POLICIES, marked("Read"), marked("See policies, their values and their history.")),
            ActionWords(_A.CREATE_POLICIES, marked("Create"), marked("Make policies. They reach no device by this.")),
            ActionWords(
                _A.UPDATE_POLICIES,
                marked("Update"),
                marked("Change values and names. Devices that have the policy take the change at once."),
            ),
            ActionWords(
                _A.DELETE_POLICIES,
                marked("Delete"),
                marked("Delete policies. Settings go back on devices that no other policy sets them for."),
            ),
            ActionWords(
                _A.ASSIGN_POLICIES,
                marked("Assign"),
                marked("Decide which groups get a policy, and which of two policies wins."),
            ),
            ActionWords(
                _A.VIEW_REPORTS,
                marked("View reports"),
                marked("See how policies and settings stand on devices, and why."),
            ),
        ),
    ),
    Area(
        marked("Assignment filters"),
        (
            ActionWords(_A.READ_FILTERS, marked("Read"), marked("See the filters that assignments use.")),
            ActionWords(_A.CREATE_FILTERS, marked("Create"), marked("Make filters.")),
            ActionWords(
                _A.UPDATE_FILTERS,
                marked("Update"),
                marked("Change the rule of a filter, and with it which devices get a policy."),
            ),
            ActionWords(_A.DELETE_FILTERS, marked("Delete"), marked("Delete filters that no assignment uses.")),
        ),
    ),
    Area(
        marked("Devices"),
        (
            ActionWords(_A.READ_DEVICES, marked("Read"), marked("See devices, what they got and what they report.")),
            ActionWords(
                _A.UPDATE_DEVICES,
                marked("Update"),
                marked("Tag devices, switch them off and on, and give time for troubleshooting."),
            ),
            ActionWords(
                _A.DELETE_DEVICES,
                marked("Delete"),
                marked("Remove devices for ever, merge two into one, and say when silent ones retire."),
            ),
            ActionWords(_A.SYNC_DEVICES, marked("Sync"), marked("Let devices check in at once.")),
            ActionWords(
                _A.OFFBOARD_DEVICES,
                marked("Offboard"),
                marked("Take devices out of management. Their settings go back to what they were before."),
            ),
        ),
    ),
    Area(
        marked("Groups and directory"),
        (
            ActionWords(_A.READ_GROUPS, marked("Read groups"), marked("See groups, their rules and members.")),
            ActionWords(_A.CREATE_GROUPS, marked("Create groups"), marked("Make groups.")),
            ActionWords(
                _A.UPDATE_GROUPS,
                marked("Update groups"),
                marked("Change rules and members, and with them which policies devices get."),
            ),
            ActionWords(_A.DELETE_GROUPS, marked("Delete groups"), marked("Delete groups that nothing names.")),
            ActionWords(_A.READ_DIRECTORY, marked("Read the directory"), marked("See registrations and authorities.")),
            ActionWords(
                _A.UPDATE_DIRECTORY,
                marked("Update the directory"),
                marked("Import registrations, and say whose word counts when a device says who it is."),
            ),
        ),
    ),
    Area(
        marked("Onboarding"),
        (
            ActionWords(_A.READ_ONBOARDING, marked("Read"), marked("See onboarding packages and who came with them.")),
            ActionWords(
                _A.UPDATE_ONBOARDING,
                marked("Update"),
                marked("Make and revoke packages. Whoever has a package file can onboard devices."),
            ),
            ActionWords(_A.ADMIT_DEVICES, marked("Admit"), marked("Let devices in that wait, or turn them away.")),
        ),
    ),
    Area(
        marked("Enforcement scope and tamper protection"),
        (
            ActionWords(_A.READ_SCOPE, marked("Read the scope"), marked("See which devices may be managed.")),
            ActionWords(
                _A.UPDATE_SCOPE,
                marked("Update the scope"),
                marked("Decide which devices are managed at all. Devices that are released lose their protection."),
            ),
            ActionWords(
                _A.READ_PROTECTION, marked("Read tamper protection"), marked("See which devices are protected.")
            ),
            ActionWords(
                _A.UPDATE_PROTECTION,
                marked("Update tamper protection"),
                marked("Protect devices, or expose them."),
            ),
        ),
    ),
    Area(
        marked("Alerts and audit"),
        (
            ActionWords(_A.READ_ALERTS, marked("Read alerts"), marked("See alerts and what devices told of.")),
            ActionWords(_A.UPDATE_ALERTS, marked("Update alerts"), marked("Take alerts over and resolve them.")),
            ActionWords(_A.READ_AUDIT, marked("Read the audit log"), marked("See who changed what, and when.")),
        ),
    ),
    Area(
        marked("Organization and connectors"),
        (
            ActionWords(
                _A.READ_ORGANIZATION, marked("Read the organization"), marked("See the tenant's name and domains.")
            ),
            ActionWords(_A.UPDATE_ORGANIZATION, marked("Update the organization"), marked("Change the tenant's own.")),
            ActionWords(_A.READ_CONNECTORS, marked("Read connectors"), marked("See whether this channel is on.")),
            ActionWords(
                _A.UPDATE_CONNECTORS,
                marked("Update connectors"),
                marked("Switch this channel on or off for all devices of the tenant."),
            ),
            ActionWords(_A.READ_EVENTS, marked("Read webhooks"), marked("See who is told of events, and how it went.")),
            ActionWords(
                _A.UPDATE_EVENTS,
                marked("Update webhooks"),
                marked("Have events sent to addresses elsewhere. They hold names and details of what happened."),
            ),
            ActionWords(
                _A.READ_TENANTS, marked("Read tenants"), marked("See the figures of all tenants of the server.")
            ),
        ),
    ),
    Area(
        marked("Roles, people and apps"),
        (
            ActionWords(_A.READ_ROLES, marked("Read roles"), marked("See roles, scope tags and who has them.")),
            ActionWords(
                _A.CREATE_ROLES, marked("Create roles"), marked("Make roles, of what one may do oneself, and tags.")
            ),
            ActionWords(
                _A.UPDATE_ROLES,
                marked("Update roles"),
                marked("Change roles and tags. Whoever has the role may do what it then grants at once."),
            ),
            ActionWords(_A.DELETE_ROLES, marked("Delete roles"), marked("Delete roles that nobody has, and tags.")),
            ActionWords(
                _A.ASSIGN_ROLES,
                marked("Assign roles"),
                marked("Give and take roles, never beyond what one may do oneself."),
            ),
            ActionWords(_A.READ_PEOPLE, marked("Read people"), marked("See who may come in, and how they sign in.")),
            ActionWords(
                _A.UPDATE_PEOPLE,
                marked("Update people"),
                marked("Invite people, let them in again, sign them out and switch them off."),
            ),
            ActionWords(
                _A.READ_APPLICATIONS, marked("Read apps"), marked("See apps, their permissions and secrets' ends.")
            ),
            ActionWords(
                _A.UPDATE_APPLICATIONS,
                marked("Update apps"),
                marked("Register apps and give them secrets. Only who may do everything gives them permissions."),
            ),
        ),
    ),
)
"""Every action, once, in the order in which roles are put together."""
WORDS: Final[Mapping[ResourceAction, tuple[str, ActionWords]]] = {
    words.action: (area.name, words) for area in AREAS for words in area.actions
}
"""By the action: the name of its area, and its words."""


def chosen_in(areas: Iterable[Area], actions: Collection[ResourceAction]) -> list[Area]:
    """Return the areas with those of their actions alone that are among ``actions``; none that is empty then."""
    found = [Area(area.name, tuple(each for each in area.actions if each.action in actions)) for area in areas]
    return [area for area in found if area.actions]
