"""One HTTP client for the command line: whom it trusts, how long it waits, and refusals in the server's own words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from shieldwall.cli.logins import InvalidLoginError
from shieldwall.cli.presentation import waiting
from shieldwall.contract.errors import InvalidJsonError, ShieldwallError
from shieldwall.contract.strict_json import decode

if TYPE_CHECKING:
    import httpx

_CONNECT_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 300.0
"""A change set of hundreds of policies for a large fleet takes its time; giving up would not stop it."""


_STEP_UP: Final = "stepUpRequired"


class ServerUnreachableError(ShieldwallError):
    """Nobody answers at the server's address, or its certificate is not from the authority we know."""

    code = "serverUnreachable"
    remedy = "Check that the server runs and that its address and certificate authority in the login are right."


class RefusedError(ShieldwallError):
    """The server answered with an error; what it found, one by one, stands in the notes."""

    code = "refused"
    remedy = "Correct what is named and try again."

    def __init__(self, status: int, code: str, cause: str) -> None:
        remedy = "Sign in again with: shieldwall login. Then repeat this." if code == _STEP_UP else None
        super().__init__(f"{cause} (HTTP {status}, {code})", remedy=remedy)
        self.status = status
        self.reason = code
        """The server's own code for it."""
        self.challenge = ""
        """The header WWW-Authenticate, where a token was not good."""
        self.position: int | None = None
        """Where in a membership rule the fault is, in characters."""

    @property
    def asks_for_proof(self) -> bool:
        """Whether the person has to prove again who they are."""
        return self.reason == _STEP_UP


def http_client(certificate_authority: str, *, patience_seconds: float = _ANSWER_SECONDS) -> httpx.Client:
    """Make a client that trusts this authority (PEM), or those of the machine where none is given.

    ``patience_seconds`` is how long it waits for each part of an answer.

    Raises:
        InvalidLoginError: It is none.
    """
    # Both take longer to import than --help to print.
    import ssl  # noqa: PLC0415 - see above

    import httpx  # noqa: PLC0415 - see above

    try:
        trust = ssl.create_default_context(cadata=certificate_authority or None)
    except ssl.SSLError:
        raise InvalidLoginError("The certificate authority in the login is none.") from None
    patience = httpx.Timeout(patience_seconds, connect=min(patience_seconds, _CONNECT_SECONDS))
    return httpx.Client(verify=trust, timeout=patience, follow_redirects=False)


def answer_of(http: httpx.Client, method: str, url: str, **options: Any) -> Any:
    """Call and return the parsed answer: ``None`` where it has no body, text where it is no JSON.

    Raises:
        ServerUnreachableError: Nobody answers.
        RefusedError: The server refuses; it says why.
    """
    import httpx  # noqa: PLC0415 - takes longer to import than --help to print

    try:
        with waiting("Waiting for the server …"):
            response = http.request(method, url, **options)
    except httpx.HTTPError as error:
        raise ServerUnreachableError(f"{url} cannot be reached: {error}.") from error
    if response.is_success and not _is_json(response):
        return response.text
    answer = parsed(response)
    if response.is_success:
        return answer
    raise refusal(response, answer if isinstance(answer, dict) else {})


def refusal(response: httpx.Response, answer: dict[str, Any]) -> RefusedError:
    """Say in one error what the server found, whichever of its shapes of errors it used."""
    status, reason = response.status_code, answer.get("error")
    if isinstance(reason, dict):  # Graph
        inner = reason.get("innerError") or {}
        refused = RefusedError(status, str(inner.get("code", reason.get("code"))), str(reason.get("message")))
        position = inner.get("position")
        refused.position = position if isinstance(position, int) else None
        for detail in reason.get("details") or ():
            refused.add_note(f"{detail.get('target')}: {detail.get('message')} [{detail.get('code')}]")
    elif reason is None:  # a problem document (RFC 9457)
        refused = RefusedError(status, str(answer.get("code")), str(answer.get("detail", "The server gave no reason.")))
    else:  # OAuth
        refused = RefusedError(status, str(reason), str(answer.get("error_description")))
    refused.challenge = response.headers.get("www-authenticate", "")
    return refused


def parsed(response: httpx.Response) -> Any:
    """Read a body that has to be JSON, if there is one. Raises: ServerUnreachableError."""
    if not response.content:
        return None
    try:
        return decode(response.content, object)
    except InvalidJsonError:
        raise ServerUnreachableError(
            f"{response.url} answered with something that is not JSON (HTTP {response.status_code})."
        ) from None


def _is_json(response: httpx.Response) -> bool:
    media_type = response.headers.get("content-type", "").split(";")[0].strip()
    return media_type in {"", "application/octet-stream"} or media_type.endswith("json")
