"""Firewall rules as the registry holds them: fields between bars. Pure, and each way undoes the other.

Source: Microsoft, [MS-GPFAS] 2.2.2 (tokens and their order: a protocol before its ports) and [MS-FASP] 2.2.37 (what may
be in them). What no rule of ours needs is refused when read: a rule that we do not understand is not ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

KEYWORDS: Final = ("LocalSubnet", "DNS", "DHCP", "WINS", "DefaultGateway")
"""Words for remote addresses that every version knows."""
NEWER_KEYWORDS: Final = ("IntrAnet", "IntErnet", "Ply2Renders", "RmtIntrAnet")
"""Words that came with version 2.20, in fields of their own. That is how they are spelled."""
PROFILES: Final = ("Domain", "Private", "Public")
INTERFACE_TYPES: Final = ("Lan", "Wireless", "RemoteAccess")

PORT_PROTOCOLS: Final = (6, 17)
_ICMP: Final = {1: "ICMP4", 58: "ICMP6"}
_OLD: Final = "v2.10"
_NEW: Final = "v2.20"
"""The least version that has every token used, so that the oldest Windows that can read a rule does."""
_TEXTS: Final = {
    "App": "program",
    "Svc": "service",
    "LUAuth": "users",
    "AppPkgId": "package",
    "Name": "name",
    "Desc": "description",
}
_BOOLEANS: Final = {"TRUE": True, "FALSE": False}
_PORT: Final = re.compile(r"[0-9]{1,5}")
_PORTS: Final = re.compile(r"[0-9]{1,5}-[0-9]{1,5}")
_MESSAGE: Final = re.compile(r"[0-9]{1,3}:(?:[0-9]{1,3}|\*)")
_ADDRESSES: Final = {"A4": re.compile(r"[0-9./-]+"), "A6": re.compile(r"[0-9A-Fa-f:./-]+")}
BAR: Final = "|"


class RuleTextError(ValueError):
    """A text is no rule that we would write."""


class FirewallRule(Struct, frozen=True, kw_only=True):
    """One rule. An empty condition leaves nothing out, and no text holds a bar."""

    blocks: bool
    active: bool = True
    incoming: bool = False
    protocol: int | None = None
    profiles: tuple[str, ...] = ()
    local_ports: tuple[str, ...] = ()
    remote_ports: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    """Kinds of ICMP messages, ``8:0`` or ``3:*``."""
    interface_types: tuple[str, ...] = ()
    local_addresses: tuple[str, ...] = ()
    remote_addresses: tuple[str, ...] = ()
    program: str = ""
    service: str = ""
    users: str = ""
    """Who may use it, as an access list in SDDL."""
    package: str = ""
    """The identifier (SID) of a packaged program."""
    name: str = ""
    description: str = ""
    edge: bool = False


def render(rule: FirewallRule) -> str:
    """Write a rule."""
    fields = [f"{name}={value}{BAR}" for name, value in _fields(rule)]
    newer = rule.users or rule.package or any(word in NEWER_KEYWORDS for word in rule.remote_addresses)
    return f"{_NEW if newer else _OLD}{BAR}{''.join(fields)}"


def parse(text: str) -> FirewallRule:
    """Read a rule that ``render`` wrote. Raises: RuleTextError."""
    version, *fields = text.split(BAR)
    if version not in {_OLD, _NEW} or not fields or fields.pop():
        raise RuleTextError("The text does not begin or end as a rule does.")
    found: dict[str, Any] = {}
    for field in fields:
        name, equals, value = field.partition("=")
        if not equals or not value:
            raise RuleTextError("A field has no value.")
        _take(found, name, value)
    if "blocks" not in found:
        raise RuleTextError("The rule has no action.")
    rule = FirewallRule(**found)
    if render(rule) != text:
        raise RuleTextError("The rule is written in another way than ours.")
    return rule


def is_incoming_text(text: str) -> bool:
    """Say whether any rule, whoever wrote it, is about what arrives."""
    return f"{BAR}Dir=In{BAR}" in text


def _fields(rule: FirewallRule) -> Iterator[tuple[str, object]]:
    yield "Action", "Block" if rule.blocks else "Allow"
    yield "Active", "TRUE" if rule.active else "FALSE"
    yield "Dir", "In" if rule.incoming else "Out"
    if rule.protocol is not None:
        yield "Protocol", rule.protocol
    for profile in rule.profiles:
        yield "Profile", profile
    yield from _ports("L", rule.local_ports)
    yield from _ports("R", rule.remote_ports)
    for message in rule.messages:
        yield _ICMP.get(rule.protocol or 0, "ICMP4"), message
    for kind in rule.interface_types:
        yield "IFType", kind
    yield from _addresses("L", rule.local_addresses)
    yield from _addresses("R", rule.remote_addresses)
    for field, member in _TEXTS.items():
        if value := getattr(rule, member):
            yield field, value
    if rule.edge:
        yield "Edge", "TRUE"


def _ports(end: str, ports: Iterable[str]) -> Iterator[tuple[str, str]]:
    for port in ports:
        yield (f"{end}Port2_10" if "-" in port else f"{end}Port"), port


def _addresses(end: str, addresses: Iterable[str]) -> Iterator[tuple[str, str]]:
    for address in addresses:
        if address in KEYWORDS:  # a word is about addresses of both versions
            yield from ((f"{end}A4", address), (f"{end}A6", address))
        elif address in NEWER_KEYWORDS:
            yield from ((f"{end}A42", address), (f"{end}A62", address))
        else:
            yield (f"{end}A6" if ":" in address else f"{end}A4"), address


def _take(found: dict[str, Any], name: str, value: str) -> None:  # noqa: C901, PLR0912 - one branch for each token
    match name:
        case "Action" if value in {"Allow", "Block"}:
            _once(found, "blocks", value == "Block")
        case "Active" if value in _BOOLEANS:
            _once(found, "active", _BOOLEANS[value])
        case "Dir" if value in {"In", "Out"}:
            _once(found, "incoming", value == "In")
        case "Protocol" if value.isascii() and value.isdigit() and int(value[:4]) <= 255:
            _once(found, "protocol", int(value))
        case "Profile" if value in PROFILES:
            _more(found, "profiles", value)
        case "LPort" | "RPort" if _PORT.fullmatch(value):
            _more(found, "local_ports" if name[0] == "L" else "remote_ports", value)
        case "LPort2_10" | "RPort2_10" if _PORTS.fullmatch(value):
            _more(found, "local_ports" if name[0] == "L" else "remote_ports", value)
        case "ICMP4" | "ICMP6" if _MESSAGE.fullmatch(value) and _ICMP.get(found.get("protocol", 0)) == name:
            _more(found, "messages", value)
        case "IFType" if value in INTERFACE_TYPES:
            _more(found, "interface_types", value)
        case "RA4" | "RA6" if value in KEYWORDS:
            _word(found, name, value)
        case "RA42" | "RA62" if value in NEWER_KEYWORDS:
            _word(found, name, value)
        case "LA4" | "LA6" | "RA4" | "RA6" if _ADDRESSES[name[1:]].fullmatch(value):
            _more(found, "local_addresses" if name[0] == "L" else "remote_addresses", value)
        case "Edge" if value == "TRUE":
            _once(found, "edge", True)
        case _ if name in _TEXTS:
            _once(found, _TEXTS[name], value)
        case _:
            raise RuleTextError(f"The field {name[:32]!r} is unknown, or its value is.")


def _word(found: dict[str, Any], name: str, value: str) -> None:
    if name.startswith("RA4"):
        _more(found, "remote_addresses", value)
    elif value not in found.get("remote_addresses", ()):
        raise RuleTextError(f"The word {value} stands for addresses of one version alone.")


def _once(found: dict[str, Any], member: str, value: object) -> None:
    if member in found:
        raise RuleTextError(f"The rule says twice what its {member} is.")
    found[member] = value


def _more(found: dict[str, Any], member: str, value: str) -> None:
    found[member] = (*found.get(member, ()), value)


def without_text(rule: FirewallRule) -> FirewallRule:
    """Return a rule as it takes effect, without what only people read."""
    return replace(rule, name="", description="")
