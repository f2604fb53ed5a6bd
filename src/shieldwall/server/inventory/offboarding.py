"""Offboarding: a device leaves management, by its own word or an administrator's.

An administrator's word is an order: the device stays in the inventory as *leaving* until it comes, gets the order with
its next check-in, restores its state from before, and says goodbye. Only then it is retired. Who cannot wait for that
forces it: the device is retired at once, and never learns of it but by being refused.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId, PackageId
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.devices import hold_device, retire
from shieldwall.server.directory.enrollment import enrolled_anew
from shieldwall.server.directory.membership import leave_all_groups
from shieldwall.server.storage.device_records import Device, DeviceState
from shieldwall.server.storage.devices import devices


def order_to_leave(connection: Connection, acting: Acting, device_id: DeviceId, *, force: bool = False) -> Device:
    """Tell a device to leave: no group and no policy reaches it any more, and its next check-in brings the order.

    Twice is once. One that never got anything, or is forced to, is retired at once; its key is refused from then on.

    Raises:
        NotFoundError: There is no such device.
    """
    before = hold_device(connection, acting, device_id)
    if force or before.state is DeviceState.PENDING:
        return retire(connection, acting, device_id, reason="forced" if force else "")
    if before.state in {DeviceState.LEAVING, DeviceState.RETIRED}:
        return before
    device = replace(before, state=DeviceState.LEAVING, troubleshooting_until=None)
    device = enrolled_anew(connection, acting, before, device)
    devices.put(connection, device)
    leave_all_groups(connection, acting, device_id)
    acting.record(connection, "device.leavingOrdered", "device", device_id, name=device.display_name)
    acting.tell(connection, [device_id])
    return device


def offboard(
    connection: Connection,
    acting: Acting,
    device_id: DeviceId,
    *,
    reason: str = "",
    package_id: PackageId | None = None,
) -> Device:
    """Let a device go that said goodbye: it is retired, belongs to no group, and its key is refused from now on.

    Twice is once, so that a lost answer can be asked for again.

    Raises:
        NotFoundError: There is no such device.
    """
    device = hold_device(connection, acting, device_id)
    if device.state is not DeviceState.RETIRED:
        how = {DeviceState.LEAVING: "order"}.get(device.state, "device" if package_id is None else "package")
        acting.record(
            connection, "device.saidGoodbye", "device", device_id, name=device.display_name, by=how, package=package_id
        )
    return retire(connection, acting, device_id, activity="device.offboarded", reason=reason)
