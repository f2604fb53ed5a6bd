"""Calls to a Shieldwall server with the stored login: tokens, pages, downloads, and refusals in the server's words."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, BinaryIO, Final, Self
from urllib.parse import quote

from shieldwall.cli.access_tokens import token_source
from shieldwall.cli.http_calls import (
    RefusedError,
    ServerUnreachableError,
    answer_of,
    http_client,
    parsed,
    refusal,
)
from shieldwall.cli.logins import Login, load_login, stored_login
from shieldwall.cli.presentation import waiting
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.strict_json import encode

__all__ = ["ForeignAddressError", "GraphSession", "RefusedError", "ServerUnreachableError", "connected"]

_HTTPS: Final = "https://"
_TAKEN_BACK: Final = "insufficient_claims"
"""What a challenge says of a token that was good until it was taken back, or lacks a fresh proof."""


class ForeignAddressError(ShieldwallError):
    """An address that is not on the server of the login."""

    code = "foreignAddress"
    remedy = "Name a path such as /beta/deviceManagement/configurationPolicies."


class GraphSession:
    """Calls to one server, with a token asked for on first use. Use it as a context manager."""

    def __init__(self, login: Login) -> None:
        self._root = login.graph.rstrip("/")
        self._http = http_client(login.certificate_authority)
        self._tokens = token_source(login, self._http, time.time)  # noqa: TID251 - the edge of the program

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        """Let go of the connections."""
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Mapping[str, str] | None = None,
        raw: bytes | None = None,
        reason: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """Call ``path`` (such as ``/beta/deviceManagement/configurationPolicies``) and return the parsed answer.

        ``reason`` says why something is changed; it stands in the history.

        Raises:
            ForeignAddressError: A whole address that is not on this server.
            ServerUnreachableError: Nobody answers.
            RefusedError: The server refuses; it says why.
            SignInAgainError: The person's login is worth nothing any more.
        """
        url = self._url(path)
        content = raw if raw is not None else (None if body is None else encode(body))
        sent = dict(headers or {})
        if content is not None:
            sent.setdefault("Content-Type", "application/json")
        if reason:
            sent["x-shieldwall-reason"] = quote(reason)
        token = self._tokens.access_token()
        try:
            return self._answer(method, url, sent, token, content=content, params=query)
        except RefusedError as refused:
            if refused.status != 401 or _TAKEN_BACK not in refused.challenge or refused.asks_for_proof:
                raise
        return self._answer(method, url, sent, self._tokens.renewed(), content=content, params=query)

    def pages(
        self, path: str, *, query: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[Any]:
        """Yield every item of a listing, following its pages."""
        answer = self.call("GET", path, query=query, headers=headers)
        while True:
            yield from answer["value"]
            following = answer.get("@odata.nextLink")
            if following is None:
                return
            answer = self.call("GET", following, headers=headers)

    def download(self, path: str, stream: BinaryIO) -> None:
        """Write what a path answers to a stream, piece by piece. Raises: ServerUnreachableError, RefusedError."""
        import httpx  # noqa: PLC0415 - takes longer to import than --help to print

        url = self._url(path)
        headers = {"Authorization": f"Bearer {self._tokens.access_token()}"}
        try:
            with waiting("Waiting for the server …"), self._http.stream("GET", url, headers=headers) as response:
                if not response.is_success:
                    response.read()
                    answer = parsed(response)
                    raise refusal(response, answer if isinstance(answer, dict) else {})
                stream.writelines(response.iter_bytes())
        except httpx.HTTPError as error:
            raise ServerUnreachableError(f"{url} cannot be reached: {error}.") from error

    def authenticate(self) -> None:
        """Ask for a token now. Raises: ServerUnreachableError, RefusedError."""
        self._tokens.access_token()

    def _url(self, path: str) -> str:
        url = path if path.startswith(_HTTPS) else self._root + path
        if not url.startswith(f"{self._root}/"):
            raise ForeignAddressError(f"{url} is not on the server of this login; the token stays here.")
        return url

    def _answer(self, method: str, url: str, headers: Mapping[str, str], token: str, **options: Any) -> Any:
        return answer_of(self._http, method, url, headers={**headers, "Authorization": f"Bearer {token}"}, **options)


def connected() -> GraphSession:
    """Open a session with the stored login. Raises: NotLoggedInError, InvalidLoginError."""
    return GraphSession(load_login(stored_login()))
