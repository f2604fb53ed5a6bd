"""What an application asks for when it sends a person to sign in (RFC 6749 section 4.1.1, OpenID Connect Core 3.1.2.1).

Pure. First whom an answer may be sent to at all: the application and the address it registered. Only then may anything
else that is wrong be told to it; what is wrong before is shown to the person alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.access.authorization import PROOF_LIFETIME
from shieldwall.server.directory.apps import is_loopback, may_redirect_to
from shieldwall.server.directory.authorization_codes import CHALLENGE
from shieldwall.server.directory.resource_names import InvalidScopeError, ResourceNames, WantedScopes, wanted_scopes
from shieldwall.server.storage.identity_records import App

PROVED_AFTER: Final = "shieldwall_proved_after"
"""Our own parameter: stands in the place of ``prompt=login`` once the person was sent to sign in again."""
_MODES: Final = frozenset({"query", "form_post"})
_PROMPTS: Final = frozenset({"none", "login", "select_account", "consent", "create"})
_LONGEST: Final = 4096
_MOST_DIGITS: Final = 10


class InvalidAuthorizationRequestError(ShieldwallError):
    """A request to sign in that cannot be answered to whoever sent it: it is not known where that would be."""

    code = "invalidAuthorizationRequest"
    remedy = "Tell whoever runs the application; nothing was sent to it."


class AuthorizationRefusedError(ShieldwallError):
    """A request to sign in that is refused; ``error`` is the code that the application is told."""

    code = "authorizationRefused"
    remedy = "Start again from the application."

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(cause)
        self.error = error


@dataclass(frozen=True, slots=True)
class ReturnAddress:
    """Where an answer goes, and how: in the address itself, or posted by a form."""

    app: App
    redirect_uri: str
    mode: str
    state: str | None

    def answered(self, issuer: str, **parameters: str) -> dict[str, str]:
        """Return the parameters of an answer; ``iss`` tells the application whose answer it is (RFC 9207)."""
        state = {} if self.state is None else {"state": self.state}
        return parameters | state | {"iss": issuer}

    def with_answer(self, parameters: Mapping[str, str]) -> str:
        """Return the address with an answer in it."""
        mark = "&" if "?" in self.redirect_uri else "?"
        return f"{self.redirect_uri}{mark}{urlencode(parameters)}"

    @property
    def is_loopback(self) -> bool:
        """Whether the answer goes to a program on the person's machine, and to whichever listens there."""
        return is_loopback(self.redirect_uri)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """A request that can be granted."""

    address: ReturnAddress
    wanted: WantedScopes
    code_challenge: str
    nonce: str
    prompts: frozenset[str]
    login_hint: str
    proved_after: datetime | None
    """The earliest moment at which the person may have shown who they are; ``None`` where any will do."""
    must_sign_in: bool
    """Whether the person has to sign in now, whoever is signed in (``prompt=login``)."""

    @property
    def silent(self) -> bool:
        """Whether nothing may be shown."""
        return "none" in self.prompts

    def is_fresh(self, proved_at: datetime) -> bool:
        """Tell whether what the person showed is new enough."""
        return not self.must_sign_in and (self.proved_after is None or proved_at >= self.proved_after)


def single_parameters(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return the parameters of a request, each of which may stand once. Raises: InvalidAuthorizationRequestError."""
    parameters = dict(pairs)
    if len(parameters) != len(pairs) or any(len(value) > _LONGEST for value in parameters.values()):
        raise InvalidAuthorizationRequestError("The request to sign in has a part twice, or one that is too long.")
    if any("\0" in value for value in parameters.values()):  # one engine does not even store it
        raise InvalidAuthorizationRequestError("The request to sign in holds a character that stands in no text.")
    return parameters


def return_address(app: App | None, parameters: Mapping[str, str]) -> ReturnAddress:
    """Find out where an answer may go.

    Raises:
        InvalidAuthorizationRequestError: The application is not known, or the address is not one of its own.
    """
    if app is None or not app.enabled:
        raise InvalidAuthorizationRequestError("There is no such application here.")
    redirect_uri = parameters.get("redirect_uri", "")
    if not may_redirect_to(app, redirect_uri):
        raise InvalidAuthorizationRequestError(
            f"{app.display_name} did not register the address that it wants the answer sent to."
        )
    mode = parameters.get("response_mode", "query")
    return ReturnAddress(app, redirect_uri, mode if mode in _MODES else "query", parameters.get("state"))


def read_request(
    address: ReturnAddress,
    parameters: Mapping[str, str],
    resources: ResourceNames,
    *,
    fresh_proof: bool,
    now: datetime,
) -> AuthorizationRequest:
    """Read the rest of a request; ``fresh_proof`` tells that its ``claims`` ask for a step-up.

    Raises:
        AuthorizationRefusedError: It cannot be granted, to anybody.
    """
    if parameters.get("response_type") != "code":
        raise AuthorizationRefusedError("unsupported_response_type", "Only the response type code is offered.")
    if parameters.get("response_mode", "query") not in _MODES:
        raise AuthorizationRefusedError("invalid_request", "The response modes are query and form_post.")
    if "request" in parameters or "request_uri" in parameters:
        raise AuthorizationRefusedError("request_not_supported", "Requests inside requests are not read.")
    challenge = parameters.get("code_challenge", "")
    if parameters.get("code_challenge_method") != "S256" or not CHALLENGE.match(challenge):
        raise AuthorizationRefusedError("invalid_request", "PKCE with the method S256 is required.")
    prompts = frozenset(parameters.get("prompt", "").split())
    if prompts - _PROMPTS or ("none" in prompts and len(prompts) > 1):
        raise AuthorizationRefusedError("invalid_request", "The prompt is not one that there is.")
    try:
        wanted = wanted_scopes(parameters.get("scope", ""), resources)
    except InvalidScopeError as error:
        raise AuthorizationRefusedError("invalid_scope", error.cause) from None
    if not wanted.names and not wanted.openid:
        raise AuthorizationRefusedError("invalid_scope", "The scope is missing.")
    signed_in_again = _moment(parameters.get(PROVED_AFTER, ""))
    return AuthorizationRequest(
        address=address,
        wanted=wanted,
        code_challenge=challenge,
        nonce=parameters.get("nonce", ""),
        prompts=prompts,
        login_hint=parameters.get("login_hint", ""),
        proved_after=_proved_after(parameters, signed_in_again, now, fresh_proof=fresh_proof),
        must_sign_in="login" in prompts and signed_in_again is None,
    )


def signing_in_again(parameters: Mapping[str, str], now: datetime) -> dict[str, str]:
    """Return the parameters with which a request goes on once the person has signed in."""
    kept = {name: value for name, value in parameters.items() if name != PROVED_AFTER}
    return kept | {PROVED_AFTER: str(int(now.timestamp()))}


def _proved_after(
    parameters: Mapping[str, str], signed_in_again: datetime | None, now: datetime, *, fresh_proof: bool
) -> datetime | None:
    bounds = [] if signed_in_again is None else [signed_in_again]
    if "max_age" in parameters:
        bounds.append(now - timedelta(seconds=_seconds(parameters["max_age"])))
    if fresh_proof:
        bounds.append(now - PROOF_LIFETIME)
    return min(max(bounds), now) if bounds else None


def _seconds(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > _MOST_DIGITS - 1:
        raise AuthorizationRefusedError("invalid_request", "max_age is a number of seconds.")
    return int(text)


def _moment(text: str) -> datetime | None:
    if not text.isascii() or not text.isdigit() or len(text) > _MOST_DIGITS:
        return None
    return datetime.fromtimestamp(int(text), UTC)
