"""Access tokens for the command line: an application's for its secret, a person's for their refresh token."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from shieldwall.cli.browser_sign_in import SCOPES, sign_in
from shieldwall.cli.http_calls import RefusedError, ServerUnreachableError, answer_of
from shieldwall.cli.logins import AppLogin, Login, PersonLogin, changing_login, load_login, store_login, stored_login
from shieldwall.contract.errors import ShieldwallError

if TYPE_CHECKING:
    import httpx

CLIENT_ID: Final = "5d1e1da1-0000-4000-8000-000000000001"
"""How the identity platform knows this command line, in every tenant."""
_SPARE_SECONDS: Final = 120
"""A token that ends sooner than this is replaced before it is used."""


class SignInAgainError(ShieldwallError):
    """The login of a person is worth nothing any more."""

    code = "signInAgain"
    remedy = "Sign in again: shieldwall login --server URL."


class TokenSource(Protocol):
    """Whatever gives access tokens. ``renewed`` gives one that is not the one before."""

    def access_token(self) -> str:
        """Return a token that is good for now."""
        ...

    def renewed(self) -> str:
        """Return a new token: the one before is good no more."""
        ...


def token_source(login: Login, http: httpx.Client, now: Callable[[], float]) -> TokenSource:
    """Return what gives tokens for a login; ``now`` is in seconds since 1970."""
    return AppTokens(login, http) if isinstance(login, AppLogin) else PersonTokens(login, http, now)


class AppTokens:
    """Tokens of an application, asked for on first use and kept as long as this program runs."""

    def __init__(self, login: AppLogin, http: httpx.Client) -> None:
        self._login = login
        self._http = http
        self._token: str | None = None

    def access_token(self) -> str:
        """Return a token. Raises: ServerUnreachableError, RefusedError."""
        return self._token or self.renewed()

    def renewed(self) -> str:
        """Ask for a new token. Raises: as ``access_token``."""
        login = self._login
        answer = _tokens(
            self._http,
            login.authority,
            grant_type="client_credentials",
            client_id=login.client_id,
            client_secret=login.client_secret,
            scope=f"{login.graph.rstrip('/')}/.default",
        )
        self._token = str(answer["access_token"])
        return self._token


class PersonTokens:
    """Tokens of a person, shared by all commands of their owner through the stored login."""

    def __init__(self, login: PersonLogin, http: httpx.Client, now: Callable[[], float]) -> None:
        self._login = login
        self._http = http
        self._now = now

    def access_token(self) -> str:
        """Return a token. Raises: ServerUnreachableError, RefusedError, SignInAgainError."""
        return self._login.access_token if self._is_good(self._login) else self.renewed()

    def renewed(self) -> str:
        """Exchange the refresh token, unless another command did so meanwhile. Raises: as ``access_token``."""
        with changing_login():
            kept = load_login(stored_login())
            if not isinstance(kept, PersonLogin) or kept.user_name != self._login.user_name:
                raise SignInAgainError("Somebody else is logged in meanwhile.")
            if kept.access_token == self._login.access_token or not self._is_good(kept):
                kept = self._refreshed(kept)
                store_login(kept)
            self._login = kept
        return kept.access_token

    def _refreshed(self, kept: PersonLogin) -> PersonLogin:
        try:
            answer = _tokens(
                self._http,
                kept.authority,
                grant_type="refresh_token",
                client_id=kept.client_id,
                refresh_token=kept.refresh_token,
                scope=_scope(kept.graph),
            )
        except RefusedError as refused:
            if refused.reason in {"invalid_grant", "interaction_required"}:
                raise SignInAgainError(refused.cause) from refused
            raise
        return _with_tokens(kept, answer, self._now())

    def _is_good(self, login: PersonLogin) -> bool:
        return bool(login.access_token) and self._now() < login.expires_at - _SPARE_SECONDS


def sign_in_person(
    http: httpx.Client,
    *,
    authority: str,
    graph: str,
    certificate_authority: str,
    show: Callable[[str], None],
    randomness: Callable[[int], bytes],
    now: Callable[[], float],
) -> PersonLogin:
    """Let a person sign in with their browser, and return their login, not stored yet; it names their tenant by its id.

    Raises:
        ServerUnreachableError: Nobody answers at the server's address.
        RefusedError: The server does not give tokens.
        SignInFailedError: The person did not come back.
    """
    found = answer_of(http, "GET", f"{authority}/v2.0/.well-known/openid-configuration")
    if not str(found.get("token_endpoint", "")).startswith(f"{graph}/"):
        raise ServerUnreachableError(f"{authority} describes another server.")
    granted = sign_in(
        authorization_endpoint=str(found["authorization_endpoint"]),
        issuer=str(found["issuer"]),
        client_id=CLIENT_ID,
        resource=graph,
        show=show,
        randomness=randomness,
    )
    answer = _tokens(
        http,
        authority,
        grant_type="authorization_code",
        client_id=CLIENT_ID,
        code=granted.code,
        code_verifier=granted.verifier,
        redirect_uri=granted.redirect_uri,
        scope=_scope(graph),
    )
    about = answer_of(
        http, "GET", str(found["userinfo_endpoint"]), headers={"Authorization": f"Bearer {answer['access_token']}"}
    )
    login = PersonLogin(
        client_id=CLIENT_ID,
        authority=str(found["issuer"]).removesuffix("/v2.0"),
        graph=graph,
        certificate_authority=certificate_authority,
        user_name=str(about.get("preferred_username") or about["sub"]),
        refresh_token="",
    )
    return _with_tokens(login, answer, now())


def _with_tokens(login: PersonLogin, answer: dict[str, Any], now: float) -> PersonLogin:
    return msgspec.structs.replace(
        login,
        access_token=str(answer["access_token"]),
        refresh_token=str(answer.get("refresh_token") or login.refresh_token),
        expires_at=int(now) + int(answer["expires_in"]),
    )


def _scope(graph: str) -> str:
    return " ".join((f"{graph}/.default", *SCOPES))


def _tokens(http: httpx.Client, authority: str, **form: str) -> dict[str, Any]:
    answer = answer_of(http, "POST", f"{authority.rstrip('/')}/oauth2/v2.0/token", data=form)
    if not isinstance(answer, dict) or "access_token" not in answer:
        raise ServerUnreachableError(f"{authority} answered without a token.")
    return answer
