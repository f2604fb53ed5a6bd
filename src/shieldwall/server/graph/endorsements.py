"""``/deviceManagement/endorsements`` (ours): whose TPMs this tenant trusts, maker by maker or one by one."""

from __future__ import annotations

from typing import Final

import msgspec
from litestar import Response, delete, get, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler

from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import allow, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.graph.describing import creates, lists, removes
from shieldwall.server.graph.errors import InvalidRequestError
from shieldwall.server.graph.fields.security import ENDORSEMENT_FIELDS
from shieldwall.server.graph.requests import (
    GraphRequest,
    Services,
    answer,
    body_of,
    empty,
    list_answer,
    query_of,
)
from shieldwall.server.graph.resources import Json
from shieldwall.server.graph.schemas.packages import ENDORSEMENT
from shieldwall.server.inventory import endorsements
from shieldwall.server.storage.tenants.trusted_authorities import TrustedAuthority
from shieldwall.trust import moments
from shieldwall.trust.endorsement import read_endorsement_authority

_READ: Final = allow(
    "DeviceManagementManagedDevices.Read.All",
    "DeviceManagementManagedDevices.ReadWrite.All",
    "DeviceManagementServiceConfig.Read.All",
    "DeviceManagementServiceConfig.ReadWrite.All",
)
_WRITE: Final = allow("DeviceManagementServiceConfig.ReadWrite.All")
_PATH: Final = "/deviceManagement/endorsements"


class EndorsementRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Whom to trust: an authority by its certificate in PEM, or one TPM by the hash of its endorsement key."""

    display_name: str
    certificate: str | None = None
    endorsement_key_hash: str | None = None


@get(_PATH, opt=_READ | needs(ResourceAction.READ_ONBOARDING) | lists(ENDORSEMENT), sync_to_thread=True)
def list_endorsements(services: Services, request: GraphRequest) -> Response[bytes]:
    """List the makers and the single TPMs that are trusted (ours)."""
    query = query_of(request)
    with services.database.read() as connection:
        found = endorsements.list_endorsements(connection, services.tenant.id)
    return list_answer(services, request, query, [_resource(each) for each in found], ENDORSEMENT_FIELDS)


@post(
    _PATH,
    opt=_WRITE | needs(ResourceAction.UPDATE_ONBOARDING) | creates(ENDORSEMENT, takes=EndorsementRequest, fails=[409]),
    sync_to_thread=True,
)
def add_endorsement(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Trust a maker's authority (`certificate`) or one TPM (`endorsementKeyHash`) (ours)."""
    asked = body_of(request, body, EndorsementRequest)
    with services.database.write() as connection:
        acting = acting_for(services, request)
        match asked.certificate, asked.endorsement_key_hash:
            case str(certificate), None:
                made = endorsements.trust_maker(
                    connection, acting, display_name=asked.display_name, certificate=certificate
                )
            case None, str(ek_hash):
                made = endorsements.trust_tpm(connection, acting, display_name=asked.display_name, ek_hash=ek_hash)
            case _:
                raise InvalidRequestError("Give either certificate or endorsementKeyHash.")
    return answer(_resource(made), status=201)


@delete(
    _PATH + "/{endorsement_id:str}",
    opt=_WRITE | needs(ResourceAction.UPDATE_ONBOARDING) | removes(),
    sync_to_thread=True,
)
def remove_endorsement(services: Services, request: GraphRequest, endorsement_id: FromPath[str]) -> Response[None]:
    """Trust a maker or a TPM no more (ours)."""
    with services.database.write() as connection:
        endorsements.distrust(connection, acting_for(services, request), endorsement_id)
    return empty()


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (list_endorsements, add_endorsement, remove_endorsement)


def _resource(endorsement: TrustedAuthority) -> Json:
    resource: Json = {
        "id": endorsement.id,
        "displayName": endorsement.display_name,
        "kind": "endorsementKey",
        "endorsementKeyHash": endorsement.value,
        "certificate": None,
        "subject": None,
        "expirationDateTime": None,
        "createdDateTime": moments.write(endorsement.created_at),
    }
    if not endorsements.is_hash(endorsement):
        certificate = read_endorsement_authority(endorsement.value)
        resource |= {
            "kind": "authority",
            "endorsementKeyHash": None,
            "certificate": endorsement.value,
            "subject": certificate.subject.rfc4514_string(),
            "expirationDateTime": moments.write(certificate.not_valid_after_utc),
        }
    return resource
