"""Signing in at an identity provider, in four steps over three pages.

1. A form here says where to, and what for. The state is drawn, bound to this browser, and the browser leaves.
2. The provider leads back with a code. Whatever of state, issuer, code and token does not fit ends it here.
3. What the token says is kept under a new question of this browser, and a page of ours goes on by itself: only what a
   page of ours sends carries the cookie of a session that is to be confirmed.
4. The session begins, goes on with a fresh proof, or the account is bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from litestar import Response, get, post
from litestar.concurrency import sync_to_thread
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler
from markupsafe import escape
from sqlalchemy import Connection as Transaction

from shieldwall.contract import strict_json
from shieldwall.contract.ids import parse_tenant_id
from shieldwall.server.access.authorization import PUBLIC, UnauthenticatedError, require_fresh_proof
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory import challenges, federation, people, sessions
from shieldwall.server.directory.openid import (
    Expected,
    FederationRefusedError,
    Secrets,
    authorization_parameters,
    check_issuer_parameter,
    with_query,
)
from shieldwall.server.outgoing.rules import check_url
from shieldwall.server.portal.handling import Form, PageRequest, Renderer, Services
from shieldwall.server.portal.rendering import redirect
from shieldwall.server.portal.sessions import (
    check_form,
    check_origin,
    find_session,
    principal_of,
    session_cookie,
)
from shieldwall.server.portal.sign_in.browsers import acting_at, address_of_browser, client_of, secret_of
from shieldwall.server.portal.sign_in.confirming import gone_on
from shieldwall.server.portal.sign_in.limits import Limits
from shieldwall.server.portal.sign_in.provider_client import ProviderClient
from shieldwall.server.portal.sign_in.proving import asked
from shieldwall.server.portal.sign_in.returning import safe_return
from shieldwall.server.storage.identity.identity_providers import IdentityProvider
from shieldwall.server.storage.identity.sign_in_attempts import Purpose, SignInAttempt
from shieldwall.server.storage.identity_records import ProofMethod, Session

Asking = NamedDependency[ProviderClient]
CALLBACK: Final = "/sign-in/federated/callback"
_FINISH: Final = "/sign-in/finish"
_FRESH: Final = timedelta(minutes=5)
_LONGEST_PARAMETER: Final = 4_096


class Intent(StrEnum):
    """What somebody goes to a provider for."""

    SIGN_IN = "signIn"
    CONFIRM = "confirm"
    LINK = "link"


@post("/sign-in/federated/{provider_id:str}", opt=PUBLIC, status_code=200)
async def leave(
    *,
    services: Services,
    rendering: Renderer,
    client: Asking,
    limits: Limits,
    request: PageRequest,
    provider_id: FromPath[str],
    form: Form,
) -> Response[str]:
    """Send the browser to a provider, with a state that belongs to it."""
    check_origin(services, request)
    limits.admit_question(address_of_browser(request))
    intent = Intent(form.get("intent", "")) if form.get("intent") in set(Intent) else Intent.SIGN_IN
    person_id = await sync_to_thread(_whoever_confirms, services, request, intent, form)
    provider, there = await sync_to_thread(_provider, services, provider_id)
    now = services.clock.now()
    metadata = await client.metadata(provider, now)
    details = {
        "provider": provider.id,
        "issuer": provider.issuer,
        "intent": intent.value,
        "return": safe_return(form.get("return")),
        "again": form.get("again", ""),
    }
    state, cookie = await sync_to_thread(_ask, there, request, Purpose.FEDERATED, person_id, details)
    secrets = Secrets(state=state, browser=cookie.value or "")
    expected, is_proof = _expected(provider, intent)
    parameters = authorization_parameters(
        expected,
        secrets,
        redirect_uri=f"{services.settings.public_url}{CALLBACK}",
        scope=federation.settings_of(provider).scope,
        is_proof=is_proof,
    )
    if metadata.pushed_authorization_request_endpoint:
        pushed = await client.pushed(provider, metadata.pushed_authorization_request_endpoint, parameters, now)
        parameters = {"client_id": provider.client_id, "request_uri": pushed}
    check_url(metadata.authorization_endpoint, services.outgoing.rules)
    where = with_query(metadata.authorization_endpoint, parameters)
    page = rendering.page(request, "sign_in/leaving.html", where=escape(where), provider=provider.display_name)
    page.cookies.append(cookie)
    return page


@get(CALLBACK, opt=PUBLIC)
async def come_back(services: Services, rendering: Renderer, client: Asking, request: PageRequest) -> Response[str]:
    """Take what the provider says, and go on by a page of our own."""
    given = _single(request)
    secrets = Secrets(state=given.get("state", ""), browser=secret_of(request))
    attempt = await sync_to_thread(_close, services, request, Purpose.FEDERATED, secrets.state)
    there = services.of(services.tenancy.get(attempt.tenant_id))
    provider, _ = await sync_to_thread(_provider, there, attempt.details["provider"])
    if provider.issuer != attempt.details["issuer"]:
        raise FederationRefusedError("The identity provider was configured anew meanwhile.")
    now, intent = services.clock.now(), Intent(attempt.details["intent"])
    metadata = await client.metadata(provider, now)
    check_issuer_parameter(metadata, given.get("iss"))
    if "error" in given or not given.get("code"):
        raise FederationRefusedError(f"The identity provider answered: {given.get('error', 'no code')[:64]}.")
    exchange = {
        "grant_type": "authorization_code",
        "code": given["code"],
        "redirect_uri": f"{services.settings.public_url}{CALLBACK}",
        "code_verifier": secrets.verifier,
    }
    expected, _ = _expected(provider, intent)
    claims = await client.claims(provider, expected, exchange, nonce=secrets.nonce, now=now)
    details = {**attempt.details, "claims": strict_json.encode(claims).decode()}
    proof, cookie = await sync_to_thread(_ask, there, request, Purpose.FEDERATED_PROOF, attempt.person_id, details)
    page = rendering.page(request, "sign_in/continue.html", action=_FINISH, fields={"proof": proof})
    page.cookies.append(cookie)
    return page


@post(_FINISH, opt=PUBLIC, sync_to_thread=True)
def finish(services: Services, rendering: Renderer, request: PageRequest, form: Form) -> Response[str] | Redirect:
    """Do what somebody went to the provider for."""
    check_origin(services, request)
    attempt = _close(services, request, Purpose.FEDERATED_PROOF, form.get("proof", ""))
    there = services.of(services.tenancy.get(attempt.tenant_id))
    provider, _ = _provider(there, attempt.details["provider"])
    claims = strict_json.decode(attempt.details["claims"].encode(), dict[str, Any])
    before = find_session(services, request)
    wanted, intent = attempt.details["return"], Intent(attempt.details["intent"])
    with services.database.write() as connection:
        if intent is Intent.SIGN_IN:
            token = _signed_in(connection, there, request, before=before, provider=provider, claims=claims)
            return redirect(wanted, [session_cookie(token)])
        if before is None or before.person_id != attempt.person_id:
            raise UnauthenticatedError("Somebody else is signed in meanwhile, or nobody.")
        acting = acting_at(services, request, f"person:{before.display_name}")
        if intent is Intent.LINK:
            person = people.get(connection, there.tenant.id, before.person_id)
            federation.link(connection, acting, provider, person, str(claims["sub"]))
            return redirect(wanted)
        if federation.admit(connection, acting, provider, claims).id != before.person_id:
            raise FederationRefusedError("That account at the identity provider is somebody else's.")
        _, token = sessions.prove_again(connection, acting, before, ProofMethod.FEDERATED)
    return gone_on(rendering, request, wanted, attempt.details["again"], token)


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (leave, come_back, finish)


def _signed_in(
    connection: Transaction,
    services: AdminServices,
    request: PageRequest,
    *,
    before: Session | None,
    provider: IdentityProvider,
    claims: Mapping[str, Any],
) -> str:
    acting = acting_at(services, request)
    person = federation.admit(connection, acting, provider, claims)
    _, token = sessions.begin(connection, acting, person, ProofMethod.FEDERATED, client=client_of(request))
    if before is not None:
        sessions.sign_out(connection, acting_at(services, request, f"person:{before.display_name}"), before)
    return token


def _whoever_confirms(
    services: AdminServices, request: PageRequest, intent: Intent, form: Mapping[str, str]
) -> str | None:
    """Return whose session is to be confirmed or whose account is to be bound; nobody's where somebody signs in."""
    if intent is Intent.SIGN_IN:
        return None
    principal = principal_of(services, request)
    check_form(services, request, form)
    if intent is Intent.LINK:
        require_fresh_proof(principal, services.clock.now())
    return principal.id


def _expected(provider: IdentityProvider, intent: Intent) -> tuple[Expected, bool]:
    is_proof = intent is not Intent.SIGN_IN
    return federation.expected_of(provider, max_age=_FRESH if is_proof else None), is_proof


def _provider(services: AdminServices, provider_id: str) -> tuple[IdentityProvider, AdminServices]:
    """Find a provider, of whichever tenant, that people may sign in at, and the services of its tenant."""
    with services.database.read() as connection:
        found = federation.find_enabled(connection, provider_id)
    return found, services.of(services.tenancy.get(parse_tenant_id(found.tenant_id)))


def _ask(
    services: AdminServices, request: PageRequest, purpose: Purpose, person_id: str | None, details: Mapping[str, str]
) -> tuple[str, Any]:
    return asked(services, request, purpose, person_id=person_id, details=details)


def _close(services: AdminServices, request: PageRequest, purpose: Purpose, challenge: str) -> SignInAttempt:
    with services.database.write() as connection:
        acting, browser = acting_at(services, request), secret_of(request)
        return challenges.answered(connection, acting, purpose, browser=browser, challenge=challenge)


def _single(request: PageRequest) -> dict[str, str]:
    """Read the parameters of an answer, each of which stands once. Raises: FederationRefusedError."""
    pairs = list(request.query_params.items())
    given = dict(pairs)
    if len(given) != len(pairs) or any(len(value) > _LONGEST_PARAMETER for value in given.values()):
        raise FederationRefusedError("The identity provider's answer cannot be read.")
    return given
