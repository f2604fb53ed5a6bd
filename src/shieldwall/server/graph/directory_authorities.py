"""``/deviceManagement/directoryAuthorities`` (ours): who may vouch for existing registrations by their certificates."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from litestar import Response, delete, get, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import allow, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.directory import authorities
from shieldwall.server.graph.describing import creates, lists, removes
from shieldwall.server.graph.directory_shapes import authority_resource
from shieldwall.server.graph.fields.security import AUTHORITY_FIELDS
from shieldwall.server.graph.requests import (
    GraphRequest,
    Services,
    answer,
    body_of,
    empty,
    list_answer,
    query_of,
)
from shieldwall.server.graph.schemas.directory import AUTHORITY

_READ: Final = allow("Device.Read.All", "Device.ReadWrite.All")
_WRITE: Final = allow("Device.ReadWrite.All")
_PATH: Final = "/deviceManagement/directoryAuthorities"


class AuthorityRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """An authority to trust: its certificate in PEM."""

    display_name: str
    certificate: Annotated[str, msgspec.Meta(max_length=16_384)]


@get(_PATH, opt=_READ | needs(ResourceAction.READ_DIRECTORY) | lists(AUTHORITY), sync_to_thread=True)
def list_directory_authorities(services: Services, request: GraphRequest) -> Response[bytes]:
    """List the authorities that vouch for existing registrations (ours)."""
    query = query_of(request)
    with services.database.read() as connection:
        found = authorities.list_authorities(connection, services.tenant.id)
    return list_answer(services, request, query, [authority_resource(each) for each in found], AUTHORITY_FIELDS)


@post(
    _PATH,
    opt=_WRITE | needs(ResourceAction.UPDATE_DIRECTORY) | creates(AUTHORITY, takes=AuthorityRequest, fails=[409]),
    sync_to_thread=True,
)
def trust_directory_authority(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Trust an authority: imported devices may prove who they are with certificates that it issued (ours)."""
    asked = body_of(request, body, AuthorityRequest)
    with services.database.write() as connection:
        made = authorities.trust_authority(
            connection, acting_for(services, request), display_name=asked.display_name, pem=asked.certificate
        )
    return answer(authority_resource(made), status=201)


@delete(
    _PATH + "/{authority_id:str}", opt=_WRITE | needs(ResourceAction.UPDATE_DIRECTORY) | removes(), sync_to_thread=True
)
def distrust_directory_authority(
    services: Services, request: GraphRequest, authority_id: FromPath[str]
) -> Response[None]:
    """Trust an authority no more; devices that came by it stay (ours)."""
    with services.database.write() as connection:
        authorities.distrust_authority(connection, acting_for(services, request), authority_id)
    return empty()


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    list_directory_authorities,
    trust_directory_authority,
    distrust_directory_authority,
)
