"""Conditions of a rule beyond addresses and ports, read strictly: interfaces, kinds of them, services, users, ICMP."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from shieldwall.agent.providers.nftables.zones import interface_fault

InterfaceKind: TypeAlias = Literal["lan", "wireless", "mobilebroadband", "remoteaccess", "virtual"]

INTERFACE_KINDS: Final[Mapping[str, InterfaceKind]] = {
    "lan": "lan",
    "wireless": "wireless",
    "mobilebroadband": "mobilebroadband",
    "remoteaccess": "remoteaccess",
    "virtual": "virtual",
}
"""Kinds by the last word of their option."""

_SERVICE: Final = re.compile(r"[A-Za-z0-9:_.@\\-]{1,240}\.(?:service|slice|scope|socket)\Z")
_USER: Final = re.compile(r"(?:[a-z_][a-z0-9_-]{0,31}\$?|[0-9]{1,10})\Z")
_ICMP: Final = re.compile(r"([0-9]{1,3}):([0-9]{1,3}|\*)\Z")
_HIGHEST_ICMP: Final = 255
_HIGHEST_USER: Final = 2**32 - 2
"""The number above it means nobody."""


def parse_interface(text: str) -> str:
    """Read the name of an interface, or the beginning of names such as ``wg*``. Raises: ValueError."""
    if (fault := interface_fault(text)) is not None:
        raise ValueError(fault)
    return text


def parse_user(text: str) -> str:
    """Read a user by name or number. Raises: ValueError."""
    if not _USER.match(text) or (text.isdecimal() and int(text) > _HIGHEST_USER):
        raise ValueError(f"{text[:64]!r} is not a user.")
    return text


def parse_icmp(text: str) -> tuple[int, int | None] | None:
    """Read a kind of message such as ``8:0`` or ``3:*``; ``None`` is ``*``, every kind. Raises: ValueError."""
    if text == "*":
        return None
    match = _ICMP.match(text)
    if match is None or any(part != "*" and int(part) > _HIGHEST_ICMP for part in match.groups()):
        raise ValueError(f"{text[:64]!r} is not a kind of ICMP message.")
    return int(match[1]), None if match[2] == "*" else int(match[2])


def is_unit(text: str) -> bool:
    """Say whether a text can name a unit of systemd that has sockets."""
    return _SERVICE.match(text) is not None
