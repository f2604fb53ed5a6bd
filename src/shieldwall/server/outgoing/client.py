"""The one client by which the server asks others.

Every call goes the same way: the address is read strictly, its name is resolved, each result is checked, and the
connection is made to a checked address itself, so that a second look-up cannot lead elsewhere. TLS is verified for the
name. Redirects are answers like any other, nobody's proxy settings are followed, no cookie is kept, no connection is
used twice, and nothing is unpacked: what was compressed stays so.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult

import httpx

from shieldwall.server.outgoing.errors import ReceiverUnreachableError
from shieldwall.server.outgoing.resolving import Resolver
from shieldwall.server.outgoing.rules import Address, OutgoingRules, admitted, check_url

CONNECT_SECONDS: Final = 5.0
MOST_TRIED: Final = 4
"""Addresses of one name that are tried in one call."""
_LIMITS: Final = httpx.Limits(max_connections=1, max_keepalive_connections=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back. Names of ``headers`` are in lower-case letters; of one that stands twice, the first counts."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    is_cut: bool = False
    """Whether the body went on after ``max_bytes``; what is here is its beginning."""


def trusting(authority: Path | None = None) -> ssl.SSLContext:
    """Make what decides whom to trust: the authorities of this machine, and one more where it is named."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if authority is not None:
        context.load_verify_locations(authority)
    return context


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """Asks others over HTTP, within rules. Make one for a process and hand it to whoever may ask."""

    rules: OutgoingRules
    resolver: Resolver
    trust: Callable[[], ssl.SSLContext]
    """Whom to trust; asked for each call, so that what never asks anybody reads no certificates."""

    async def fetch(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        timeout: float = 10.0,  # noqa: ASYNC109 - the bound belongs to the contract, and covers every part of a call
        max_bytes: int = 64 * 1024,
    ) -> Answer:
        """Ask somebody and return what they answer, whatever its status; a redirect is not followed.

        Args:
            method: As HTTP spells it.
            url: An https address, or one of http where the rules let this machine be asked.
            headers: Beside ``Host`` and ``Content-Length``, which are ours.
            body: What to send.
            timeout: Seconds for all of it, from the look-up of the name to the last byte.
            max_bytes: How much of the answer's body is read.

        Raises:
            InvalidReceiverError: The address cannot be meant.
            ReceiverRefusedError: It leads where the server must not connect.
            ReceiverUnreachableError: There was no answer in time, or none that could be trusted or understood.
        """
        parts = check_url(url, self.rules)
        host = parts.hostname or ""
        call = _Call(parts=parts, method=method, headers=headers or {}, body=body, max_bytes=max_bytes)
        try:
            async with asyncio.timeout(timeout):
                addresses = admitted(host, parts.scheme, await self.resolver(host), self.rules)
                return await call.to_one_of(addresses[:MOST_TRIED], self.trust())
        except TimeoutError:
            raise ReceiverUnreachableError(f"{host} did not answer within {timeout:g} seconds.") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """One call, ready to be made to any address of its host."""

    parts: SplitResult
    method: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    max_bytes: int

    async def to_one_of(self, addresses: tuple[Address, ...], trust: ssl.SSLContext) -> Answer:
        """Try one address after the other until a connection stands; what was sent once is not sent again."""
        host = self.parts.hostname
        failure: httpx.HTTPError | None = None
        for address in addresses:
            try:
                return await self._to(address, trust)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                failure = error
            except (httpx.HTTPError, httpx.StreamError) as error:
                raise ReceiverUnreachableError(f"{host} did not answer as HTTP does: {_in_words(error)}.") from error
        assert failure is not None, "at least one address is admitted"
        raise ReceiverUnreachableError(f"{host} cannot be reached: {_in_words(failure)}.") from failure

    async def _to(self, address: Address, trust: ssl.SSLContext) -> Answer:
        request = httpx.Request(
            self.method,
            _at(address, self.parts),
            headers={
                "Accept-Encoding": "identity",
                "User-Agent": "Shieldwall",
                **self.headers,
                "Host": self.parts.netloc,
            },
            content=self.body,
            extensions={"sni_hostname": self.parts.hostname, "timeout": {"connect": CONNECT_SECONDS}},
        )
        async with httpx.AsyncHTTPTransport(verify=trust, trust_env=False, limits=_LIMITS) as transport:
            response = await transport.handle_async_request(request)
            try:
                content, is_cut = await _beginning(response, self.max_bytes)
            finally:
                await response.aclose()
        headers = dict(reversed(_lower(response.headers)))
        return Answer(status=response.status_code, headers=headers, body=content, is_cut=is_cut)


def _at(address: Address, parts: SplitResult) -> str:
    host = f"[{address}]" if isinstance(address, IPv6Address) else str(address)
    port = f":{parts.port}" if parts.port is not None else ""
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{host}{port}{parts.path or '/'}{query}"


def _lower(headers: httpx.Headers) -> list[tuple[str, str]]:
    return [(name.decode("ascii").lower(), value.decode("latin-1")) for name, value in headers.raw]


async def _beginning(response: httpx.Response, most: int) -> tuple[bytes, bool]:
    content = bytearray()
    async for part in response.aiter_raw():
        content += part
        if len(content) > most:
            return bytes(content[:most]), True
    return bytes(content), False


def _in_words(error: Exception) -> str:
    return (str(error) or type(error).__name__).rstrip(".")[:256]
