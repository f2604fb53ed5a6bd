"""``/deviceManagement/onboardingPackages`` (ours): the files that let devices in."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler

from shieldwall.contract.ids import parse_package_id
from shieldwall.server.authorization import allow
from shieldwall.server.graph.requests import (
    GraphRequest,
    Services,
    acting_for,
    answer,
    body_of,
    empty,
    page_answer,
    query_of,
)
from shieldwall.server.graph.resources import package_resource
from shieldwall.server.inventory import packages
from shieldwall.server.inventory.packages import LONGEST_LIFETIME, PackageDraft, Platform, ServerAddress

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


@get(_PATH, opt=_READ, sync_to_thread=True)
def list_packages(services: Services, request: GraphRequest) -> Response[bytes]:
    """List packages, in pages; their secrets are never shown again."""
    query = query_of(request)
    with services.database.read() as connection:
        found = packages.list_packages(connection, services.tenant.id, query.page)
    return page_answer(services, request, query, [(each.id, package_resource(each)) for each in found])


@post(_PATH, opt=_WRITE, sync_to_thread=True)
def create_package(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Make a package; ``package`` in the answer is the file for the devices, given out this once."""
    asked = body_of(request, body, PackageRequest)
    draft = PackageDraft(
        display_name=asked.display_name,
        lifetime=timedelta(days=asked.valid_days),
        max_uses=asked.max_uses,
        platforms=asked.allowed_platforms,
        tags=asked.tags,
    )
    roots = (services.settings.tls_authority.read_text(),)
    address = ServerAddress(urls=(services.settings.gateway_url,), tls_roots=roots)
    with services.database.write() as connection:
        acting = acting_for(services, request)
        record, envelope = packages.create_package(connection, acting, services.signer, draft, address)
    return answer({**package_resource(record), "package": envelope}, status=201)


@post(_PATH + "/{package_id:str}/revoke", opt=_WRITE, sync_to_thread=True, status_code=204)
def revoke_package(services: Services, request: GraphRequest, package_id: FromPath[str]) -> Response[None]:
    """Let nobody onboard with a package from now on."""
    with services.database.write() as connection:
        packages.revoke_package(connection, acting_for(services, request), parse_package_id(package_id))
    return empty()


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (list_packages, create_package, revoke_package)
