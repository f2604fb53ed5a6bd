"""A device says goodbye: what its leaving means where it should not have left like that."""

from __future__ import annotations

from sqlalchemy import Connection

from shieldwall.contract import strict_json
from shieldwall.contract.messages import OffboardRequest
from shieldwall.server.directory.acting import Acting
from shieldwall.server.inventory.offboarding import offboard
from shieldwall.server.inventory.offboarding_packages import lets_go
from shieldwall.server.manager.protection import is_device_protected
from shieldwall.server.manager.turns import CallingDevice
from shieldwall.server.storage.device_records import Device
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.events import alerts
from shieldwall.server.storage.events.alerts import Alert, Severity


def say_goodbye(connection: Connection, acting: Acting, caller: CallingDevice, request: OffboardRequest) -> Device:
    """Let a device go. One that was protected, and had neither an order nor a package of its tenant, goes with alarm.

    It is not refused: what it enforced is gone from it already, and a device that must go on speaking would only hide
    that. An agent in order never comes to this.

    Raises:
        NotFoundError: There is no such device.
    """
    device = devices.get(connection, caller.id)
    now = acting.clock.now()
    package_id = request.package_id if lets_go(connection, device, request.package_id, now) else None
    if package_id is None and is_device_protected(connection, device):
        alerts.raise_alert(
            connection,
            Alert(
                id=acting.new_id(),
                tenant_id=caller.tenant_id,
                device_id=caller.id,
                kind="tamper.leftWhileProtected",
                severity=Severity.HIGH,
                title="A protected device left management without leave",
                details=strict_json.encode({"name": device.display_name, "reason": request.reason}).decode(),
                first_at=now,
                last_at=now,
            ),
        )
    return offboard(connection, acting, caller.id, reason=request.reason, package_id=package_id)
