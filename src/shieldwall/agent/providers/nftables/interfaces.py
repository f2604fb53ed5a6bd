"""The machine's interfaces: their names, what kind they are, and which addresses they have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import PurePosixPath
from typing import Any, Final

import msgspec
from msgspec import Struct

from shieldwall.agent.firewall_probe.device import DEVICE
from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.nftables.conditions import InterfaceKind
from shieldwall.agent.providers.nftables.intervals import AddressRange
from shieldwall.agent.providers.nftables.machine import InterfaceName
from shieldwall.agent.providers.nftables.nft import NftablesError
from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.kinds import learned
from shieldwall.contract.strict_json import decode_any

_SYSFS: Final = PurePosixPath("/sys/class/net")
_TUNNELS: Final = frozenset(
    {"wireguard", "ipip", "ip6tnl", "sit", "gre", "gretap", "ip6gre", "ip6gretap", "vti", "vti6", "xfrm", "ppp", "ovpn"}
)
_VIRTUAL: Final = frozenset(
    {"bridge", "veth", "vxlan", "geneve", "dummy", "ifb", "macvtap", "ipvtap", "netkit", "nlmon", "vcan", "vrf"}
)
_DEVICE_TYPES: Final[Mapping[str, InterfaceKind]] = {"wlan": "wireless", "wwan": "mobilebroadband"}
"""What drivers say in ``uevent``."""


class Interface(Struct, frozen=True, kw_only=True):
    """One interface other than loopback."""

    name: str
    kind: InterfaceKind
    addresses: tuple[tuple[str, int], ...] = ()
    """Its own addresses, by family and as numbers."""

    def is_in(self, network: AddressRange) -> bool:
        """Say whether one of its addresses is in a network."""
        first, last = network.interval
        return any(family == network.family and first <= number <= last for family, number in self.addresses)


def interfaces_of(host: Host) -> tuple[Interface, ...]:
    """List the interfaces in the order of their names. Raises: NftablesError, HostError."""
    program = host.find_program("ip")
    if program is None:
        raise NftablesError("The program ip is not installed.", remedy="Install the package iproute2.")
    completed = host.run([program, "-json", "-details", "address", "show"])
    if completed.returncode != 0:
        words = completed.stderr.decode(errors="replace").strip()[:500]
        raise NftablesError(f"ip address show failed: {words}.")
    try:
        listing = decode_any(completed.stdout)
        found = [_interface(host, entry) for entry in listing if entry and _is_nameable(entry["ifname"])]
    except (InvalidJsonError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise NftablesError(f"ip answered something that is not a listing ({type(error).__name__}).") from error
    # The device of a probe is there for a moment, and nothing may be made to depend on it.
    return tuple(sorted((each for each in found if each.name not in {"lo", DEVICE}), key=lambda each: each.name))


def kind_of(entry: Any, device_type: str) -> InterfaceKind:
    """Say what kind an interface is, from its entry in ``ip -json -details`` and what its driver says of it."""
    if device_type in _DEVICE_TYPES:
        return _DEVICE_TYPES[device_type]
    info = entry.get("linkinfo") or {}
    made = str(info.get("info_kind", ""))
    if made == "tun":  # a tap carries frames of a virtual machine, a tun packets of a tunnel
        return "virtual" if (info.get("info_data") or {}).get("type") == "tap" else "remoteaccess"
    if made in _TUNNELS or entry.get("link_type") == "ppp":
        return "remoteaccess"
    return "virtual" if made in _VIRTUAL else "lan"


def _interface(host: Host, entry: Any) -> Interface:
    name = str(entry["ifname"])
    addresses = tuple(sorted(_addresses(entry)))
    return Interface(name=name, kind=kind_of(entry, _device_type(host, name)), addresses=addresses)


def _addresses(entry: Any) -> Iterator[tuple[str, int]]:
    for info in entry.get("addr_info", ()):
        if "local" in info:
            address = ip_address(info["local"])
            yield ("ip" if address.version == 4 else "ip6"), int(address)


def _device_type(host: Host, name: str) -> str:
    try:
        said = (host.read_file(_SYSFS / name / "uevent") or b"").decode(errors="replace")
    except HostError:  # it may be gone by now
        return ""
    words = [line.removeprefix("DEVTYPE=") for line in said.splitlines() if line.startswith("DEVTYPE=")]
    return words[0] if words else ""


def _is_nameable(name: Any) -> bool:
    """Say whether a script can name it; an interface that it cannot name is in the zone public."""
    try:
        msgspec.convert(name, learned(InterfaceName))
    except msgspec.ValidationError:
        return False
    return True
