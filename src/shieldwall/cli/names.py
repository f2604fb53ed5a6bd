"""From the names that people use to the ids that the API wants: policies, groups, filters, reusable settings."""

from __future__ import annotations

import re
from typing import Any, Final

from shieldwall.cli.graph_session import GraphSession
from shieldwall.contract.errors import ShieldwallError

POLICIES: Final = "/beta/deviceManagement/configurationPolicies"
GROUPS: Final = "/v1.0/groups"
PEOPLE: Final = "/v1.0/users"
FILTERS: Final = "/beta/deviceManagement/assignmentFilters"
REUSABLE_SETTINGS: Final = "/beta/deviceManagement/reusablePolicySettings"
ROLES: Final = "/beta/deviceManagement/roleDefinitions"
SCOPE_TAGS: Final = "/beta/deviceManagement/roleScopeTags"
WEBHOOKS: Final = "/beta/shieldwall/webhooks"
IDENTITY_PROVIDERS: Final = "/beta/identity/identityProviders"

_ID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TARGET: Final = "#microsoft.graph."


def find_policy(session: GraphSession, wanted: str) -> str:
    """Turn an id or exact name into the id of a policy. Raises: ShieldwallError when none or several fit."""
    return _find(session, POLICIES, "name", wanted, ("policy", "policy"))


def find_group(session: GraphSession, wanted: str) -> str:
    """Turn an id or exact name into the id of a group. Raises: ShieldwallError when none or several fit."""
    return _find(session, GROUPS, "displayName", wanted, ("group", "group"))


def find_person(session: GraphSession, wanted: str) -> str:
    """Turn an id, user principal name or exact name into an id. Raises: ShieldwallError when none or several fit."""
    member = "userPrincipalName" if "@" in wanted else "displayName"
    return _find(session, PEOPLE, member, wanted.lower() if "@" in wanted else wanted, ("person", "person"))


def find_filter(session: GraphSession, wanted: str) -> str:
    """Turn an id or exact name into the id of a filter. Raises: ShieldwallError when none or several fit."""
    return _find(session, FILTERS, "displayName", wanted, ("filter", "filter"))


def find_reusable_setting(session: GraphSession, wanted: str) -> str:
    """Turn an id or exact name into the id of a reusable setting. Raises: ShieldwallError when none or several fit."""
    return _find(session, REUSABLE_SETTINGS, "displayName", wanted, ("reusable setting", "reusable"))


def find_role(session: GraphSession, wanted: str) -> str:
    """Turn an id or exact name into the id of a role. Raises: ShieldwallError when none or several fit."""
    return _find(session, ROLES, "displayName", wanted, ("role", "role"))


def find_scope_tag(session: GraphSession, wanted: str) -> str:
    """Turn an id, which is a number, or exact name into the id of a scope tag. Raises: as ``find_role``."""
    return wanted if wanted.isdigit() else _find(session, SCOPE_TAGS, "displayName", wanted, ("scope tag", "scope-tag"))


def find_webhook(session: GraphSession, wanted: str) -> str:
    """Turn an id or exact name into the id of a webhook. Raises: ShieldwallError when none or several fit."""
    return _find(session, WEBHOOKS, "displayName", wanted, ("webhook", "webhook"))


def find_identity_provider(session: GraphSession, wanted: str) -> str:
    """Turn an id or exact name into the id of an identity provider. Raises: as ``find_role``."""
    return _find(session, IDENTITY_PROVIDERS, "displayName", wanted, ("identity provider", "identity-provider"))


def is_id(text: str) -> bool:
    """Tell whether a text is an id and not a name."""
    return _ID.fullmatch(text) is not None


def assignments_to(
    session: GraphSession,
    *,
    groups: list[str] | None,
    excluded: list[str] | None,
    all_devices: bool,
    only: str | None = None,
    but: str | None = None,
) -> list[dict[str, Any]]:
    """Shape assignments: groups that get a policy and groups left out, by id or name.

    Args:
        session: Where the names are looked up.
        groups: Groups that get the policy.
        excluded: Groups that do not.
        all_devices: Every device gets it.
        only: A filter; of those that get the policy, only devices that match keep it.
        but: A filter; of those that get the policy, devices that match do not keep it.

    Raises:
        ShieldwallError: A name fits nothing or several, or both filters are given.
    """
    if only is not None and but is not None:
        raise ShieldwallError("An assignment has one filter.", remedy="Give --filter or --exclude-filter, not both.")
    narrowed: dict[str, Any] = {}
    if (wanted := only or but) is not None:
        narrowed = {
            "deviceAndAppManagementAssignmentFilterId": find_filter(session, wanted),
            "deviceAndAppManagementAssignmentFilterType": "include" if only is not None else "exclude",
        }
    everyone = [{"@odata.type": f"{_TARGET}allDevicesAssignmentTarget"} | narrowed] if all_devices else []
    included = [
        {"@odata.type": f"{_TARGET}groupAssignmentTarget", "groupId": find_group(session, each)} | narrowed
        for each in groups or []
    ]
    left_out = [
        {"@odata.type": f"{_TARGET}exclusionGroupAssignmentTarget", "groupId": find_group(session, each)}
        for each in excluded or []
    ]
    return [{"target": target} for target in (*everyone, *included, *left_out)]


def _find(session: GraphSession, listing: str, member: str, wanted: str, words: tuple[str, str]) -> str:
    if is_id(wanted):
        return wanted
    kind, command = words
    found = [each["id"] for each in session.pages(listing) if each[member] == wanted]
    if len(found) == 1:
        return str(found[0])
    if not found:
        raise ShieldwallError(f"There is no {kind} named {wanted!r}.", remedy=f"List them: shieldwall {command} list.")
    raise ShieldwallError(f"{len(found)} {kind} objects are named {wanted!r}.", remedy="Use the id instead.")
