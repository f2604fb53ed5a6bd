"""``/deviceManagement/onboardingPackages`` (ours): the files that let devices in."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler

from shieldwall.contract.ids import parse_package_id
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import allow, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.package_handout import hand_out_package
from shieldwall.server.admin.sight import sight_of
from shieldwall.server.graph.describing import creates, does, lists, shows
from shieldwall.server.graph.fields.managed_devices import MANAGED_DEVICE_FIELDS
from shieldwall.server.graph.fields.security import PACKAGE_FIELDS
from shieldwall.server.graph.machine_shapes import device_resources
from shieldwall.server.graph.requests import (
    GraphRequest,
    Services,
    answer,
    body_of,
    empty,
    page_answer,
    query_of,
)
from shieldwall.server.graph.resources import package_resource
from shieldwall.server.graph.schemas.devices import MANAGED_DEVICE
from shieldwall.server.graph.schemas.packages import NEW_PACKAGE, PACKAGE
from shieldwall.server.inventory import packages
from shieldwall.server.inventory.packages import (
    LONGEST_LIFETIME,
    Approval,
    Attestation,
    JoinType,
    PackageDraft,
    Platform,
)
from shieldwall.trust.onboarding_scripts import ScriptKind

_WRITE: Final = allow(
    "Shieldwall.Onboarding.ReadWrite.All",
    "DeviceManagementManagedDevices.ReadWrite.All",
    "DeviceManagementServiceConfig.ReadWrite.All",
)
"""Who may retire every device may let devices in."""
_READ: Final = allow(
    "Shieldwall.Onboarding.ReadWrite.All",
    "DeviceManagementManagedDevices.Read.All",
    "DeviceManagementManagedDevices.ReadWrite.All",
    "DeviceManagementServiceConfig.Read.All",
    "DeviceManagementServiceConfig.ReadWrite.All",
)
_PATH: Final = "/deviceManagement/onboardingPackages"


class PackageRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What an administrator says of a new package."""

    display_name: str = "Onboarding package"
    valid_days: Annotated[int, msgspec.Meta(ge=1, le=LONGEST_LIFETIME.days)] = 30
    max_uses: int = 500
    allowed_platforms: tuple[Platform, ...] = ("linux",)
    tags: tuple[str, ...] = ()
    approval: Approval = "auto"
    attestation: Attestation = "optional"
    join_type: JoinType = "synthetic"
    scripts: tuple[ScriptKind, ...] = ()
    """Files that onboard machines with the package, to be made along with it: only now is its secret known."""


@get(_PATH, opt=_READ | needs(ResourceAction.READ_ONBOARDING) | lists(PACKAGE), sync_to_thread=True)
def list_packages(services: Services, request: GraphRequest) -> Response[bytes]:
    """List packages, in pages; their secrets are never shown again."""
    query = query_of(request)
    with services.database.read() as connection:
        found = packages.list_packages(connection, services.tenant.id, query.page_of(PACKAGE_FIELDS))
    rows = [(each.id, package_resource(each)) for each in found]
    return page_answer(services, request, query, rows, PACKAGE_FIELDS)


@post(
    _PATH,
    opt=_WRITE | needs(ResourceAction.UPDATE_ONBOARDING) | creates(NEW_PACKAGE, takes=PackageRequest),
    sync_to_thread=True,
)
def create_package(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Make a package; ``package`` in the answer is the file for the devices, given out this once."""
    asked = body_of(request, body, PackageRequest)
    draft = PackageDraft(
        display_name=asked.display_name,
        lifetime=timedelta(days=asked.valid_days),
        max_uses=asked.max_uses,
        platforms=asked.allowed_platforms,
        tags=asked.tags,
        approval=asked.approval,
        attestation=asked.attestation,
        join_type=asked.join_type,
    )
    made = hand_out_package(services, acting_for(services, request), draft, asked.scripts)
    resource = {**package_resource(made.record), "package": made.envelope}
    return answer(resource | ({"scripts": made.scripts} if made.scripts else {}), status=201)


@get(
    _PATH + "/{package_id:str}", opt=_READ | needs(ResourceAction.READ_ONBOARDING) | shows(PACKAGE), sync_to_thread=True
)
def get_package(services: Services, request: GraphRequest, package_id: FromPath[str]) -> Response[bytes]:
    """Return one package, without its secret (ours)."""
    query = query_of(request)
    with services.database.read() as connection:
        record = packages.get_package(connection, services.tenant.id, parse_package_id(package_id))
    return answer(query.shape(package_resource(record), PACKAGE_FIELDS))


@get(
    _PATH + "/{package_id:str}/devices",
    opt=_READ | needs(ResourceAction.READ_ONBOARDING) | lists(MANAGED_DEVICE),
    sync_to_thread=True,
)
def list_package_devices(services: Services, request: GraphRequest, package_id: FromPath[str]) -> Response[bytes]:
    """List the devices that came with a package, retired ones included (ours)."""
    query, wanted = query_of(request), parse_package_id(package_id)
    with services.database.read() as connection:
        found = packages.devices_of_package(
            connection, services.tenant.id, wanted, query.page_of(MANAGED_DEVICE_FIELDS)
        )
        resources = device_resources(connection, found, services.clock.now(), sight_of(request))
    rows = [(each.id, shaped) for each, shaped in zip(found, resources, strict=True)]
    return page_answer(services, request, query, rows, MANAGED_DEVICE_FIELDS)


@post(
    _PATH + "/{package_id:str}/revoke",
    opt=_WRITE | needs(ResourceAction.UPDATE_ONBOARDING) | does(),
    sync_to_thread=True,
    status_code=204,
)
def revoke_package(services: Services, request: GraphRequest, package_id: FromPath[str]) -> Response[None]:
    """Let nobody onboard with a package from now on."""
    with services.database.write() as connection:
        packages.revoke_package(connection, acting_for(services, request), parse_package_id(package_id))
    return empty()


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    list_packages,
    create_package,
    get_package,
    list_package_devices,
    revoke_package,
)
