"""Where a device reaches its server, for rules that must not cut it off. Nothing is resolved in here."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final

from msgspec import Struct

from shieldwall.catalog.firewall.ranges import Addresses

_PORTS: Final = {"http": 80, "https": 443}
_URL: Final = re.compile(r"(https?)://(?:\[([^]/]+)\]|([^][/:?#@]+))(?::([0-9]{1,5}))?(?:[/?#].*)?", re.IGNORECASE)
"""Enough of a URL; the libraries that read whole ones belong to the network, which the applier does without."""


class Endpoint(Struct, frozen=True):
    """A port that the server listens on, and its addresses as far as they are known."""

    port: int
    addresses: tuple[Addresses, ...] = ()


class ServerEndpoints(Struct, frozen=True):
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
    match = _URL.fullmatch(url)
    if match is None:
        raise ValueError(f"{url[:128]!r} is not a URL of a server.")
    port = int(match[4] or _PORTS[match[1].lower()])
    try:
        address = ip_address(match[2] or match[3])
    except ValueError:
        return Endpoint(port)
    return Endpoint(port, (Addresses.between(address, address),))
