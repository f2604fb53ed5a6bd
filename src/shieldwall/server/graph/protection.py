"""``/deviceManagement/tamperProtection`` and time for troubleshooting (ours): who is protected, and until when not."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any, Final

import msgspec
from litestar import Response, get, post, put
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.contract.ids import parse_device_id, parse_group_id
from shieldwall.policy.protection import (
    DEFAULT_WINDOW,
    LONGEST_WINDOW,
    MAX_EXCLUDED,
    MAX_GROUPS,
    SHORTEST_WINDOW,
    ProtectionSettings,
)
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, allow, needs, require_fresh_proof
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.sight import caller_of
from shieldwall.server.graph.describing import changes, does, shows
from shieldwall.server.graph.policy_access import READ, WRITE
from shieldwall.server.graph.requests import GraphRequest, Services, answer, body_of, query_of
from shieldwall.server.graph.resources import Json, moment
from shieldwall.server.graph.schemas.devices import PROTECTION
from shieldwall.server.graph.schemas.protection import PROTECTION_EFFECT, TAMPER_PROTECTION
from shieldwall.server.manager import protection
from shieldwall.server.manager.protection import InvalidProtectionError, ProtectionEffect
from shieldwall.server.storage.device_records import Device
from shieldwall.server.storage.groups import groups

PATH: Final = "/deviceManagement/tamperProtection"
_DEVICE: Final = "/deviceManagement/managedDevices/{device_id:str}"
_OPERATE: Final = allow(
    "DeviceManagementManagedDevices.PrivilegedOperations.All", "DeviceManagementManagedDevices.ReadWrite.All"
)
_MINUTE: Final = timedelta(minutes=1)


class GroupWord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What a group's members are; its name is shown and not taken."""

    group_id: str
    enabled: bool
    display_name: str = ""


class ProtectionRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Who shall be protected; what is left out is off, or has no word of its own."""

    enabled: bool = False
    groups: Annotated[tuple[GroupWord, ...], msgspec.Meta(max_length=MAX_GROUPS)] = ()
    excluded_devices: Annotated[tuple[str, ...], msgspec.Meta(max_length=MAX_EXCLUDED)] = ()

    def settings(self) -> ProtectionSettings:
        """Read the ids. Raises: InvalidIdError, InvalidProtectionError."""
        words = {parse_group_id(word.group_id): word.enabled for word in self.groups}
        if len(words) != len(self.groups):
            raise InvalidProtectionError("A group stands there twice.")
        excluded = tuple(sorted({parse_device_id(device) for device in self.excluded_devices}))
        return ProtectionSettings(enabled=self.enabled, groups=words, excluded=excluded)


class TroubleshootingRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """For how long."""

    duration_minutes: Annotated[int, msgspec.Meta(ge=SHORTEST_WINDOW // _MINUTE, le=LONGEST_WINDOW // _MINUTE)] = (
        DEFAULT_WINDOW // _MINUTE
    )


class ExclusionRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether a device is excepted."""

    excluded: bool


@get(PATH, opt=READ | needs(ResourceAction.READ_PROTECTION) | shows(TAMPER_PROTECTION), sync_to_thread=True)
def get_tamper_protection(services: Services, request: GraphRequest) -> Response[bytes]:
    """Return who is protected against tampering, and how many devices that are (ours)."""
    query = query_of(request)
    with services.database.read() as connection:
        found = protection.get_settings(connection, services.tenant.id)
        resource = _resource(connection, found, protection.preview(connection, services.tenant.id, found))
    return answer(query.shape(resource))


@post(
    PATH + "/preview",
    opt=WRITE | needs(ResourceAction.UPDATE_PROTECTION) | does(PROTECTION_EFFECT, takes=ProtectionRequest),
    sync_to_thread=True,
    status_code=200,
)
def preview_tamper_protection(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Say how many devices a change would protect, and how many would lose protection; nothing changes (ours)."""
    wanted = body_of(request, body, ProtectionRequest).settings()
    with services.database.read() as connection:
        effect = protection.preview(connection, services.tenant.id, wanted)
    return answer(_effect(effect))


@put(
    PATH,
    opt=WRITE | needs(ResourceAction.UPDATE_PROTECTION) | changes(TAMPER_PROTECTION, takes=ProtectionRequest),
    sync_to_thread=True,
)
def put_tamper_protection(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Replace who is protected; every device follows with its next signed manifest (ours)."""
    wanted = body_of(request, body, ProtectionRequest).settings()
    with services.database.write() as connection:
        if protection.get_settings(connection, services.tenant.id).enabled and not wanted.enabled:
            require_fresh_proof(caller_of(request), services.clock.now())
        effect = protection.replace_settings(connection, acting_for(services, request), wanted)
        resource = _resource(connection, protection.get_settings(connection, services.tenant.id), effect)
    return answer(resource)


@post(
    _DEVICE + "/excludeFromTamperProtection",
    opt=WRITE
    | needs(ResourceAction.UPDATE_PROTECTION, Reach.OBJECT, sensitive=True)
    | does(PROTECTION_EFFECT, takes=ExclusionRequest),
    sync_to_thread=True,
    status_code=200,
)
def exclude_device(
    services: Services, request: GraphRequest, device_id: FromPath[str], body: RawBody
) -> Response[bytes]:
    """Except a device from tamper protection, or no more (ours)."""
    asked, wanted = body_of(request, body, ExclusionRequest), parse_device_id(device_id)
    with services.database.write() as connection:
        effect = protection.exclude(connection, acting_for(services, request), wanted, excluded=asked.excluded)
    return answer(_effect(effect))


@post(
    _DEVICE + "/startTroubleshooting",
    opt=_OPERATE
    | needs(ResourceAction.UPDATE_PROTECTION, Reach.OBJECT, sensitive=True)
    | does(PROTECTION, takes=TroubleshootingRequest, fails=[409]),
    sync_to_thread=True,
    status_code=200,
)
def start_troubleshooting(
    services: Services, request: GraphRequest, device_id: FromPath[str], body: RawBody
) -> Response[bytes]:
    """Let whoever is at a device change things for a while; then all goes back by itself (ours)."""
    asked, wanted = body_of(request, body, TroubleshootingRequest), parse_device_id(device_id)
    window = timedelta(minutes=asked.duration_minutes)
    with services.database.write() as connection:
        device = protection.start_troubleshooting(connection, acting_for(services, request), wanted, window=window)
        resource = device_protection(connection, device, services.clock.now())
    return answer(resource)


@post(
    _DEVICE + "/stopTroubleshooting",
    opt=_OPERATE | needs(ResourceAction.UPDATE_PROTECTION, Reach.OBJECT) | does(PROTECTION, fails=[409]),
    sync_to_thread=True,
    status_code=200,
)
def stop_troubleshooting(services: Services, request: GraphRequest, device_id: FromPath[str]) -> Response[bytes]:
    """End the time for troubleshooting now (ours)."""
    wanted = parse_device_id(device_id)
    with services.database.write() as connection:
        device = protection.stop_troubleshooting(connection, acting_for(services, request), wanted)
        resource = device_protection(connection, device, services.clock.now())
    return answer(resource)


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    get_tamper_protection,
    preview_tamper_protection,
    put_tamper_protection,
    exclude_device,
    start_troubleshooting,
    stop_troubleshooting,
)


def device_protection(connection: Connection, device: Device, now: datetime) -> Json:
    """Shape how one device is protected; time for troubleshooting that is over is over here as well."""
    until = device.troubleshooting_until
    return {
        "tamperProtected": protection.is_device_protected(connection, device),
        "troubleshootingEndDateTime": None if until is None or until <= now else moment(until),
    }


def _resource(connection: Connection, settings: ProtectionSettings, effect: ProtectionEffect) -> Json:
    return {
        "enabled": settings.enabled,
        "groups": [
            {
                "groupId": group,
                "displayName": groups.get(connection, group).display_name,
                "enabled": word,
            }
            for group, word in sorted(settings.groups.items())
        ],
        "excludedDevices": list(settings.excluded),
        "effect": _effect(effect),
    }


def _effect(effect: ProtectionEffect) -> dict[str, Any]:
    return {
        "gained": effect.gained,
        "lost": effect.lost,
        "protected": effect.protected,
        "devices": effect.devices,
        "changeClass": effect.change_class.value,
    }
