"""Who belongs to a group that has no rule: administrators add and remove devices, and people."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId, GroupId
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.devices import WrongDeviceStateError, hold_device
from shieldwall.server.directory.groups import get_group
from shieldwall.server.directory.membership import add_members, remove_members
from shieldwall.server.directory.role_assigning import require_administrator_without, require_may_change_members
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.groups import group_members
from shieldwall.server.storage.identity import people
from shieldwall.server.storage.identity_records import Person
from shieldwall.server.storage.records import Group, MembershipCause


class DynamicGroupError(ShieldwallError):
    """The members of a dynamic group are decided by its rule alone."""

    code = "dynamicGroup"
    remedy = "Change the membership rule, or take it away to choose the members yourself."


class AlreadyMemberError(ShieldwallError):
    """A device that shall be added to a group belongs to it already."""

    code = "alreadyMember"
    remedy = "Leave out the members named; the others can be added without them."


class RetiredDeviceError(ShieldwallError):
    """A retired device belongs to no group any more."""

    code = "deviceRetired"
    remedy = "Onboard the machine again; it then is a new device."


def add_member(connection: Connection, acting: Acting, group_id: GroupId, device_id: DeviceId) -> None:
    """Let a device belong to a group; where it does already, nothing happens.

    Raises:
        NotFoundError: There is no such group or device.
        DynamicGroupError: A rule decides who belongs.
        EscalationError: Roles depend on who belongs to it, and the caller does not hold them.
        RetiredDeviceError: The device is retired.
        WrongDeviceStateError: It is told to leave.
    """
    group = _assigned(connection, acting, group_id)
    _check_may_join(connection, acting, device_id)
    if not group_members.is_member(connection, group_id, device_id):
        _join(connection, acting, group, [device_id])


def join_person(connection: Connection, acting: Acting, group_id: GroupId, person: Person) -> None:
    """Let a person belong to a group: they then have the roles that the group carries.

    Raises:
        AlreadyMemberError: They do.
        NotFoundError, DynamicGroupError, EscalationError: As with ``add_member``.
    """
    group = _assigned(connection, acting, group_id)
    if not people.join(connection, group.id, person):
        raise AlreadyMemberError(f"{person.display_name} belongs to {group.display_name} already.")
    _record_person(connection, acting, group, person, joined=True)


def leave_person(connection: Connection, acting: Acting, group_id: GroupId, person: Person) -> None:
    """Let a person belong to a group no more.

    Raises:
        NoAdministratorLeftError: Nobody would be left who may do everything.
        NotFoundError, DynamicGroupError, EscalationError: As with ``remove_member``.
    """
    targets.lock(connection)  # so that no two people remove each other
    group = _assigned(connection, acting, group_id)
    if not people.leave(connection, group.id, person):
        raise NotFoundError(f"{person.display_name} does not belong to {group.display_name}.")
    require_administrator_without(connection, acting.tenant_id, group_id)
    _record_person(connection, acting, group, person, joined=False)


def join_members(connection: Connection, acting: Acting, group_id: GroupId, device_ids: Collection[DeviceId]) -> None:
    """Let devices join a group, all of them or none.

    Raises:
        AlreadyMemberError: One of them belongs to it.
        NotFoundError, DynamicGroupError, RetiredDeviceError, WrongDeviceStateError: As with ``add_member``.
    """
    if not device_ids:
        return
    group = _assigned(connection, acting, group_id)
    for device_id in sorted(device_ids):
        _check_may_join(connection, acting, device_id)
        if group_members.is_member(connection, group_id, device_id):
            raise AlreadyMemberError(f"The device {device_id} belongs to {group.display_name} already.")
    _join(connection, acting, group, device_ids)


def remove_member(connection: Connection, acting: Acting, group_id: GroupId, device_id: DeviceId) -> None:
    """Let a device belong to a group no more.

    Raises:
        NotFoundError: There is no such group, or the device does not belong to it.
        DynamicGroupError: A rule decides who belongs.
    """
    group = _assigned(connection, acting, group_id)
    if not group_members.is_member(connection, group_id, device_id):
        raise NotFoundError(f"The device {device_id} does not belong to {group.display_name}.")
    moved = remove_members(connection, acting, group, [device_id], MembershipCause.REMOVED)
    acting.record(connection, "group.memberRemoved", "group", group_id, name=group.display_name, device=device_id)
    acting.tell(connection, moved)


def _check_may_join(connection: Connection, acting: Acting, device_id: DeviceId) -> None:
    device = hold_device(connection, acting, device_id)
    if device.state is DeviceState.RETIRED:
        raise RetiredDeviceError(f"{device.display_name} was retired.")
    if device.state is DeviceState.LEAVING:
        raise WrongDeviceStateError(f"{device.display_name} is told to leave, and belongs to no group any more.")


def _join(connection: Connection, acting: Acting, group: Group, device_ids: Collection[DeviceId]) -> None:
    moved = add_members(connection, acting, group, device_ids, MembershipCause.ADDED)
    for device_id in sorted(device_ids):
        acting.record(connection, "group.memberAdded", "group", group.id, name=group.display_name, device=device_id)
    acting.tell(connection, moved)


def _assigned(connection: Connection, acting: Acting, group_id: GroupId) -> Group:
    group = get_group(connection, acting.tenant_id, group_id)
    require_may_change_members(connection, acting.tenant_id, acting.access, group_id)
    if group.is_dynamic:
        raise DynamicGroupError(f"The members of {group.display_name} are decided by its rule.")
    return group


def _record_person(connection: Connection, acting: Acting, group: Group, person: Person, *, joined: bool) -> None:
    activity = "group.personAdded" if joined else "group.personRemoved"
    acting.record(connection, activity, "group", group.id, name=group.display_name, person=person.display_name)
