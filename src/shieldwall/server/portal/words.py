"""Values in words, for people: pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from shieldwall.contract.enrollment import status_in_words
from shieldwall.contract.status import SettingState
from shieldwall.policy.enrollment import Enrollment
from shieldwall.policy.resolve import Rule
from shieldwall.server.portal.language import counted, marked
from shieldwall.server.storage.device_records import Device, DeviceState, Registration

_NOW: Final = marked("just now")
_STEPS: Final = (
    (timedelta(seconds=5), timedelta(seconds=1), _NOW, _NOW),
    (timedelta(minutes=1), timedelta(seconds=1), *counted("%(num)s second ago", "%(num)s seconds ago")),
    (timedelta(hours=1), timedelta(minutes=1), *counted("%(num)s minute ago", "%(num)s minutes ago")),
    (timedelta(days=1), timedelta(hours=1), *counted("%(num)s hour ago", "%(num)s hours ago")),
    (timedelta.max, timedelta(days=1), *counted("%(num)s day ago", "%(num)s days ago")),
)

STATES: Final = {
    SettingState.ERROR: marked("Error"),
    SettingState.CONFLICT: marked("Conflict"),
    SettingState.PENDING: marked("Pending"),
    SettingState.SUCCEEDED: marked("Succeeded"),
    SettingState.NOT_APPLICABLE: marked("Not applicable"),
}
"""States as people know them, in the order in which they deserve attention."""

RULES: Final = {
    Rule.ONLY: marked("No other policy sets it."),
    Rule.EQUAL: marked("The policies agree."),
    Rule.UNION: marked("The items of all policies count together."),
    Rule.MOST_SECURE: marked("The strongest value wins. The order of strength is ours."),
    Rule.LAST_MODIFIED: marked("The policy modified last wins."),
    Rule.PRIORITY: marked("The policy with the best priority wins."),
}
CONFLICTS: Final = {
    Rule.DIFFERING: marked("The values differ: the setting stays as it was before management."),
    Rule.LAST_MODIFIED: marked(
        "The values differ, none is known to be stronger and none was modified last: "
        "the setting stays as it was before management."
    ),
    Rule.PRIORITY: marked(
        "The values differ, and no policy has the best priority alone: the setting stays as it was before management."
    ),
    Rule.INAPPLICABLE: marked(
        "Nothing on this device can carry it out: it is for another platform, or its agent is too old."
    ),
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


_REGISTRATIONS: Final = {
    Registration.SYNTHETIC: marked("Synthetic registration"),
    Registration.FULL: marked("Full registration"),
}
_ACTORS: Final = frozenset({"person", "app"})
HEALTH: Final = {"active": marked("Active"), "impaired": marked("Impaired"), "inactive": marked("Inactive")}
"""Whether a device is in touch and well."""


def ago(at: datetime, now: datetime) -> tuple[str, str, int]:
    """Say how long ago a moment was, in its largest whole unit: the text for one, that for many, and the number."""
    passed = max(now - at, timedelta(0))
    for limit, unit, one, many in _STEPS:
        if passed < limit:
            return one, many, passed // unit
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
    """Say how a device got its identity; how it came to trust stands beside it."""
    return _REGISTRATIONS[device.registration]


def who(actor: str) -> str:
    """Name whoever acted, without the word for what they are."""
    kind, _, name = actor.partition(":")
    return name if name and kind in _ACTORS else actor
