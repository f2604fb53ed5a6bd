"""The form of tamper protection: the word of the tenant, of each group, and about single devices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from sqlalchemy import Connection

from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import DeviceId, GroupId, TenantId
from shieldwall.contract.strict_json import decode, encode
from shieldwall.policy.protection import ProtectionSettings
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import Sight
from shieldwall.server.manager.protection import InvalidProtectionError
from shieldwall.server.portal.forms import lines, named_devices
from shieldwall.server.storage.groups import groups

ON_OFF: Final = {"on": True, "off": False}
FOLLOWS: Final = "follows"
"""The word of a group that has none of its own."""
MOST_FIELDS: Final = 2_000
_GROUP: Final = "group_"


def changed(
    connection: Connection, services: AdminServices, sight: Sight, present: ProtectionSettings, form: Mapping[str, str]
) -> ProtectionSettings:
    """Return the settings as the form wants them.

    Raises:
        InvalidProtectionError: A word is none, no group is called so, or several are.
        InvalidFormError, NotFoundError: No device is called so, or several are.
    """
    words: dict[GroupId, bool | None] = dict(present.groups)
    for field, word in form.items():
        if field.startswith(_GROUP):
            words[GroupId(field.removeprefix(_GROUP))] = _word(word)
    if name := form.get("new_group", "").strip():
        words[_named(connection, services.tenant.id, name)] = _word(form.get("new_word", ""))
    excluded = {each for each in present.excluded if f"include_{each}" not in form}
    added = named_devices(connection, sight, lines(form, "exclude"), services.clock.now())
    ids: set[DeviceId] = excluded | {device.id for device in added}
    return msgspec.structs.replace(
        present,
        enabled=enabled(form.get("enabled", "")),
        groups={group: word for group, word in words.items() if word is not None},
        excluded=tuple(sorted(ids)),
    )


def enabled(word: str) -> bool:
    """Read the word of the tenant. Raises: InvalidProtectionError."""
    if word not in ON_OFF:
        raise InvalidProtectionError("Tamper protection is on or off.")
    return ON_OFF[word]


def written(wanted: ProtectionSettings) -> str:
    """Write settings into a form that saves them."""
    return encode(wanted).decode()


def read(text: str) -> ProtectionSettings:
    """Read what ``written`` wrote. Raises: InvalidProtectionError."""
    try:
        return decode(text.encode(), ProtectionSettings)
    except InvalidJsonError:
        raise InvalidProtectionError("The form does not say what to save.") from None


def _word(text: str) -> bool | None:
    return None if text == FOLLOWS else enabled(text)


def _named(connection: Connection, tenant_id: TenantId, name: str) -> GroupId:
    found = [each for each in groups.called(connection, tenant_id, name) if each.tenant_id == tenant_id]
    if len(found) != 1:
        count = "No group" if not found else "More than one group"
        raise InvalidProtectionError(f"{count} is called {name[:64]!r}.")
    return found[0].id
