"""Actions on ``managedDevices`` that wait to be let in (ours): approve, reject, and duplicates side by side."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId, parse_device_id
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, allow, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.gates import require_devices
from shieldwall.server.admin.sight import sight_of
from shieldwall.server.directory.devices import get_device
from shieldwall.server.graph.describing import does, lists
from shieldwall.server.graph.managed_device_shapes import managed_device_resource
from shieldwall.server.graph.requests import (
    GraphRequest,
    Services,
    answer,
    body_of,
    empty,
    list_answer,
    query_of,
)
from shieldwall.server.graph.resources import Json, moment
from shieldwall.server.graph.schemas.devices import MANAGED_DEVICE
from shieldwall.server.inventory import pending
from shieldwall.server.inventory.certifying import with_certificates
from shieldwall.server.inventory.pending import CertificateIssuer
from shieldwall.server.manager.summaries import summaries
from shieldwall.server.openapi.description import Body
from shieldwall.server.storage.device_records import Device

_READ: Final = allow("DeviceManagementManagedDevices.Read.All", "DeviceManagementManagedDevices.ReadWrite.All")
_WRITE: Final = allow("DeviceManagementManagedDevices.ReadWrite.All")
_ONE: Final = "/deviceManagement/managedDevices/{device_id:str}"
_HASHES: Final = {
    "machineId": "machine_id_hash",
    "smbiosUuid": "smbios_uuid_hash",
    "tpmEndorsementKey": "tpm_ek_hash",
}


class ApproveRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether the device takes the place of the one that it seems to be the successor of."""

    replace: bool = False


@post(
    _ONE + "/approve",
    opt=_WRITE
    | needs(ResourceAction.ADMIT_DEVICES, Reach.OBJECT)
    | does(MANAGED_DEVICE, takes=Body(schema=ApproveRequest, required=False), fails=[409]),
    sync_to_thread=True,
    status_code=200,
)
def approve_device(
    services: Services, request: GraphRequest, device_id: FromPath[str], body: RawBody
) -> Response[bytes]:
    """Let a device in that waits; with `replace`, in the place of the machine's former self (ours)."""
    asked = body_of(request, body, ApproveRequest) if body else ApproveRequest()
    acting, wanted = acting_for(services, request), parse_device_id(device_id)

    def approved(connection: Connection, issuer: CertificateIssuer) -> Json:
        former = get_device(connection, services.tenant.id, wanted).replaces if asked.replace else None
        if former is not None:  # which retires, so that the caller has to be allowed it there as well
            require_devices(connection, request, [former])
        device = pending.approve(connection, acting, issuer, wanted, replaces=asked.replace)
        return managed_device_resource(device, summaries(connection, [device])[device.id])

    return answer(with_certificates(services.database.write, services.signer, approved))


@post(
    _ONE + "/reject",
    opt=_WRITE | needs(ResourceAction.ADMIT_DEVICES, Reach.OBJECT) | does(fails=[409]),
    sync_to_thread=True,
    status_code=204,
)
def reject_device(services: Services, request: GraphRequest, device_id: FromPath[str]) -> Response[None]:
    """Turn a device away that waits to be let in (ours)."""
    with services.database.write() as connection:
        pending.reject(connection, acting_for(services, request), parse_device_id(device_id))
    return empty()


@get(
    _ONE + "/duplicates",
    opt=_READ | needs(ResourceAction.READ_DEVICES, Reach.LISTED) | lists(MANAGED_DEVICE),
    sync_to_thread=True,
)
def list_duplicates(services: Services, request: GraphRequest, device_id: FromPath[str]) -> Response[bytes]:
    """Show a device and the others that named the same hardware, side by side; nothing is merged by itself (ours)."""
    query = query_of(request)
    with services.database.read() as connection:
        found = pending.duplicates(connection, services.tenant.id, parse_device_id(device_id))
        seen = sight_of(request).devices_among(connection, [each.id for each in found])
        found = tuple(each for each in found if each.id in seen)
        followed = sight_of(request).devices_among(connection, [each.replaces for each in found if each.replaces])
        standing = summaries(connection, found)
    resources = [
        managed_device_resource(each, standing[each.id]) | {"comparison": _comparison(found[0], each, followed)}
        for each in found
    ]
    return list_answer(services, request, query, resources)


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (approve_device, reject_device, list_duplicates)


def _comparison(device: Device, other: Device, seen: Collection[DeviceId]) -> Json:
    """Say which hardware ids two devices share, how each of them came, and whom of those seen one seems to follow."""
    shared = [
        name
        for name, field in _HASHES.items()
        if getattr(device, field) is not None and getattr(device, field) == getattr(other, field)
    ]
    return {
        "sameHardware": shared,
        "state": other.state.value,
        "stateReason": other.state_reason,
        "registration": other.registration.value,
        "trustType": other.trust_type,
        "attestationLevel": other.attestation_level.value,
        "packageId": other.package_id,
        "registeredDateTime": moment(other.registered_at),
        "keyThumbprint": other.key_thumbprint,
        "replaces": other.replaces if other.replaces in seen else None,
    }
