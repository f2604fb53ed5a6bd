"""Who is at work in a request: whoever the guard let in, held to what they may, and named in the audit trail."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final
from uuid import NAMESPACE_OID, uuid5

from litestar.connection import ASGIConnection

from shieldwall.contract.ids import UUID_PATTERN
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import caller_of
from shieldwall.server.directory.acting import Acting, Origin
from shieldwall.server.listening.admin_requests import RequestRecord, record_of

_LONGEST_ADDRESS: Final = 45
"""An IPv6 address with an IPv4 address inside it."""


def acting_for(services: AdminServices, request: ASGIConnection[Any, Any, Any, Any]) -> Acting:
    """Say who is at work: whoever the guard let in. Raises: UnauthenticatedError."""
    principal = caller_of(request)
    client = request.scope.get("client")
    origin = Origin(
        actor_id=principal.id,
        ip_address=client[0][:_LONGEST_ADDRESS] if client else None,
        correlation_id=_correlation_id(record_of(request.scope)),
    )
    return replace(services.acting(principal.actor), origin=origin, access=principal.access)


def _correlation_id(record: RequestRecord) -> str:
    """Name a request by a UUID, as the trail does: the client's own where it sent one, else one made of ours."""
    if re.fullmatch(UUID_PATTERN, record.client_request_id.lower()):
        return record.client_request_id.lower()
    return str(uuid5(NAMESPACE_OID, record.request_id))
