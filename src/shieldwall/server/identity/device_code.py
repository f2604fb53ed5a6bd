"""The beginning of a sign-in by a code that a person types elsewhere (RFC 8628 section 3.1)."""

from __future__ import annotations

from typing import Final

from litestar import Response, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler

from shieldwall.server.access.authorization import PUBLIC
from shieldwall.server.directory import device_codes
from shieldwall.server.directory.apps import find_app
from shieldwall.server.directory.first_party import delegated_of, ensure_cli, known_client_id
from shieldwall.server.directory.resource_names import wanted_scopes
from shieldwall.server.identity.describing import DEVICE_CODE, DEVICE_CODE_REQUEST, says
from shieldwall.server.identity.errors import IdentityRequest, TokenRequestError, invalid_client
from shieldwall.server.identity.requests import Services, answer, form_of, issuer_for

PAGE: Final = "/device"
"""Where people type the code."""


@post(
    "/{tenant:str}/oauth2/v2.0/devicecode",
    opt={**PUBLIC, **says(DEVICE_CODE, takes=DEVICE_CODE_REQUEST, fails=(401,))},
    sync_to_thread=True,
)
def device_code(services: Services, request: IdentityRequest, tenant: FromPath[str], body: RawBody) -> Response[bytes]:
    """Make a code for a program without a browser; only where the server's settings switch that on."""
    issuer = issuer_for(services, tenant)
    form = form_of(request, body)
    if not services.settings.identity.device_code:
        cause = "The sign-in by a code that is typed elsewhere is switched off on this server."
        raise TokenRequestError("unauthorized_client", cause, number=7000218)
    wanted = wanted_scopes(form.get("scope", ""), issuer.resources)
    client_id = known_client_id(services.tenant.id, form.get("client_id", "").lower())
    with services.database.write() as connection:
        acting = services.acting("identity platform")
        ensure_cli(connection, acting)
        app = find_app(connection, services.tenant.id, client_id)
        if app is None or not app.enabled or not app.is_public:
            raise invalid_client()
        started = device_codes.start(connection, acting, app, wanted, scopes=wanted.granted(delegated_of(app)))
    where = f"{services.settings.public_url}{PAGE}"
    return answer(
        {
            "user_code": started.user_code,
            "device_code": started.device_code,
            "verification_uri": where,
            "verification_url": where,
            "expires_in": int(device_codes.LIFETIME.total_seconds()),
            "interval": int(device_codes.INTERVAL.total_seconds()),
            "message": f"To sign in, open {where} in a browser and type the code {started.user_code}.",
        },
        stored=False,
    )


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (device_code,)
