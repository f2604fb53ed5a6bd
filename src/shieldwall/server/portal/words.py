"""Values in words, for people: pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from shieldwall.contract.enrollment import status_in_words
from shieldwall.contract.status import SettingState
from shieldwall.policy.enrollment import Enrollment
from shieldwall.policy.resolve import Rule
from shieldwall.server.storage.device_records import Device, DeviceState

_STEPS: Final = (
    (timedelta(minutes=1), timedelta(seconds=1), "second"),
    (timedelta(hours=1), timedelta(minutes=1), "minute"),
    (timedelta(days=1), timedelta(hours=1), "hour"),
    (timedelta.max, timedelta(days=1), "day"),
)

STATES: Final = {
    SettingState.ERROR: "Error",
    SettingState.CONFLICT: "Conflict",
    SettingState.PENDING: "Pending",
    SettingState.SUCCEEDED: "Succeeded",
    SettingState.NOT_APPLICABLE: "Not applicable",
}
"""States as people know them, in the order in which they deserve attention."""

RULES: Final = {
    Rule.ONLY: "No other policy sets it.",
    Rule.EQUAL: "The policies agree.",
    Rule.UNION: "The items of all policies count together.",
    Rule.MOST_SECURE: "The strongest value wins. The order of strength is ours.",
    Rule.LAST_MODIFIED: "The policy modified last wins.",
    Rule.PRIORITY: "The policy with the best priority wins.",
}
CONFLICTS: Final = {
    Rule.DIFFERING: "The values differ: the setting stays as it was before management.",
    Rule.LAST_MODIFIED: "The values differ, none is known to be stronger and none was modified last: "
    "the setting stays as it was before management.",
    Rule.PRIORITY: "The values differ, and no policy has the best priority alone: "
    "the setting stays as it was before management.",
    Rule.INAPPLICABLE: "Nothing on this device can carry it out: it is for another platform, or its agent is too old.",
}
_PRODUCT_STATES: Final = {
    "programMissing": "program not installed",
    "engineNotAnswering": "does not answer",
    "unreadableHealth": "answers in a way we cannot read",
    "unknownVersion": "version unknown",
    "notRunning": "not running",
}
_DEVICE_STATES: Final = {
    DeviceState.DISABLED: "Nobody: disabled by an administrator",
    DeviceState.RETIRED: "Nobody: offboarded",
}


HEALTH: Final = {"active": "Active", "impaired": "Impaired", "inactive": "Inactive"}
"""Whether a device is in touch and well."""


def ago(at: datetime, now: datetime) -> str:
    """Say how long ago a moment was, in its largest whole unit."""
    passed = max(now - at, timedelta(0))
    for limit, unit, name in _STEPS:
        if passed < limit:
            count = passed // unit
            return "just now" if count < 5 and name == "second" else f"{count} {name}{'' if count == 1 else 's'} ago"
    raise AssertionError("the last step has no limit")


def yes_no(value: bool | None) -> str:
    """Say yes, no, or nothing where it is not known."""
    return "" if value is None else "yes" if value else "no"


def plain(value: Any) -> str:
    """Write a JSON value on one line."""
    match value:
        case None:
            return ""
        case bool():
            return yes_no(value)
        case list() | tuple():
            return "; ".join(plain(item) for item in value)
        case dict():
            return ", ".join(f"{name} {plain(item)}" for name, item in value.items())
        case _:
            return str(value)


def product_state(version: str) -> str:
    """Say what a device reports about a product: its version, or why there is none."""
    return _PRODUCT_STATES.get(version, version)


def managed_by(device: Device) -> str:
    """Say who manages a device."""
    if device.state in _DEVICE_STATES:
        return _DEVICE_STATES[device.state]
    return "MDE" if device.is_managed else device.managed_elsewhere or "Nobody"


def enrollment(device: Device, enrolled: Enrollment, *, checked_in: bool) -> str:
    """Say how a device is enrolled, with the published code, and why where it is not managed."""
    if device.state in {DeviceState.DISABLED, DeviceState.RETIRED}:
        return "Not enrolled any more"
    code = f"{enrolled.code}: {status_in_words(enrolled.code)}"
    if enrolled.is_managed:
        return code if checked_in else f"{code}; the device has not checked in yet"
    return f"{code}. {enrolled.cause}"


def registration(device: Device) -> str:
    """Say how a device got its identity."""
    trust = f", {device.trust_type}" if device.trust_type else ""
    return f"{str(device.registration).capitalize()} registration{trust}"
