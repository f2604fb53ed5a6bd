"""Devices that may be one machine: proposed, shown side by side, and merged by an administrator alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.devices import hold_device
from shieldwall.server.inventory.pending import replace_device
from shieldwall.server.storage.device_records import SPEAKING, Device, DeviceState
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.engine.walking import AT_ONCE, write_where_found
from shieldwall.server.storage.inventory import inventory_twins
from shieldwall.server.storage.inventory.inventory_twins import Suspect


class CannotMergeError(ShieldwallError):
    """These two devices cannot become one."""

    code = "cannotMerge"
    remedy = "Merge a device into another one that is active; approve or enable that one first."


def proposals(
    connection: Connection, tenant_id: TenantId, devices: Collection[Device]
) -> Mapping[DeviceId, Mapping[DeviceId, tuple[str, ...]]]:
    """Return, for each of these devices that has any, the others that may be the same machine, and what they share.

    Hardware is named by hashes that a copied disk carries too, and anybody may give a machine any name: this proposes
    and never decides.
    """
    alive = [device for device in devices if device.state is not DeviceState.RETIRED]
    found: dict[DeviceId, dict[DeviceId, set[str]]] = defaultdict(lambda: defaultdict(set))
    for device_id, other_id, shared in inventory_twins.shared_hardware(connection, tenant_id, alive):
        found[device_id][other_id].add(shared)
    for device in alive:
        if device.replaces is not None:
            found[device.id][device.replaces].add("replaces")
    return {
        device_id: {other: tuple(sorted(shared)) for other, shared in sorted(others.items())}
        for device_id, others in found.items()
    }


def clear_suspects(database: Database, tenant_id: TenantId) -> int:
    """Compare those that may share hardware with the others, so that few stay to be looked at; return how many do not.

    Raises:
        StorageUnavailableError: The database cannot take it; what was cleared before stays.
    """

    def look(connection: Connection, after: str) -> tuple[Sequence[Suspect], str | None]:
        suspected = inventory_twins.suspects(connection, tenant_id, int(after or 0), AT_ONCE)
        found = inventory_twins.alone(connection, tenant_id, suspected)
        return found, str(suspected[-1].number) if len(suspected) == AT_ONCE else None

    return write_where_found(database, look, inventory_twins.clear)


def merge(connection: Connection, acting: Acting, device_id: DeviceId, into: DeviceId) -> Device:
    """Let one device take the place of another: tags, assigned groups and notes go over, and the other one retires.

    Raises:
        NotFoundError: One of them is not there.
        CannotMergeError: It is the same device, or the one that shall stay cannot speak.
    """
    former, device = (hold_device(connection, acting, each) for each in (device_id, into))
    if former.id == device.id:
        raise CannotMergeError("A device cannot be merged into itself.")
    if device.state not in SPEAKING or device.state is DeviceState.LEAVING:
        raise CannotMergeError(f"The device {device.display_name!r} is {device.state.value}.")
    acting.record(
        connection,
        "device.merged",
        "device",
        former.id,
        name=former.display_name,
        into=device.id,
        of=device.display_name,
    )
    return replace_device(connection, acting, device.id, former.id)
