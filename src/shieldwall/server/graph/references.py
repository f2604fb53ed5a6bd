"""How requests name who shall belong to a group: by reference (OData JSON format 4.01, section 8.5)."""

from __future__ import annotations

import re
from typing import Any, Final

from sqlalchemy import Connection

from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import DeviceId, parse_device_id
from shieldwall.contract.strict_json import convert
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory import devices
from shieldwall.server.graph.directory_shapes import ALTERNATE_KEY
from shieldwall.server.graph.errors import InvalidRequestError
from shieldwall.server.graph.requests import is_annotation
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.identity import people
from shieldwall.server.storage.identity_records import Person

MOST_BOUND: Final = 20
"""Published: as many members one request adds."""
BOUND: Final = "members@odata.bind"
_BIND: Final = "@odata.bind"
_REFERENCE: Final = re.compile(r"/(?:directoryObjects|devices|users)(?:/|\('?)([0-9a-fA-F-]{36})(?:'?\))?\Z")


def named_by(reference: Any) -> str:
    """Read the id of which a reference is the address. Raises: InvalidRequestError."""
    match = _REFERENCE.search(reference) if isinstance(reference, str) else None
    if match is None:
        raise InvalidRequestError("A reference ends in /directoryObjects/ID, /devices/ID or /users/ID.")
    return match[1].lower()


def without_bound(members: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Part the members of a body from the ids that it binds as members of the group, each once.

    Raises:
        InvalidJsonError: Something else is bound, or what is bound is not a list of references.
        InvalidRequestError: There are too many, or one cannot be followed.
    """
    for name in members:
        if name.endswith(_BIND) and name != BOUND:
            raise InvalidJsonError(f"{name[:64]}: only members are bound to a group here.")
    references = convert(members.get(BOUND, []), list[str])
    if len(references) > MOST_BOUND:
        raise InvalidRequestError(f"{BOUND} names at most {MOST_BOUND} members at once.")
    plain = {name: value for name, value in members.items() if not is_annotation(name)}
    return plain, tuple(dict.fromkeys(map(named_by, references)))


def person_named(services: AdminServices, connection: Connection, text: str) -> Person | None:
    """Find a person of the tenant by id, or ``None``."""
    found = people.find(connection, text.lower())
    return found if found is not None and found.tenant_id == services.tenant.id else None


def member_named(services: AdminServices, connection: Connection, text: str) -> DeviceId:
    """Find a device by its object id, as Graph names members, or by its device id. Raises: NotFoundError."""
    wanted = parse_device_id(text.removeprefix(ALTERNATE_KEY))
    device = None
    if not text.startswith(ALTERNATE_KEY):
        device = devices.find_by_object_id(connection, services.tenant.id, wanted)
    if device is None:
        try:
            device = devices.get_device(connection, services.tenant.id, wanted)
        except NotFoundError:
            raise NotFoundError(f"There is no device {wanted}.") from None
    return device.id
