"""Leaving management: a device is told to, or somebody is sent there with a package."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

import msgspec
from litestar import Response, delete, get, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.contract.ids import parse_device_id
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, allow, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.gates import require_devices, require_everywhere
from shieldwall.server.graph.describing import asked, creates, does, lists, removes
from shieldwall.server.graph.errors import InvalidQueryError
from shieldwall.server.graph.fields.security import OFFBOARDING_PACKAGE_FIELDS
from shieldwall.server.graph.requests import (
    GraphRequest,
    Services,
    answer,
    body_of,
    empty,
    page_answer,
    query_of,
)
from shieldwall.server.graph.resources import Json, moment
from shieldwall.server.graph.schemas.packages import NEW_OFFBOARDING_PACKAGE, OFFBOARDING_PACKAGE
from shieldwall.server.inventory import offboarding_packages
from shieldwall.server.inventory.offboarding import order_to_leave
from shieldwall.server.inventory.offboarding_packages import OffboardingDraft
from shieldwall.server.inventory.packages import Platform
from shieldwall.server.openapi.shapes import word
from shieldwall.server.storage.onboarding.offboarding_packages import OffboardingPackageRecord
from shieldwall.trust.offboarding import DEFAULT_LIFETIME, LONGEST_LIFETIME, MAX_DEVICES

PACKAGES: Final = "/deviceManagement/offboardingPackages"
_ONE: Final = "/deviceManagement/managedDevices/{device_id:str}"
_WRITE: Final = allow("DeviceManagementManagedDevices.ReadWrite.All")
_RETIRE: Final = allow(
    "DeviceManagementManagedDevices.PrivilegedOperations.All", "DeviceManagementManagedDevices.ReadWrite.All"
)
_READ: Final = allow("DeviceManagementManagedDevices.Read.All", "DeviceManagementManagedDevices.ReadWrite.All")
_FORCE: Final = "force"
_FORCING: Final = asked(_FORCE, "Whether its key is refused from now on.", word("true", "false"))


class OffboardingPackageRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What an administrator says of a new package."""

    display_name: str = "Offboarding package"
    valid_days: Annotated[int, msgspec.Meta(ge=1, le=LONGEST_LIFETIME.days)] = DEFAULT_LIFETIME.days
    platforms: tuple[Platform, ...] = ("linux",)
    device_ids: Annotated[tuple[str, ...], msgspec.Meta(max_length=MAX_DEVICES)] = ()


@delete(
    _ONE,
    opt=_WRITE
    | needs(ResourceAction.DELETE_DEVICES, Reach.OBJECT, sensitive=True)
    | removes(asks=[_FORCING], fails=[409]),
    sync_to_thread=True,
)
def offboard_device(services: Services, request: GraphRequest, device_id: FromPath[str]) -> Response[None]:
    """Tell a device to leave management; with `?force=true` its key is refused from now on, whether it heard or not."""
    force = _forced(request)
    with services.database.write() as connection:
        order_to_leave(connection, acting_for(services, request), parse_device_id(device_id), force=force)
    return empty()


@post(
    _ONE + "/retire",
    opt=_RETIRE | needs(ResourceAction.OFFBOARD_DEVICES, Reach.OBJECT, sensitive=True) | does(fails=[409]),
    sync_to_thread=True,
    status_code=204,
)
def retire_device(services: Services, request: GraphRequest, device_id: FromPath[str]) -> Response[None]:
    """Tell a device to leave management: it restores its state from before and is retired when it has said so."""
    with services.database.write() as connection:
        order_to_leave(connection, acting_for(services, request), parse_device_id(device_id))
    return empty()


@get(PACKAGES, opt=_READ | needs(ResourceAction.OFFBOARD_DEVICES) | lists(OFFBOARDING_PACKAGE), sync_to_thread=True)
def list_offboarding_packages(services: Services, request: GraphRequest) -> Response[bytes]:
    """List offboarding packages, in pages (ours)."""
    query = query_of(request)
    with services.database.read() as connection:
        found = offboarding_packages.list_packages(
            connection, services.tenant.id, query.page_of(OFFBOARDING_PACKAGE_FIELDS)
        )
    rows = [(each.id, _resource(each)) for each in found]
    return page_answer(services, request, query, rows, OFFBOARDING_PACKAGE_FIELDS)


@post(
    PACKAGES,
    opt=_WRITE
    | needs(ResourceAction.OFFBOARD_DEVICES, Reach.NAMED, sensitive=True)
    | creates(NEW_OFFBOARDING_PACKAGE, takes=OffboardingPackageRequest, fails=[404]),
    sync_to_thread=True,
)
def create_offboarding_package(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Make an offboarding package; `package` in the answer is the file that is carried to the devices (ours)."""
    asked = body_of(request, body, OffboardingPackageRequest)
    draft = OffboardingDraft(
        display_name=asked.display_name,
        lifetime=timedelta(days=asked.valid_days),
        platforms=asked.platforms,
        device_ids=tuple(parse_device_id(device) for device in asked.device_ids),
    )
    acting = acting_for(services, request)

    def require(connection: Connection) -> None:
        require_everywhere(request) if not draft.device_ids else require_devices(connection, request, draft.device_ids)

    with services.database.read() as connection:
        require(connection)
        offboarding_packages.look_for(connection, acting, draft.device_ids)
    record, envelope = offboarding_packages.make(acting, services.signer, draft)
    with services.database.write() as connection:
        require(connection)  # still
        offboarding_packages.keep(connection, acting, record)
    return answer({**_resource(record), "package": envelope}, status=201)


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    offboard_device,
    retire_device,
    list_offboarding_packages,
    create_offboarding_package,
)


def _forced(request: GraphRequest) -> bool:
    query_of(request, parameters=frozenset({_FORCE}))
    given: list[str] = request.query_params.getall(_FORCE, [])
    if given not in ([], ["true"], ["false"]):
        raise InvalidQueryError("force is true or false, and stands once.")
    return given == ["true"]


def _resource(package: OffboardingPackageRecord) -> Json:
    return {
        "id": package.id,
        "displayName": package.display_name,
        "platforms": list(package.platforms),
        "expirationDateTime": moment(package.not_after),
        "createdDateTime": moment(package.created_at),
        "createdBy": package.created_by,
    }
