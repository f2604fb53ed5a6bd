"""``/deviceManagement/onboardingPackages`` (ours): the files that let devices in."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Final

import msgspec
from litestar import Response, get, post

from shieldwall.contract.ids import parse_package_id
from shieldwall.server.authorization import allow
from shieldwall.server.graph.requests import GraphRequest, answer, body_of, caller, empty, page_answer, query_of
from shieldwall.server.graph.resources import package_resource
from shieldwall.server.inventory import packages
from shieldwall.server.inventory.packages import PackageDraft, Platform, ServerAddress
from shieldwall.server.services import AdminServices

_ONBOARDING: Final = allow("Shieldwall.Onboarding.ReadWrite.All")
_PATH: Final = "/deviceManagement/onboardingPackages"


class PackageRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What an administrator says of a new package."""

    display_name: str = "Onboarding package"
    valid_days: Annotated[int, msgspec.Meta(ge=1, le=90)] = 30
    max_uses: int = 500
    allowed_platforms: tuple[Platform, ...] = ("linux",)
    tags: tuple[str, ...] = ()


@get(_PATH, opt=_ONBOARDING, sync_to_thread=True)
def list_packages(services: AdminServices, request: GraphRequest) -> Response[bytes]:
    """List packages, in pages; their secrets are never shown again."""
    query = query_of(request)
    with services.database.read() as connection:
        found = packages.list_packages(connection, services.tenant.id, query.page)
    resources = [package_resource(each) for each in found]
    last = found[-1].id if found else None
    return page_answer(request, query, resources, base_url=services.settings.public_url, last=last)


@post(_PATH, opt=_ONBOARDING, sync_to_thread=True)
def create_package(services: AdminServices, request: GraphRequest, body: bytes) -> Response[bytes]:
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
        acting = services.acting(caller(request).actor)
        record, envelope = packages.create_package(connection, acting, services.signer, draft, address)
    return answer({**package_resource(record), "package": envelope}, status=201)


@post(_PATH + "/{package_id:str}/revoke", opt=_ONBOARDING, sync_to_thread=True)
def revoke_package(services: AdminServices, request: GraphRequest, package_id: str) -> Response[None]:
    """Let nobody onboard with a package from now on."""
    with services.database.write() as connection:
        packages.revoke_package(connection, services.acting(caller(request).actor), parse_package_id(package_id))
    return empty()
