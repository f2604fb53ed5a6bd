"""What an administrator can do to a device: in which states, what it means in plain words, and how it is done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, TypeAlias

from sqlalchemy import Connection

from shieldwall.contract.ids import parse_device_id
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.directory import devices
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.deletion import delete_device
from shieldwall.server.directory.devices import InvalidDeviceError
from shieldwall.server.directory.names import visible
from shieldwall.server.inventory import pending, twins
from shieldwall.server.inventory.offboarding import order_to_leave
from shieldwall.server.inventory.pending import CertificateIssuer, NothingToReplaceError
from shieldwall.server.manager import clone_watch, protection
from shieldwall.server.manager.protection import InvalidProtectionError
from shieldwall.server.portal.language import marked
from shieldwall.server.storage.device_records import Device, DeviceState

FormFields: TypeAlias = Mapping[str, str]
Perform: TypeAlias = Callable[[Connection, Acting, CertificateIssuer, Device, FormFields], object]

_HERE: Final = frozenset(DeviceState) - {DeviceState.RETIRED}
_STAYING: Final = _HERE - {DeviceState.LEAVING}
_AT_WORK: Final = frozenset({DeviceState.ACTIVE, DeviceState.QUARANTINED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Something that can be done to a device; ``name`` is the last part of its address."""

    name: str
    label: str
    effect: str
    states: frozenset[DeviceState]
    perform: Perform
    action: ResourceAction
    """What a person's roles must grant."""
    is_sensitive: bool = False
    """Whether it wants a fresh proof of who does it."""
    is_grave: bool = False
    """Whether the device's name has to be typed: what it does cannot be taken back."""
    compares: bool = False
    """Whether other devices that may be the same machine are shown beside it."""


def _approve(
    connection: Connection, acting: Acting, signer: CertificateIssuer, device: Device, form: FormFields
) -> None:
    former = form.get("former")
    if former is not None and former != device.replaces:
        raise NothingToReplaceError("The device does not follow the one that was shown, so nothing was done.")
    pending.approve(connection, acting, signer, device.id, replaces=former is not None)


def _troubleshoot(
    connection: Connection, acting: Acting, _signer: CertificateIssuer, device: Device, form: FormFields
) -> None:
    hours = form.get("hours", "")
    if not hours.isascii() or not hours.isdigit() or len(hours) > 2:
        raise InvalidProtectionError("Troubleshooting lasts from 1 to 24 hours.")
    if int(hours):
        protection.start_troubleshooting(connection, acting, device.id, window=timedelta(hours=int(hours)))
    else:
        protection.stop_troubleshooting(connection, acting, device.id)


def _tag(connection: Connection, acting: Acting, _signer: CertificateIssuer, device: Device, form: FormFields) -> None:
    # What was shown is told apart from what is there now: a tag that somebody gave meanwhile stays.
    shown, wanted = (_lines(form.get(name, "")) for name in ("shown", "tags"))
    devices.change_tags(connection, acting, device.id, add=wanted - shown, remove=shown - wanted)


ACTIONS: Final[tuple[Action, ...]] = (
    Action(
        name="approve",
        action=ResourceAction.ADMIT_DEVICES,
        label=marked("Approve"),
        effect=marked(
            "The device is let in: its key gets a certificate, and with its next request it gets its policies."
        ),
        states=frozenset({DeviceState.PENDING}),
        perform=_approve,
        compares=True,
    ),
    Action(
        name="reject",
        action=ResourceAction.ADMIT_DEVICES,
        label=marked("Reject"),
        effect=marked(
            "The device is turned away and told so. Its key never works here again; the machine can only come back "
            "with a new key."
        ),
        states=frozenset({DeviceState.PENDING}),
        perform=lambda connection, acting, _signer, device, _form: pending.reject(connection, acting, device.id),
        compares=True,
    ),
    Action(
        name="release",
        action=ResourceAction.ADMIT_DEVICES,
        label=marked("Release from quarantine"),
        effect=marked(
            "The device counts its requests anew and gets every policy again. Do this once the other machine has an "
            "identity of its own, or is gone; else the device comes back here."
        ),
        states=frozenset({DeviceState.QUARANTINED}),
        perform=lambda connection, acting, _signer, device, _form: clone_watch.release(connection, acting, device.id),
        compares=True,
    ),
    Action(
        name="enable",
        action=ResourceAction.UPDATE_DIRECTORY,
        label=marked("Enable"),
        effect=marked(
            "The device may speak to the server again and gets its policies with its next check-in. One that was in "
            "quarantine goes back there."
        ),
        states=frozenset({DeviceState.DISABLED}),
        perform=lambda connection, acting, _signer, device, _form: devices.set_enabled(
            connection, acting, device.id, enabled=True
        ),
    ),
    Action(
        name="disable",
        action=ResourceAction.UPDATE_DIRECTORY,
        label=marked("Disable"),
        effect=marked(
            "The server refuses whatever the device sends. The device keeps what it enforces, and gets nothing new "
            "until somebody enables it."
        ),
        states=_AT_WORK,
        perform=lambda connection, acting, _signer, device, _form: devices.set_enabled(
            connection, acting, device.id, enabled=False
        ),
    ),
    Action(
        name="tags",
        action=ResourceAction.UPDATE_DEVICES,
        label=marked("Change tags"),
        effect=marked(
            "Groups and the enforcement scope may ask for tags: the device joins and leaves groups at once, and "
            "with them policies."
        ),
        states=_HERE,
        perform=_tag,
    ),
    Action(
        name="troubleshooting",
        action=ResourceAction.UPDATE_PROTECTION,
        is_sensitive=True,
        label=marked("Troubleshooting"),
        effect=marked(
            "While it lasts, somebody may work at the device: nothing is enforced or put back there. When the time "
            "is over, everything goes back by itself."
        ),
        states=_AT_WORK,
        perform=_troubleshoot,
    ),
    Action(
        name="exclude",
        action=ResourceAction.UPDATE_PROTECTION,
        is_sensitive=True,
        label=marked("Exclude from protection"),
        effect=marked(
            "Tamper protection leaves this device out, whatever the tenant and its groups say. Whoever administers "
            "the machine can then take it out of management without an order or a package."
        ),
        states=_STAYING,
        perform=lambda connection, acting, _signer, device, _form: protection.exclude(
            connection, acting, device.id, excluded=True
        ),
    ),
    Action(
        name="include",
        action=ResourceAction.UPDATE_PROTECTION,
        label=marked("Protect like the others"),
        effect=marked(
            "Tamper protection no longer leaves this device out: what the tenant and its groups say counts again."
        ),
        states=_STAYING,
        perform=lambda connection, acting, _signer, device, _form: protection.exclude(
            connection, acting, device.id, excluded=False
        ),
    ),
    Action(
        name="merge",
        action=ResourceAction.DELETE_DEVICES,
        label=marked("Merge a duplicate into it"),
        effect=marked(
            "This device takes the place of the other: tags, assigned groups and what administrators noted go over, "
            "and the other one is retired. Its key never works again."
        ),
        states=_AT_WORK,
        perform=lambda connection, acting, _signer, device, form: twins.merge(
            connection, acting, parse_device_id(form.get("former", "")), device.id
        ),
        compares=True,
    ),
    Action(
        name="offboard",
        action=ResourceAction.OFFBOARD_DEVICES,
        is_sensitive=True,
        label=marked("Offboard"),
        effect=marked(
            "The device restores its settings from before management with its next check-in, and is then retired. "
            "Its key never works again; the machine comes back by onboarding anew."
        ),
        states=_HERE,
        perform=lambda connection, acting, _signer, device, form: order_to_leave(
            connection, acting, device.id, force=form.get("force") == "on"
        ),
        is_grave=True,
    ),
    Action(
        name="delete",
        action=ResourceAction.UPDATE_DIRECTORY,
        is_sensitive=True,
        label=marked("Delete"),
        effect=marked(
            "The device is gone from every view, and its key never works again. It is not told: what it enforces it "
            "goes on enforcing until somebody offboards it there. Only the audit trail still knows of it."
        ),
        states=frozenset(DeviceState),
        perform=lambda connection, acting, _signer, device, _form: delete_device(connection, acting, device.id),
        is_grave=True,
    ),
)
"""In the order in which a device's page offers them."""


def possible(device: Device, *, is_excluded: bool) -> list[Action]:
    """Return what can be done to a device as it is now."""
    pointless = "exclude" if is_excluded else "include"
    return [action for action in ACTIONS if device.state in action.states and action.name != pointless]


def require_name(device: Device, typed: str) -> None:
    """See whether the name typed is the device's, as it is or as the page shows it. Raises: InvalidDeviceError."""
    if typed.strip() not in {device.display_name.strip(), visible(device.display_name).strip()}:
        raise InvalidDeviceError(
            "The name typed does not fit the device, so nothing was done. Type it as the page shows it.", member="name"
        )


def _lines(text: str) -> frozenset[str]:
    return frozenset(line.strip() for line in text.splitlines() if line.strip())
