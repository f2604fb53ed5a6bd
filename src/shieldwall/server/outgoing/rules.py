"""Which addresses this server may connect to: pure, and decided on the address itself, never on a name alone.

A name can lead anywhere and elsewhere a moment later, so names are no reason to trust; the address that is connected to
is the one that was looked at here. The special blocks are those of the IANA registries (RFC 6890).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_network
from typing import Final, TypeAlias
from urllib.parse import SplitResult, urlsplit

from shieldwall.server.outgoing.errors import InvalidReceiverError, ReceiverRefusedError

Address: TypeAlias = IPv4Address | IPv6Address

LONGEST_URL: Final = 2_048
_PRIVATE: Final = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")))
"""Networks of an organisation's own: RFC 1918, RFC 6598, RFC 4193."""
_METADATA: Final = frozenset(
    map(
        str,
        (
            IPv4Address("169.254.169.254"),  # most clouds
            IPv4Address("169.254.170.2"),  # credentials of containers
            IPv4Address("168.63.129.16"),  # Azure's host, a public address
            IPv4Address("100.100.100.200"),  # Alibaba, inside 100.64.0.0/10
            IPv4Address("192.0.0.192"),  # Oracle
            IPv6Address("fd00:ec2::254"),  # Amazon, inside fc00::/7
            IPv6Address("fd20:ce::254"),  # Google, inside fc00::/7
        ),
    )
)
"""Where clouds hand their machines credentials without asking for any."""
_UNICAST: Final = IPv6Network("2000::/3")
"""All of IPv6 that was ever given out; what lies beside it leads nowhere, or somewhere by accident."""
_NAT64: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingRules:
    """What the administrators of the server allow."""

    private_networks: bool = True
    """Whether receivers may live in the organisation's own networks."""
    loopback: bool = False
    """Whether they may live on this machine, where plain http is allowed as well."""


def check_url(url: str, rules: OutgoingRules) -> SplitResult:
    """Take an address apart.

    Raises:
        InvalidReceiverError: It is no https address, or one that people and programs may read differently.
    """
    if not 1 <= len(url) <= LONGEST_URL or not url.isascii() or not url.isprintable() or set(url) & set(' "<>\\^`{|}'):
        raise InvalidReceiverError("The address is empty, too long, or holds characters that no address has.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidReceiverError(f"{url[:128]!r} is not an address.") from None
    if parts.scheme != "https" and not (parts.scheme == "http" and rules.loopback):
        raise InvalidReceiverError(f"{url[:128]!r} is not an https address.")
    if not parts.hostname or port == 0:
        raise InvalidReceiverError(f"{url[:128]!r} names no host.")
    if "@" in parts.netloc or "#" in url or "%" in parts.netloc:
        raise InvalidReceiverError("The address holds a name, a password, a zone or a fragment.")
    return parts


def admitted(host: str, scheme: str, found: Iterable[Address], rules: OutgoingRules) -> tuple[Address, ...]:
    """Keep the addresses of a host that may be connected to.

    Raises:
        ReceiverRefusedError: None of them may.
    """
    kept = tuple(each for each in found if may_connect(each, rules) and (scheme == "https" or _is_loopback(each)))
    if not kept:
        raise ReceiverRefusedError(f"{host[:128]} leads to no address that this server may connect to.")
    return kept


def may_connect(address: Address, rules: OutgoingRules) -> bool:
    """Say whether the server may connect to an address, and to the one that hides in it."""
    return all(_may_connect(each, rules) for each in _with_hidden(address))


def _may_connect(address: Address, rules: OutgoingRules) -> bool:
    if str(address) in _METADATA or address.is_multicast or address.is_link_local or address.is_unspecified:
        return False
    if address.is_loopback:
        return rules.loopback
    if any(address in network for network in _PRIVATE if network.version == address.version):
        return rules.private_networks
    return address.is_global and (address.version == 4 or address in _UNICAST)


def _is_loopback(address: Address) -> bool:
    return all(each.is_loopback for each in _with_hidden(address)[-1:])


def _with_hidden(address: Address) -> tuple[Address, ...]:
    """Return an address and the IPv4 address that a translator or a tunnel would send it on to."""
    if isinstance(address, IPv4Address):
        return (address,)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)  # the system itself connects to this one
    if any(address in network for network in _NAT64):
        return (IPv4Address(int(address) & 0xFFFF_FFFF),)  # and a translator of the network to this one
    return (address, *filter(None, (address.sixtofour, *(address.teredo or ()))))
