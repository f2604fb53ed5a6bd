"""Orders to machines as Defender for Endpoint has them: to leave, kept with who gave it and why, and taken back.

An order to leave can be taken back until the device was in touch: after that it has it, and goes. Whoever is kept then
is what they were, in the assigned groups that they were taken out of.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec
from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId, GroupId
from shieldwall.contract.strict_json import decode, encode
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.devices import WrongDeviceStateError, hold_device
from shieldwall.server.directory.enrollment import enrolled_anew
from shieldwall.server.directory.membership import add_members, reevaluate_device
from shieldwall.server.inventory.offboarding import order_to_leave
from shieldwall.server.storage.device_records import Device, DeviceState
from shieldwall.server.storage.devices import devices, machine_actions
from shieldwall.server.storage.devices.machine_actions import MachineAction
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.groups import group_members, groups
from shieldwall.server.storage.records import MembershipCause


class TooLateError(ShieldwallError):
    """The order cannot be taken back any more."""

    code = "tooLate"
    remedy = "A device that has its order leaves; onboard it again afterwards."


class _Former(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a device was before it was told to leave."""

    state: DeviceState
    groups: tuple[GroupId, ...]


def order_offboarding(connection: Connection, acting: Acting, device_id: DeviceId, comment: str) -> MachineAction:
    """Tell a device to leave, and keep the order; told again, it is the order that it has.

    Raises:
        NotFoundError: There is no such device.
        WrongDeviceStateError: It has left already.
    """
    before = hold_device(connection, acting, device_id)
    if before.state is DeviceState.RETIRED:
        raise WrongDeviceStateError(f"The device {before.display_name!r} has left already.")
    present = machine_actions.open_of_device(connection, acting.tenant_id, device_id)
    if present is not None:
        return present
    former = _Former(state=before.state, groups=_assigned(connection, device_id))
    order_to_leave(connection, acting, device_id)
    now = acting.clock.now()
    action = MachineAction(
        id=acting.new_id(),
        tenant_id=acting.tenant_id,
        device_id=device_id,
        device_name=before.display_name,
        type=machine_actions.OFFBOARD,
        requestor=acting.actor.partition(":")[2] or acting.actor,
        comment=comment,
        status=machine_actions.PENDING,
        created_at=now,
        updated_at=now,
        former=encode(former).decode(),
    )
    machine_actions.add(connection, action)
    return get_order(connection, acting, action.id)


def cancel_order(connection: Connection, acting: Acting, action_id: str, comment: str) -> MachineAction:
    """Take an order back that the device has not heard of.

    Raises:
        NotFoundError: There is no such order.
        TooLateError: The device has it, or it is done or taken back already.
    """
    action = get_order(connection, acting, action_id)
    device = hold_device(connection, acting, action.device_id) if action.status == machine_actions.PENDING else None
    action = get_order(connection, acting, action_id)  # as it is now that nobody else changes the device
    if device is None or action.status != machine_actions.PENDING or device.state is not DeviceState.LEAVING:
        raise TooLateError(f"The order is {action.status}.")
    _put_back(connection, acting, device, decode(action.former.encode(), _Former))
    by = acting.actor.partition(":")[2] or acting.actor
    machine_actions.cancel(connection, action, by=by, comment=comment, at=acting.clock.now())
    return get_order(connection, acting, action_id)


def get_order(connection: Connection, acting: Acting, action_id: str) -> MachineAction:
    """Return an order of this tenant. Raises: NotFoundError."""
    found = machine_actions.find(connection, acting.tenant_id, action_id)
    if found is None:
        raise NotFoundError(f"There is no machine action {action_id[:64]!r}.")
    return found


def _put_back(connection: Connection, acting: Acting, before: Device, former: _Former) -> None:
    device = enrolled_anew(connection, acting, before, replace(before, state=former.state))
    devices.put(connection, device)
    present = groups.find_many(connection, former.groups) if former.groups else ()
    for group in present:
        if group.tenant_id == acting.tenant_id and not group.is_dynamic:
            acting.tell(connection, add_members(connection, acting, group, [device.id], MembershipCause.ADDED))
    reevaluate_device(connection, acting, device)
    acting.record(connection, "device.leavingCancelled", "device", device.id, name=device.display_name)
    acting.tell(connection, [device.id])


def _assigned(connection: Connection, device_id: DeviceId) -> tuple[GroupId, ...]:
    taken = group_members.memberships(connection, [device_id])[device_id]
    return tuple(sorted(each for each in taken if not groups.get(connection, each).is_dynamic))
