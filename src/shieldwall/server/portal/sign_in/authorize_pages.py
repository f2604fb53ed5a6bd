"""The page where a person agrees to use an application, and the answer that the application gets.

Reading the request is ``directory.authorization_requests``. The form carries the request in its address, so it is read
and checked again when the person has decided. What stays here, in order: who is signed in, and lately enough; what the
application gets; the code, sent back in the address or posted by the browser.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.types import ControllerRouterHandler
from markupsafe import Markup, escape

from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.strict_json import decode_any
from shieldwall.server.access.authorization import PUBLIC, UnauthenticatedError
from shieldwall.server.admin.callers import issuer_of
from shieldwall.server.admin.claims_challenges import asks_for_fresh_proof
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory import authorization_codes
from shieldwall.server.directory.access_tokens import SignIn
from shieldwall.server.directory.apps import find_app
from shieldwall.server.directory.authorization_requests import (
    PROVED_AFTER,
    AuthorizationRefusedError,
    AuthorizationRequest,
    InvalidAuthorizationRequestError,
    ReturnAddress,
    read_request,
    return_address,
    signing_in_again,
    single_parameters,
)
from shieldwall.server.directory.first_party import CLI_CLIENT_ID, delegated_of, ensure_cli, known_client_id
from shieldwall.server.directory.resource_names import InvalidScopeError
from shieldwall.server.openapi.permission_words import in_words
from shieldwall.server.portal.handling import Form, PageRequest, Renderer, Services
from shieldwall.server.portal.rendering import HEADERS, Rendering, redirect
from shieldwall.server.portal.sessions import check_form, find_session, principal_of
from shieldwall.server.portal.sign_in.browsers import acting_at
from shieldwall.server.portal.sign_in.returning import with_return
from shieldwall.server.storage.identity import people
from shieldwall.server.storage.identity_records import App

_PATH: Final = "/{tenant:str}/oauth2/v2.0/authorize"
_MOST_PARAMETERS: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A request, in the tenant that its path names."""

    services: AdminServices
    request: PageRequest
    parameters: Mapping[str, str]
    address: ReturnAddress
    issuer: str

    @property
    def path(self) -> str:
        """The path of this page, with the request in it."""
        return f"{self.request.scope['path']}?{urlencode(self.parameters)}"


@get(_PATH, opt=PUBLIC, sync_to_thread=True)
def authorize(
    services: Services, rendering: Renderer, request: PageRequest, tenant: FromPath[str]
) -> Response[str] | Redirect:
    """Ask the person who is signed in whether the application may act for them; send those to sign in who are not."""
    asked = _asked(services, request, tenant)
    try:
        return _page_or_answer(rendering, asked)
    except AuthorizationRefusedError as error:
        return _refusal(rendering, asked, error)


@post(_PATH, opt=PUBLIC, sync_to_thread=True)
def decide(
    services: Services, rendering: Renderer, request: PageRequest, tenant: FromPath[str], form: Form
) -> Response[str] | Redirect:
    """Do what the person decided: send the application a code, or say that it gets none."""
    check_form(services, request, form)
    asked = _asked(services, request, tenant)
    try:
        return _decided(rendering, asked, form)
    except AuthorizationRefusedError as error:
        return _refusal(rendering, asked, error)


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (authorize, decide)


def _page_or_answer(rendering: Rendering, asked: _Asked) -> Response[str] | Redirect:
    """Show the page, or answer without one. Raises: AuthorizationRefusedError."""
    wanted = _wanted(asked)
    signed_in = _signed_in(asked)
    if signed_in is None or not wanted.is_fresh(signed_in.proved_at):
        if wanted.silent:
            raise AuthorizationRefusedError("login_required", "Nobody is signed in, or not lately enough.")
        return _to_sign_in(rendering, asked, again=signed_in is not None)
    scopes = _granted(asked.address.app, wanted)
    if not wanted.silent:
        return _page(rendering, asked, wanted, signed_in, scopes)
    if asked.address.is_loopback:  # any program may listen there (RFC 8252 section 8.6)
        raise AuthorizationRefusedError("interaction_required", "The person has to agree on a page.")
    return _answer(rendering, asked, _code(asked, wanted, signed_in, scopes))


def _decided(rendering: Rendering, asked: _Asked, form: Mapping[str, str]) -> Response[str] | Redirect:
    """Answer as the person decided. Raises: AuthorizationRefusedError."""
    wanted = _wanted(asked)
    signed_in = _signed_in(asked)
    if signed_in is None or not wanted.is_fresh(signed_in.proved_at):
        return _to_sign_in(rendering, asked, again=signed_in is not None)
    if form.get("decision") != "yes":
        raise AuthorizationRefusedError("access_denied", "The person said no.")
    return _answer(rendering, asked, _code(asked, wanted, signed_in, _granted(asked.address.app, wanted)))


def _page(
    rendering: Rendering, asked: _Asked, wanted: AuthorizationRequest, signed_in: SignIn, scopes: tuple[str, ...]
) -> Response[str]:
    page = rendering.page(
        asked.request,
        "sign_in/authorize.html",
        app=asked.address.app,
        person=signed_in.person,
        action=asked.path,
        scopes=[*in_words(scopes).values()],
        stays="offline_access" in wanted.wanted.openid,
        goes_to=urlsplit(asked.address.redirect_uri).hostname,
        is_loopback=asked.address.is_loopback,
        hint="" if wanted.login_hint.lower() == signed_in.person.user_name else wanted.login_hint[:256],
        other=with_return("/sign-in", _path_again(asked)),
    )
    return _towards(page, asked.address.redirect_uri)


def _asked(services: AdminServices, request: PageRequest, tenant: str) -> _Asked:
    """Find out who asks and where the answer goes. Raises: InvalidAuthorizationRequestError."""
    named = services.tenancy.named(tenant)
    if named is None:
        raise InvalidAuthorizationRequestError("There is no such organisation here.")
    inside = services.of(named)
    try:
        pairs = parse_qsl(
            request.scope["query_string"].decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_PARAMETERS
        )
    except ValueError:
        raise InvalidAuthorizationRequestError("The request to sign in cannot be read.") from None
    parameters = single_parameters(pairs)
    client_id = parameters.get("client_id", "").lower()
    app = _app(inside, client_id)
    address = return_address(app, parameters)
    return _Asked(
        services=inside, request=request, parameters=parameters, address=address, issuer=issuer_of(inside).issuer
    )


def _app(services: AdminServices, client_id: str) -> App | None:
    known = known_client_id(services.tenant.id, client_id)
    with services.database.read() as connection:
        found = find_app(connection, services.tenant.id, known)
    if found is None and client_id == CLI_CLIENT_ID:
        with services.database.write() as connection:
            return ensure_cli(connection, services.acting("portal"))
    return found


def _wanted(asked: _Asked) -> AuthorizationRequest:
    """Read the request. Raises: AuthorizationRefusedError."""
    return read_request(
        asked.address,
        asked.parameters,
        issuer_of(asked.services).resources,
        fresh_proof=_asks_for_fresh_proof(asked.parameters.get("claims", "")),
        now=asked.services.clock.now(),
    )


def _asks_for_fresh_proof(claims: str) -> bool:
    try:
        return bool(claims) and asks_for_fresh_proof(decode_any(claims.encode("utf-8", "replace")))
    except InvalidJsonError:
        return False


def _signed_in(asked: _Asked) -> SignIn | None:
    """Return who is signed in to this tenant, and note it for the page."""
    session = find_session(asked.services, asked.request)
    if session is None or session.tenant_id != asked.services.tenant.id:
        return None
    try:
        principal = principal_of(asked.services, asked.request)
    except UnauthenticatedError:
        return None
    asked.request.scope["user"] = principal
    with asked.services.database.read() as connection:
        person = people.find(connection, principal.id)
    if person is None:
        return None
    return SignIn(person=person, proved_at=session.proved_at, method=session.method)


def _to_sign_in(rendering: Rendering, asked: _Asked, *, again: bool) -> Response[str] | Redirect:
    # The cookie of a session is not sent along when another site leads here; a step on our own site shows it.
    if not again and asked.request.headers.get("sec-fetch-site") == "cross-site":
        return rendering.page(asked.request, "sign_in/authorize_step.html", path=asked.path)
    return redirect(with_return("/sign-in", _path_again(asked)))


def _path_again(asked: _Asked) -> str:
    """Return where to go on once the person has signed in; a request to sign in anew is met by that."""
    parameters = dict(asked.parameters)
    if "login" in parameters.get("prompt", "").split() and PROVED_AFTER not in parameters:
        parameters = signing_in_again(parameters, asked.services.clock.now())
    return f"{asked.request.scope['path']}?{urlencode(parameters)}"


def _granted(app: App, wanted: AuthorizationRequest) -> tuple[str, ...]:
    try:
        return wanted.wanted.granted(delegated_of(app))
    except InvalidScopeError as error:
        raise AuthorizationRefusedError("invalid_scope", error.cause) from None


def _code(asked: _Asked, wanted: AuthorizationRequest, signed_in: SignIn, scopes: tuple[str, ...]) -> dict[str, str]:
    acting = acting_at(asked.services, asked.request, f"person:{signed_in.person.display_name}")
    with asked.services.database.write() as connection:
        code = authorization_codes.issue(
            connection,
            acting,
            asked.address.app,
            signed_in,
            wanted.wanted,
            scopes=scopes,
            redirect_uri=asked.address.redirect_uri,
            code_challenge=wanted.code_challenge,
            nonce=wanted.nonce,
        )
    return asked.address.answered(asked.issuer, code=code)


def _refusal(rendering: Rendering, asked: _Asked, error: AuthorizationRefusedError) -> Response[str] | Redirect:
    told = asked.address.answered(asked.issuer, error=error.error, error_description=error.cause)
    return _answer(rendering, asked, told)


def _answer(rendering: Rendering, asked: _Asked, parameters: dict[str, str]) -> Response[str] | Redirect:
    address = asked.address
    if address.mode == "form_post":
        page = rendering.page(
            asked.request,
            "sign_in/authorize_answer.html",
            action=address.redirect_uri,
            # To the letter: what steers a display is made visible where people read it, but nobody reads these.
            fields={name: Markup(escape(value)) for name, value in parameters.items()},  # noqa: S704 - escaped here
            app=address.app,
        )
        return _towards(page, address.redirect_uri)
    return redirect(address.with_answer(parameters))


def _towards(page: Response[str], redirect_uri: str) -> Response[str]:
    """Let the forms of a page lead to an application, and nowhere else but here."""
    parts = urlsplit(redirect_uri)
    # An IPv6 address cannot be a source of a Content-Security-Policy; on loopback the scheme has to do.
    source = f"{parts.scheme}:" if ":" in (parts.hostname or "") else f"{parts.scheme}://{parts.netloc}"
    policy = HEADERS["Content-Security-Policy"].replace("form-action 'self'", f"form-action 'self' {source}")
    page.headers["Content-Security-Policy"] = policy
    return page
