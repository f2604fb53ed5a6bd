"""The enrollment of all devices of a tenant at once: only what it depends on, and the code itself."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final, NamedTuple

from sqlalchemy import Connection, bindparam, select, update

from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.storage.bulk import MOST_AT_ONCE, is_one_of
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.rows import portions, strings_from
from shieldwall.server.storage.schema import devices

_ROWS: Final = (
    select(
        devices.c.id,
        devices.c.display_name,
        devices.c.state,
        devices.c.os_type,
        devices.c.tags,
        devices.c.manager,
        devices.c.unsuitable,
        devices.c.is_domain_controller,
        devices.c.enrollment_code,
    )
    .where(devices.c.tenant_id == bindparam("tenant"), devices.c.state != DeviceState.RETIRED.value)
    .order_by(devices.c.id)
)


class EnrolledRow(NamedTuple):
    """A device as far as its enrollment depends on it."""

    id: DeviceId
    display_name: str
    state: DeviceState
    os_type: str
    tags: tuple[str, ...]
    manager: str | None
    unsuitable: str | None
    is_domain_controller: bool
    code: int


def rows(connection: Connection, tenant_id: TenantId) -> Iterator[EnrolledRow]:
    """Yield every device of a tenant that is not retired, ordered by id."""
    states = {state.value: state for state in DeviceState}
    read: dict[str, tuple[str, ...]] = {}
    for device, name, state, os_type, tags, *rest in connection.execute(_ROWS, {"tenant": tenant_id}):
        if tags not in read:
            read[tags] = strings_from(tags)
        yield EnrolledRow(device, name, states[state], os_type, read[tags], *rest)


def set_code(connection: Connection, device_ids: Collection[DeviceId], code: int) -> None:
    """Give these devices an enrollment code."""
    for portion in portions(sorted(device_ids), MOST_AT_ONCE // 4):  # each is a wide row, and a row of the list
        theirs = is_one_of(connection, devices.c.id, portion)
        connection.execute(update(devices).where(theirs).values(enrollment_code=code))
