"""Reading what a form says: numbers, choices, ticked boxes, lines, devices by id or name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final, TypeVar

from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import UUID_PATTERN, parse_device_id
from shieldwall.server.admin.sight import Sight
from shieldwall.server.directory.devices import get_device
from shieldwall.server.inventory.machine_queries import read_filter
from shieldwall.server.inventory.machines import Wanted, list_machines
from shieldwall.server.storage.device_records import Device

T = TypeVar("T", bound=str)

_MOST_DIGITS: Final = 7
_MOST_ALIKE: Final = 50


MOST_FIELDS: Final = "mostFields"
"""Where a route says how many fields its form may have."""


class SentForm(dict[str, str]):
    """What a form says: of every name its last value, and on request all of them in their order."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Take the names and values as they were sent."""
        self._pairs = tuple(pairs)
        super().__init__(self._pairs)

    def every(self) -> dict[str, tuple[str, ...]]:
        """Return all values of every name."""
        found: dict[str, list[str]] = {}
        for name, value in self._pairs:
            found.setdefault(name, []).append(value)
        return {name: tuple(values) for name, values in found.items()}


def many_fields(most: int) -> dict[str, int]:
    """Declare in the ``opt`` of a route that its form has more fields than most forms."""
    return {MOST_FIELDS: most}


def every_value(form: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return all values of every name of a form."""
    return form.every() if isinstance(form, SentForm) else {name: (value,) for name, value in form.items()}


class InvalidFormError(ShieldwallError):
    """A field of a form holds what it cannot hold; the field is named."""

    code = "invalidForm"
    remedy = "Go back, correct the field named and send the form again."


def whole(form: Mapping[str, str], name: str, label: str) -> int:
    """Read a whole number. Raises: InvalidFormError."""
    text = form.get(name, "").strip()
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise InvalidFormError(f"{label}: a whole number stands here.")
    return int(text)


def choice(form: Mapping[str, str], name: str, label: str, choices: Iterable[T]) -> T:
    """Read which of several was chosen. Raises: InvalidFormError."""
    for each in choices:
        if form.get(name) == each:
            return each
    raise InvalidFormError(f"{label}: one of what is offered stands here.")


def ticked(form: Mapping[str, str], name: str, choices: Iterable[T]) -> tuple[T, ...]:
    """Read which boxes were ticked; each is a field of its own, for a form says every name once."""
    return tuple(each for each in choices if f"{name}_{each}" in form)


def lines(form: Mapping[str, str], name: str) -> tuple[str, ...]:
    """Read a text of several lines, without blank ones and what stands twice."""
    return tuple(dict.fromkeys(line.strip() for line in form.get(name, "").splitlines() if line.strip()))


def description_of(form: Mapping[str, str]) -> str:
    """Read a description as it is kept; browsers end its lines in two characters."""
    return form.get("description", "").replace("\r\n", "\n").strip()


def named_devices(connection: Connection, sight: Sight, names: Iterable[str], now: datetime) -> tuple[Device, ...]:
    """Find devices by their ids, or by their names among those that somebody sees: a name tells nothing of others.

    Whether somebody may do to them what they want is for the caller to ask; an id is no secret that this gives away.

    Raises:
        NotFoundError: There is no device with that id.
        InvalidFormError: None is called so, or several are.
    """
    return tuple(_named(connection, sight, name, now) for name in names)


def _named(connection: Connection, sight: Sight, name: str, now: datetime) -> Device:
    if re.match(UUID_PATTERN, name):
        return get_device(connection, sight.tenant_id, parse_device_id(name))
    among = replace(read_filter({"search": [name]}, now), only=sight.listed_devices())
    found = [
        machine.device
        for machine in list_machines(connection, sight.tenant_id, Wanted(filter=among, size=_MOST_ALIKE))
        if machine.device.display_name.casefold() == name.casefold()
    ]
    if len(found) != 1:
        count = "No device" if not found else "More than one device"
        raise InvalidFormError(f"{count} is called {name[:64]!r}.", remedy="Give the id; the device's page shows it.")
    return found[0]
