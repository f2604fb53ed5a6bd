"""What can be done to many devices at once, and how it is done to each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.directory import devices
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.devices import WrongDeviceStateError
from shieldwall.server.inventory.offboarding import order_to_leave
from shieldwall.server.manager import sync
from shieldwall.server.portal.forms import InvalidFormError, lines
from shieldwall.server.portal.language import marked
from shieldwall.server.storage.device_records import Device, DeviceState

Form = Mapping[str, str]
Act = Callable[[Connection, DeviceId], object]


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkAction:
    """Something done to many devices; ``name`` is the last part of its address."""

    name: str
    label: str
    effect: str
    action: ResourceAction
    make: Callable[[Acting, Form], Act]
    """Reads the form once, and returns what is done to each device. Raises: InvalidFormError."""
    is_sensitive: bool = False
    is_grave: bool = False
    """Whether the number of devices has to be typed."""


def _sync(acting: Acting, _form: Form) -> Act:
    def ask(connection: Connection, device_id: DeviceId) -> None:
        device = devices.get_device(connection, acting.tenant_id, device_id)
        _require(device, DeviceState.ACTIVE)
        sync.ask(connection, acting, [device])

    return ask


def _tags(acting: Acting, form: Form) -> Act:
    add, remove = lines(form, "add"), lines(form, "remove")
    if not add and not remove:
        raise InvalidFormError("Neither a tag to give nor one to take away was entered.")
    if both := set(add) & set(remove):
        raise InvalidFormError(f"The tag {min(both)!r} cannot be given and taken away at once.")

    def change(connection: Connection, device_id: DeviceId) -> None:
        device = devices.get_device(connection, acting.tenant_id, device_id)
        if device.state is DeviceState.RETIRED:
            raise WrongDeviceStateError(f"The device {device.display_name!r} has left.")
        devices.change_tags(connection, acting, device_id, add=add, remove=remove)

    return change


def _offboard(acting: Acting, _form: Form) -> Act:
    def leave(connection: Connection, device_id: DeviceId) -> None:
        order_to_leave(connection, acting, device_id)

    return leave


def _require(device: Device, state: DeviceState) -> None:
    if device.state is not state:
        raise WrongDeviceStateError(f"The device {device.display_name!r} is {device.state}.")


BULK_ACTIONS: Final = (
    BulkAction(
        name="sync",
        label=marked("Policy sync"),
        effect=marked(
            "Each device is asked to check in now. Those that hold a connection open come within seconds, the others "
            "with their next check-in."
        ),
        action=ResourceAction.SYNC_DEVICES,
        make=_sync,
    ),
    BulkAction(
        name="tags",
        label=marked("Change tags"),
        effect=marked(
            "Groups and the enforcement scope may ask for tags: devices join and leave groups at once, and with them "
            "policies."
        ),
        action=ResourceAction.UPDATE_DEVICES,
        make=_tags,
    ),
    BulkAction(
        name="offboard",
        label=marked("Offboard"),
        effect=marked(
            "Each device restores its settings from before management with its next check-in, and is then retired. Its "
            "key never works again; the machine comes back by onboarding anew."
        ),
        action=ResourceAction.OFFBOARD_DEVICES,
        make=_offboard,
        is_sensitive=True,
        is_grave=True,
    ),
)
"""In the order in which the list offers them."""
