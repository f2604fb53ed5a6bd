"""HTTP to the gateway: one fresh TLS connection a request, little trust, hard limits.

What comes back is either an answer of our protocol or ``GatewayUnreachableError``. A redirect, a web page (a captive
portal), an endless or a slow answer are the latter: between us and the server stands something that is not the server.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct

from shieldwall.agent.service.errors import (
    GatewayUnreachableError,
    NameServiceSilentError,
    NameUnknownError,
    NotTheGatewayError,
    ProxyFailedError,
    ServerNotTrustedError,
    UnusableAddressError,
)

MAX_ANSWER_BYTES: Final = 24 * 1024 * 1024
"""64 policies of 256 KiB, as base64 in JSON."""
_CHUNK: Final = 64 * 1024
_LONG_SECONDS: Final = 45.0
"""Longer than any answer takes that the server does not hold back."""
_SPOKEN: Final = frozenset({"application/json", "application/problem+json"})


class HttpAnswer(Struct, frozen=True, kw_only=True):
    """What the server said: ``content_type`` without parameters, ``retry_after_seconds`` when it named any."""

    status: int
    content_type: str
    body: bytes
    retry_after_seconds: int | None = None


class Transport(Protocol):
    """Carries one POST to a server and its answer back."""

    def post(
        self, url: SplitResult, path: str, *, headers: Mapping[str, str], body: bytes, timeout_seconds: float
    ) -> HttpAnswer:
        """Send ``body`` to ``path`` of the server at ``url``. Raises: GatewayUnreachableError."""
        ...


def parse_server_url(text: str) -> SplitResult:
    """Read the URL of a gateway: https, a host, perhaps a port and a path. Raises: UnusableAddressError."""
    try:
        url = urlsplit(text)
        named = url.scheme == "https" and bool(url.hostname) and url.port != 0
    except ValueError:
        named = False
        url = urlsplit("")
    if not named or url.query or url.fragment or "@" in url.netloc:
        raise UnusableAddressError(f"{text[:200]!r} is not the https URL of a server.")
    return url


def parse_proxy_url(text: str) -> SplitResult:
    """Read the URL of a proxy: http, a host, perhaps a port. Raises: UnusableAddressError."""
    try:
        url = urlsplit(text)
        named = url.scheme == "http" and bool(url.hostname) and url.port != 0
    except ValueError:
        named = False
        url = urlsplit("")
    if not named or url.path.strip("/") or url.query or url.fragment or "@" in url.netloc:
        raise UnusableAddressError(f"{text[:200]!r} is not the http URL of a proxy.")
    return url


class HttpsTransport(Struct, frozen=True, kw_only=True):
    """The real network. Proxies come from configuration alone, never from the environment."""

    context: ssl.SSLContext
    monotonic: Callable[[], float]
    proxy: str | None = None
    before_silence: Callable[[], None] = lambda: None
    """Called when a request is sent whose answer may be long in coming, so that who waits for it weighs little."""

    def post(
        self, url: SplitResult, path: str, *, headers: Mapping[str, str], body: bytes, timeout_seconds: float
    ) -> HttpAnswer:
        """See ``Transport.post``."""
        deadline = self.monotonic() + timeout_seconds
        connection = self._connection(url, timeout_seconds)
        try:
            connection.request("POST", path, body=body, headers=dict(headers))
            if timeout_seconds >= _LONG_SECONDS:
                self.before_silence()
            response = connection.getresponse()
            content = self._read(response, deadline)
        except (OSError, http.client.HTTPException, ValueError) as error:
            kind = _kind_of(error, through_proxy=self.proxy is not None)
            raise kind(f"{url.netloc} does not answer: {_in_words(error)}") from error
        finally:
            connection.close()
        return _understood(url.netloc, response, content)

    def _connection(self, url: SplitResult, timeout_seconds: float) -> http.client.HTTPSConnection:
        host, port = url.hostname or "", url.port or 443
        if self.proxy is None:
            return http.client.HTTPSConnection(host, port, timeout=timeout_seconds, context=self.context)
        proxy = parse_proxy_url(self.proxy)
        connection = http.client.HTTPSConnection(
            proxy.hostname or "", proxy.port or 3128, timeout=timeout_seconds, context=self.context
        )
        connection.set_tunnel(host, port)
        return connection

    def _read(self, response: http.client.HTTPResponse, deadline: float) -> bytes:
        content = bytearray()
        while chunk := response.read1(_CHUNK):
            content += chunk
            if len(content) > MAX_ANSWER_BYTES:
                raise ValueError("the answer does not end")
            if self.monotonic() > deadline:
                raise TimeoutError("the answer comes too slowly")
        if response.length:  # what ``read1`` leaves unsaid: the connection ended before the answer did
            raise ValueError("the answer breaks off")
        return bytes(content)


def tls_context(roots: Sequence[str]) -> ssl.SSLContext:
    """Trust these certificate authorities (PEM) and no others; without any, those of the system."""
    context = ssl.create_default_context(cadata="\n".join(roots) or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _understood(server: str, response: http.client.HTTPResponse, content: bytes) -> HttpAnswer:
    content_type = (response.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
    retry_after = _seconds(response.headers.get("Retry-After"))
    if 300 <= response.status < 400:
        raise NotTheGatewayError(f"{server} redirects elsewhere ({response.status}); the agent does not follow.")
    if response.status != 204 and content_type not in _SPOKEN:
        raise NotTheGatewayError(
            f"Something that is not the gateway answers for {server} ({response.status}, {content_type or 'no type'}): "
            "a captive portal or a proxy, perhaps.",
            retry_after_seconds=retry_after,
        )
    return HttpAnswer(status=response.status, content_type=content_type, body=content, retry_after_seconds=retry_after)


def _seconds(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 9 else None


def _kind_of(error: Exception, *, through_proxy: bool) -> type[GatewayUnreachableError]:
    match error:
        case ssl.SSLCertVerificationError():
            return ServerNotTrustedError
        case socket.gaierror(errno=socket.EAI_AGAIN):
            return NameServiceSilentError
        case socket.gaierror():
            return NameUnknownError
        case OSError() if through_proxy and not isinstance(error, ssl.SSLError):
            return ProxyFailedError
        case _:
            return GatewayUnreachableError


def _in_words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted ({error.verify_message})."
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}."
    return f"{str(error) or type(error).__name__}."
