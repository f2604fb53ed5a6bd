"""Rules of a pretended firewall: read as [MS-GPFAS] 2.2.2 has them, matched as [MS-FASP] 2.2.37 says.

It knows nothing of how the agent writes rules, so that one is a check of the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as replaced
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from shieldwall.agent.host.cim import CimValue, Properties

_PROFILE_BITS: Final = {"Domain": 1, "Private": 2, "Public": 4}
_WORDS: Final = frozenset({"localsubnet", "dns", "dhcp", "wins", "defaultgateway"})
_NEWER_WORDS: Final = frozenset({"intranet", "internet", "ply2renders", "rmtintranet", "captiveportal"})
_PORT_WORDS: Final = frozenset({"rpc", "rpc-epmap", "teredo", "iphttpsin", "iptlsin", "dhcp", "ply2disc", "mdns"})
_INTERFACE_BITS: Final = {"Lan": 1, "Wireless": 2, "RemoteAccess": 4}
_FREE: Final = frozenset({"Name", "Desc", "App", "Svc", "EmbedCtxt", "LUAuth", "LUOwn", "AppPkgId", "PFN", "Platform"})
_SWITCHES: Final = frozenset({"Edge", "Active", "LSM", "LOM", "AuthByPassOut", "PCross"})
_ONCE: Final = frozenset({"Action", "Dir", "Protocol", "App", "Svc", "Name", "Desc", "LUAuth", "AppPkgId", "Edge"})


class UnreadableRuleError(ValueError):
    """The parameter is incorrect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """What opens a connection. ``words`` are those for remote addresses that fit where it goes."""

    incoming: bool = False
    profile: str = "Public"
    protocol: int = 6
    local_port: int = 50_000
    remote_port: int = 443
    local: str = "192.0.2.10"
    remote: str = "198.51.100.7"
    words: frozenset[str] = frozenset({"internet"})
    program: str = r"C:\Program Files\Shieldwall\agent.exe"
    service: str = ""
    interface_type: str = "Lan"


@dataclass(frozen=True, slots=True)
class PretendRule:
    """One rule of a store."""

    id: str
    fields: Mapping[str, Sequence[str]]
    merged: frozenset[str] = field(default_factory=lambda: frozenset(_PROFILE_BITS))

    @classmethod
    def read(cls, name: str, text: str) -> PretendRule:
        """Read a rule. Raises: UnreadableRuleError."""
        version, *fields = text.split("|")
        major, dot, minor = version.removeprefix("v").partition(".")
        if not (version.startswith("v") and dot and major.isdigit() and minor.isdigit()) or not fields or fields.pop():
            raise UnreadableRuleError(name)
        found: dict[str, list[str]] = {}
        for each in fields:
            word, equals, value = each.partition("=")
            if not equals or not value or (word in _ONCE and word in found) or not _fits(word, value, found):
                raise UnreadableRuleError(f"{name}: {each}")
            found.setdefault(word, []).append(value)
        if "Action" not in found or "Dir" not in found or (found.get("Edge") == ["TRUE"] and found["Dir"] == ["Out"]):
            raise UnreadableRuleError(name)
        return cls(name, found)

    @property
    def blocks(self) -> bool:
        """Whether it blocks."""
        return self._first("Action") == "Block"

    @property
    def active(self) -> bool:
        """Whether it is switched on; a rule that does not say so is not."""
        return self._first("Active") == "TRUE"

    @property
    def profiles(self) -> frozenset[str]:
        """The profiles in which it counts."""
        return (frozenset(self.fields.get("Profile", ())) or frozenset(_PROFILE_BITS)) & self.merged

    @property
    def row(self) -> Properties:
        """What ``MSFT_NetFirewallRule`` shows of it."""
        return {
            "InstanceID": self.id,
            "DisplayName": self._first("Name"),
            "Description": self._first("Desc"),
            "Enabled": 1 if self.active else 2,
            "Direction": 1 if self._first("Dir") == "In" else 2,
            "Action": 4 if self.blocks else 2,
            "Profiles": 0 if len(self.profiles) == len(_PROFILE_BITS) else sum(map(_PROFILE_BITS.get, self.profiles)),  # type: ignore[arg-type]
            "PrimaryStatus": 1,
            "Status": "The rule was parsed successfully from the store. (65536)",
        }

    @property
    def filters(self) -> Mapping[str, CimValue]:
        """What its filters show, all together."""
        return {
            "Protocol": self._first("Protocol") or "Any",
            "LocalPort": self._all("LPort", "LPort2_10", "LPort2_20") or "Any",
            "RemotePort": self._all("RPort", "RPort2_10") or "Any",
            "IcmpType": self._all("ICMP4", "ICMP6") or "Any",
            "LocalAddress": self._all("LA4", "LA6") or "Any",
            "RemoteAddress": self._all("RA4", "RA6", "RA42", "RA62") or "Any",
            "AppPath": self._first("App"),
            "Package": self._first("AppPkgId") or self._first("PFN"),
            "ServiceName": self._first("Svc") or "Any",
            "InterfaceType": sum(map(_INTERFACE_BITS.get, self._all("IFType"))),  # type: ignore[arg-type]
            "InterfaceAlias": ["Any"],
            "LocalUsers": self._first("LUAuth") or "Any",
            "RemoteUsers": "Any",
            "RemoteMachines": "Any",
        }

    def only_in(self, profiles: Sequence[str]) -> PretendRule | None:
        """Return the rule as it counts in some profiles, ``None`` where it does not."""
        narrowed = replaced(self, merged=self.merged & frozenset(profiles))
        return narrowed if narrowed.profiles else None

    def matches(self, packet: Packet) -> bool:
        """Say whether it decides about a packet."""
        protocol = self._first("Protocol")
        return (
            self.active
            and (self._first("Dir") == "In") == packet.incoming
            and packet.profile in self.profiles
            and protocol in {"", str(packet.protocol)}
            and not self._all("ICMP4", "ICMP6")
            and self._any(_port(packet.local_port), "LPort", "LPort2_10", "LPort2_20")
            and self._any(_port(packet.remote_port), "RPort", "RPort2_10")
            and self._any(_address(packet.local, frozenset()), "LA4", "LA6")
            and self._any(_address(packet.remote, packet.words), "RA4", "RA6", "RA42", "RA62")
            and self._any(lambda kind: kind == packet.interface_type, "IFType")
            and self._any(lambda path: path.casefold() == packet.program.casefold(), "App")
            and self._any(lambda name: packet.service != "" and name in {"*", packet.service}, "Svc")
            and not self._all("LUAuth", "AppPkgId", "PFN")
        )

    def _first(self, word: str) -> str:
        return next(iter(self.fields.get(word, ())), "")

    def _all(self, *tokens: str) -> list[str]:
        return [value for word in tokens for value in self.fields.get(word, ())]

    def _any(self, fits: Callable[[str], bool], *tokens: str) -> bool:
        values = self._all(*tokens)
        return not values or any(map(fits, values))


def _fits(word: str, value: str, found: Mapping[str, Sequence[str]]) -> bool:  # noqa: PLR0911 - one for each word
    protocol = next(iter(found.get("Protocol", ())), "")
    match word:
        case "Action":
            return value in {"Allow", "Block", "ByPass"}
        case "Dir":
            return value in {"In", "Out"}
        case "Profile":
            return value in _PROFILE_BITS
        case "Protocol":
            return value.isdigit() and len(value) <= 3 and int(value) <= 255
        case "LPort" | "RPort" | "LPort2_10" | "RPort2_10" | "LPort2_20":
            ports = _ports(value)
            ranged = "2_10" in word
            right = value.lower() in _PORT_WORDS if ports is None else ("-" in value) == ranged and ports[0] <= ports[1]
            return protocol in {"6", "17"} and right
        case "ICMP4" | "ICMP6":
            kind, colon, code = value.partition(":")
            right = kind.isdigit() and int(kind) <= 255 and (code == "*" or (code.isdigit() and int(code) <= 255))
            return protocol == ("1" if word == "ICMP4" else "58") and bool(colon) and right
        case "LA4" | "RA4" | "LA6" | "RA6":
            return _is_address(value, int(word[2])) or (word[0] == "R" and value.lower() in _WORDS)
        case "RA42" | "RA62":
            return value.lower() in _NEWER_WORDS
        case "IFType":
            return value in {"Lan", "Wireless", "RemoteAccess"}
        case _:
            return word in _FREE or (word in _SWITCHES and value in {"TRUE", "FALSE"})


def _ports(text: str) -> tuple[int, int] | None:
    low, _, high = text.partition("-")
    if not (low.isdigit() and (high or low).isdigit() and int(low) <= 65_535 and int(high or low) <= 65_535):
        return None
    return int(low), int(high or low)


def _port(number: int) -> Callable[[str], bool]:
    def fits(text: str) -> bool:
        ports = _ports(text)
        return ports is not None and ports[0] <= number <= ports[1]

    return fits


def _is_address(text: str, version: int) -> bool:
    try:
        ends = _ends(text)
    except ValueError:
        return False
    prefix = text.rpartition("/")[2] if "/" in text else ""
    whole = prefix.isdigit() and not 0 < int(prefix) < (32 if version == 4 else 128)  # a mask of some bits, not of all
    return not whole and all(end.version == version for end in ends) and int(ends[0]) <= int(ends[1])


def _ends(text: str) -> tuple[IPv4Address | IPv6Address, IPv4Address | IPv6Address]:
    low, dash, high = text.partition("-")
    if dash:
        return ip_address(low), ip_address(high)
    network = ip_network(text)
    return network[0], network[-1]


def _address(own: str, words: frozenset[str]) -> Callable[[str], bool]:
    address = ip_address(own)

    def fits(text: str) -> bool:
        if text.lower() in _WORDS | _NEWER_WORDS:
            return text.lower() in words
        first, last = _ends(text)
        return first.version == address.version and int(first) <= int(address) <= int(last)

    return fits
