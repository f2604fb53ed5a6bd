"""Groups of devices: made, changed and deleted, with their members and who joined and left when."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId, GroupId, TenantId
from shieldwall.policy.membership import parse_rule
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.devices import get_device
from shieldwall.server.directory.filling import decides
from shieldwall.server.directory.group_rules import checked_rule
from shieldwall.server.directory.invalid_group import InvalidGroupError
from shieldwall.server.directory.membership import groups_asking_for, reevaluate_group, remove_members, settle_group
from shieldwall.server.directory.names import is_name, is_text
from shieldwall.server.directory.role_assigning import require_may_change_members, require_unnamed
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.device_records import Device
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.errors import NotFoundError, StillReferencedError
from shieldwall.server.storage.groups import group_members, groups, membership_events
from shieldwall.server.storage.groups.groups import GroupOrder
from shieldwall.server.storage.records import Group, MembershipCause, MembershipEvent, Page, ProcessingState

_NICKNAME: Final = re.compile(r"[^\s@()\\\[\]\";:<>,]{1,64}\Z", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDraft:
    """A group as an administrator wants it.

    Raises:
        InvalidGroupError: A part is too long, missing or holds what it may not.
        InvalidRuleError: The membership rule cannot be read.
    """

    display_name: str
    description: str = ""
    mail_nickname: str
    membership_rule: str | None = None
    processing_state: ProcessingState = ProcessingState.ON

    def __post_init__(self) -> None:
        """Refuse to exist when wrong."""
        if not is_name(self.display_name):
            raise InvalidGroupError("A group's name has 1 to 256 plain characters.", member="displayName")
        if not is_text(self.description, 1024):
            raise InvalidGroupError("A group's description has at most 1024 plain characters.", member="description")
        if not _NICKNAME.match(self.mail_nickname):
            raise InvalidGroupError(
                "A mail nickname has 1 to 64 characters without spaces and address marks.", member="mailNickname"
            )
        if self.membership_rule is not None:
            parse_rule(self.membership_rule)
        elif self.processing_state is not ProcessingState.ON:
            raise InvalidGroupError("Only a rule can be paused.", member="membershipRuleProcessingState")


def nickname_of(name: str) -> str:
    """Make a mail nickname of a group's name; nobody sends mail to it, and the directory wants one."""
    kept = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:64]
    return kept or "group"


def list_groups(
    connection: Connection,
    tenant_id: TenantId,
    page: Page,
    order: GroupOrder | None = None,
    *,
    descending: bool = False,
) -> tuple[Group, ...]:
    """Return one page of a tenant's groups in an order; without one in that of the page, or of their ids."""
    return groups.list_groups(connection, tenant_id, page, order, descending=descending)


def get_group(connection: Connection, tenant_id: TenantId, group_id: GroupId) -> Group:
    """Return a group of this tenant. Raises: NotFoundError."""
    group = groups.find(connection, group_id)
    if group is None or group.tenant_id != tenant_id:  # the same answer, so that nobody learns of others' groups
        raise NotFoundError(f"There is no group {group_id}.")
    return group


def create_group(connection: Connection, acting: Acting, draft: GroupDraft) -> Group:
    """Make a group; a dynamic one is filled at once, unless it is paused.

    Raises:
        InvalidGroupError: The rule names groups that it cannot ask for.
    """
    if draft.membership_rule is not None:
        targets.lock(connection)  # the groups it names are neither deleted nor given such a rule in the meantime
        checked_rule(connection, acting.tenant_id, None, draft.membership_rule)
    group = Group(
        id=GroupId(acting.new_id()),
        tenant_id=acting.tenant_id,
        display_name=draft.display_name,
        description=draft.description,
        mail_nickname=draft.mail_nickname,
        membership_rule=draft.membership_rule,
        processing_state=draft.processing_state,
        created_at=acting.clock.now(),
    )
    groups.add(connection, group)
    acting.record(connection, "group.created", "group", group.id, name=group.display_name, rule=group.membership_rule)
    if group.is_dynamic:
        acting.tell(connection, reevaluate_group(connection, acting, group))
    return group


def update_group(connection: Connection, acting: Acting, group_id: GroupId, draft: GroupDraft) -> Group:
    """Change a group. A rule that comes, changes or is followed again fills it anew; where it goes, the members stay.

    Raises:
        EscalationError: Roles depend on who belongs to it, and the caller does not hold them.
        NotFoundError: There is no such group.
        InvalidGroupError: The rule names groups that it cannot ask for.
    """
    targets.lock(connection)
    before = get_group(connection, acting.tenant_id, group_id)
    group = replace(
        before,
        display_name=draft.display_name,
        description=draft.description,
        mail_nickname=draft.mail_nickname,
        membership_rule=draft.membership_rule,
        processing_state=draft.processing_state,
    )
    if group == before:
        return group
    if group.membership_rule != before.membership_rule:
        require_may_change_members(connection, acting.tenant_id, acting.access, group_id)
    if group.membership_rule is not None:
        checked_rule(connection, acting.tenant_id, group_id, group.membership_rule)
    settled = frozenset[DeviceId]() if decides(group) else settle_group(connection, acting, before)
    groups.put(connection, group)
    acting.record(
        connection,
        "group.changed",
        "group",
        group.id,
        name=group.display_name,
        rule=group.membership_rule,
        processing=group.processing_state.value,
    )
    if settled:
        acting.tell(connection, settled)
    if group.membership_rule != before.membership_rule:
        acting.tell(connection, reevaluate_group(connection, acting, group))
    elif group.processing_state is not before.processing_state:
        cause = MembershipCause.PROCESSING_RESUMED
        acting.tell(connection, reevaluate_group(connection, acting, group, cause))
    return group


def delete_group(connection: Connection, acting: Acting, group_id: GroupId) -> None:
    """Remove a group.

    Raises:
        NotFoundError: There is no such group.
        StillReferencedError: A policy or a role assignment names it, or a rule asks for its members; its devices would
            lose the policy, or leave that group, unasked.
    """
    targets.lock(connection)  # nobody assigns a policy to it, or names it, in the meantime
    group = get_group(connection, acting.tenant_id, group_id)
    if asking := groups_asking_for(connection, acting.tenant_id, group_id):
        raise StillReferencedError(f"The rule of {asking[0].display_name} asks for the members of this group.")
    require_unnamed(connection, acting.tenant_id, group_id)
    former = group_members.member_ids(connection, group_id)
    remove_members(connection, acting, group, former, MembershipCause.GROUP_DELETED)
    groups.remove(connection, group_id)
    acting.record(connection, "group.deleted", "group", group_id, name=group.display_name, members=len(former))
    acting.tell(connection, former)


def members(connection: Connection, tenant_id: TenantId, group_id: GroupId, page: Page) -> tuple[Device, ...]:
    """Return one page of a group's members, ordered by id unless the page says otherwise. Raises: NotFoundError."""
    get_group(connection, tenant_id, group_id)
    if page.where or page.order:
        belonging = replace(page, where=(group_members.members_among(connection, group_id), *page.where))
        return devices.list_devices(connection, tenant_id, belonging)
    return devices.find_many(connection, group_members.list_members(connection, group_id, page))


def groups_of(connection: Connection, tenant_id: TenantId, device_id: DeviceId) -> tuple[Group, ...]:
    """Return the groups a device belongs to, ordered by id. Raises: NotFoundError."""
    get_device(connection, tenant_id, device_id)
    return tuple(
        groups.get(connection, group_id)
        for group_id in sorted(group_members.memberships(connection, [device_id])[device_id])
    )


def history_of_group(
    connection: Connection, tenant_id: TenantId, group_id: GroupId, page: Page
) -> tuple[MembershipEvent, ...]:
    """Return one page of who joined and left a group, newest first. Raises: NotFoundError."""
    get_group(connection, tenant_id, group_id)
    return membership_events.list_events(connection, tenant_id, page, group_id=group_id)


def history_of_device(
    connection: Connection, tenant_id: TenantId, device_id: DeviceId, page: Page
) -> tuple[MembershipEvent, ...]:
    """Return one page of the groups a device joined and left, newest first. Raises: NotFoundError."""
    get_device(connection, tenant_id, device_id)
    return membership_events.list_events(connection, tenant_id, page, device_id=device_id)
