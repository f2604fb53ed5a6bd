"""Where a device reaches its server, for rules that must not cut it off. Nothing is resolved in here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from shieldwall.catalog.firewall.ranges import Addresses

_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A port that the server listens on, and its addresses as far as they are known."""

    port: int
    addresses: tuple[Addresses, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerEndpoints:
    """Everything of the server that a device has to reach: gateway and admin center."""

    endpoints: tuple[Endpoint, ...]

    @classmethod
    def of(cls, urls: Iterable[str]) -> ServerEndpoints:
        """Read URLs as they are configured. A host that is a name gives its port, but no address.

        Raises:
            ValueError: One is not a URL.
        """
        return cls(tuple(_endpoint(url) for url in urls))


def _endpoint(url: str) -> Endpoint:
    parts = urlsplit(url)
    port = parts.port or _PORTS.get(parts.scheme, _PORTS["https"])
    try:
        address = ip_address(parts.hostname or "")
    except ValueError:
        return Endpoint(port)
    return Endpoint(port, (Addresses.between(address, address),))
