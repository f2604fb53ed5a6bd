"""Talking to a Shieldwall server as an application: the login that was stored, tokens, calls.

What ``shieldwall server app create`` wrote is everything needed: ids, secret, addresses and the certificate
authority. It is kept, readable by its owner alone, under ``$SHIELDWALL_CONFIG`` (default ``~/.config/shieldwall``).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Self
from urllib.parse import quote

import msgspec

from shieldwall.cli.presentation import waiting
from shieldwall.contract.errors import InvalidJsonError, ShieldwallError
from shieldwall.contract.strict_json import decode, encode

if TYPE_CHECKING:
    import httpx

_CONNECT_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 300.0
"""A change set of hundreds of policies for a large fleet takes its time; giving up would not stop it."""
_HTTPS: Final = "https://"


class NotLoggedInError(ShieldwallError):
    """There is no stored login."""

    code = "notLoggedIn"
    remedy = "Run: shieldwall login --app FILE, with a file made by: shieldwall server app create."


class ServerUnreachableError(ShieldwallError):
    """Nobody answers at the server's address, or its certificate is not from the authority we know."""

    code = "serverUnreachable"
    remedy = "Check that the server runs and that its address and certificate authority in the login are right."


class InvalidLoginError(ShieldwallError):
    """The login file cannot be used."""

    code = "invalidLogin"
    remedy = "Make a new one on the server: shieldwall server app create."


class ForeignAddressError(ShieldwallError):
    """An address that is not on the server of the login."""

    code = "foreignAddress"
    remedy = "Name a path such as /beta/deviceManagement/configurationPolicies."


class RefusedError(ShieldwallError):
    """The server answered with an error; what it found, one by one, stands in the notes."""

    code = "refused"
    remedy = "Correct what is named and try again."

    def __init__(self, status: int, code: str, cause: str) -> None:
        super().__init__(f"{cause} (HTTP {status}, {code})")
        self.status = status
        self.position: int | None = None
        """Where in a membership rule the fault is, in characters."""


class Login(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """An application's login, as the server's console writes it. ``certificate_authority`` is PEM."""

    tenant_id: str
    client_id: str
    client_secret: str
    authority: str
    graph: str
    certificate_authority: str = ""


def load_login(file: Path) -> Login:
    """Read a login file. Raises: NotLoggedInError, InvalidLoginError."""
    try:
        login = decode(file.read_bytes(), Login)
    except FileNotFoundError:
        raise NotLoggedInError(f"There is no login at {file}.") from None
    except OSError as error:
        raise InvalidLoginError(f"{file} cannot be read: {error.strerror}.") from None
    except InvalidJsonError as error:
        raise InvalidLoginError(f"{file}: {error.cause}") from None
    if not login.authority.startswith(_HTTPS) or not login.graph.startswith(_HTTPS):
        raise InvalidLoginError(f"{file} names an address that is not https.")
    return login


def stored_login() -> Path:
    """Say where the login is kept."""
    configured = os.environ.get("SHIELDWALL_CONFIG")
    return (Path(configured) if configured else Path.home() / ".config" / "shieldwall") / "login.json"


def store_login(login: Login) -> Path:
    """Keep a login for the calls to come, readable by its owner alone."""
    file = stored_login()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(encode(login))
    return file


class GraphSession:
    """Calls to one server, with a token asked for on first use. Use it as a context manager."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._http = _client(login.certificate_authority)
        self._token: str | None = None

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
    ) -> Any:
        """Call ``path`` (such as ``/beta/deviceManagement/configurationPolicies``) and return the parsed answer.

        ``reason`` says why something is changed; it stands in the history.

        Raises:
            ForeignAddressError: A whole address that is not on this server.
            ServerUnreachableError: Nobody answers.
            RefusedError: The server refuses; it says why.
        """
        root = self._login.graph.rstrip("/")
        url = path if path.startswith(_HTTPS) else root + path
        if not url.startswith(f"{root}/"):
            raise ForeignAddressError(f"{url} is not on the server of this login; the token stays here.")
        content = raw if raw is not None else (None if body is None else encode(body))
        headers = {"Authorization": f"Bearer {self._access_token()}"}
        if content is not None:
            headers["Content-Type"] = "application/json"
        if reason:
            headers["x-shieldwall-reason"] = quote(reason)
        return self._answer(method, url, headers=headers, content=content, params=query)

    def pages(self, path: str, *, query: Mapping[str, str] | None = None) -> Iterator[Any]:
        """Yield every item of a listing, following its pages."""
        answer = self.call("GET", path, query=query)
        while True:
            yield from answer["value"]
            following = answer.get("@odata.nextLink")
            if following is None:
                return
            answer = self.call("GET", following)

    def download(self, path: str, stream: BinaryIO) -> None:
        """Write what a path answers to a stream, piece by piece. Raises: ServerUnreachableError, RefusedError."""
        import httpx  # noqa: PLC0415 - takes longer to import than --help to print

        url = self._login.graph.rstrip("/") + path
        headers = {"Authorization": f"Bearer {self._access_token()}"}
        try:
            with waiting("Waiting for the server …"), self._http.stream("GET", url, headers=headers) as response:
                if not response.is_success:
                    response.read()
                    answer = _parsed(response)
                    raise _refusal(response.status_code, answer if isinstance(answer, dict) else {})
                stream.writelines(response.iter_bytes())
        except httpx.HTTPError as error:
            raise ServerUnreachableError(f"{url} cannot be reached: {error}.") from error

    def authenticate(self) -> None:
        """Ask for a token now. Raises: ServerUnreachableError, RefusedError."""
        self._access_token()

    def _access_token(self) -> str:
        if self._token is None:
            form = {
                "grant_type": "client_credentials",
                "client_id": self._login.client_id,
                "client_secret": self._login.client_secret,
                "scope": f"{self._login.graph.rstrip('/')}/.default",
            }
            answer = self._answer("POST", f"{self._login.authority.rstrip('/')}/oauth2/v2.0/token", data=form)
            self._token = str(answer["access_token"])
        return self._token

    def _answer(self, method: str, url: str, **options: Any) -> Any:
        import httpx  # noqa: PLC0415 - takes longer to import than --help to print

        try:
            with waiting("Waiting for the server …"):
                response = self._http.request(method, url, **options)
        except httpx.HTTPError as error:
            raise ServerUnreachableError(f"{url} cannot be reached: {error}.") from error
        answer = _parsed(response)
        if response.is_success:
            return answer
        raise _refusal(response.status_code, answer if isinstance(answer, dict) else {})


def _client(certificate_authority: str) -> httpx.Client:
    # Both take longer to import than --help to print.
    import ssl  # noqa: PLC0415 - see above

    import httpx  # noqa: PLC0415 - see above

    try:
        trust = ssl.create_default_context(cadata=certificate_authority or None)
    except ssl.SSLError:
        raise InvalidLoginError("The certificate authority in the login is none.") from None
    patience = httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS)
    return httpx.Client(verify=trust, timeout=patience, follow_redirects=False)


def _refusal(status: int, answer: dict[str, Any]) -> RefusedError:
    reason = answer.get("error")
    if isinstance(reason, dict):  # Graph
        inner = reason.get("innerError") or {}
        refusal = RefusedError(status, str(inner.get("code", reason.get("code"))), str(reason.get("message")))
        position = inner.get("position")
        refusal.position = position if isinstance(position, int) else None
        for detail in reason.get("details") or ():
            refusal.add_note(f"{detail.get('target')}: {detail.get('message')} [{detail.get('code')}]")
        return refusal
    if reason is None:  # a problem document (RFC 9457)
        return RefusedError(status, str(answer.get("code")), str(answer.get("detail", "The server gave no reason.")))
    return RefusedError(status, str(reason), str(answer.get("error_description")))  # OAuth


def _parsed(response: httpx.Response) -> Any:
    if not response.content:
        return None
    try:
        return decode(response.content, object)
    except InvalidJsonError:
        raise ServerUnreachableError(
            f"{response.url} answered with something that is not JSON (HTTP {response.status_code})."
        ) from None


def connected() -> GraphSession:
    """Open a session with the stored login. Raises: NotLoggedInError, InvalidLoginError."""
    return GraphSession(load_login(stored_login()))
