"""Finding out what nft and the kernel of this machine take, without changing anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.nftables.layout import HELPER_PORTS, table_of
from shieldwall.agent.providers.nftables.lines import table_text
from shieldwall.agent.providers.nftables.machine import Machine
from shieldwall.agent.providers.nftables.nft import refusal_of
from shieldwall.agent.providers.nftables.rules import FirewallRule
from shieldwall.agent.providers.nftables.usable import refusal
from shieldwall.agent.providers.nftables.zones import Profile

_TABLE: Final = "shieldwall_check"
_ACCEPTED_SECONDS: Final = 3600.0
"""So long a table that was fine counts as fine: a module that went since then shows when it is loaded anyway."""
_FEATURES: Final[Mapping[str, str]] = {
    "fib": "chain c {\n  fib saddr . iif oif missing drop\n }\n",
    "log": 'chain c {\n  limit rate 1/second log prefix "check" group 1\n }\n',
    "dynset": "set s {\n  type ifname . inet_service\n  flags dynamic,timeout\n }\n"
    " chain c {\n  fib daddr type multicast update @s { meta oifname . udp sport timeout 5s }\n }\n",
    "reject": "chain c {\n  reject with icmpx type port-unreachable\n }\n",
}
"""What a kernel may have been built without, each as the smallest table that needs it."""


class Accepted:
    """The last table that nft and the kernel took as a whole, so that a look for drift does not have it checked anew.

    To be forgotten whenever a table is loaded: one that is refused although it was fine before is looked at again.
    """

    def __init__(self, *, monotonic: Callable[[], float]) -> None:
        """Know of none."""
        self._monotonic = monotonic
        self._known: tuple[Host, str, float] | None = None

    def forget(self) -> None:
        """Have the next table checked."""
        self._known = None

    def takes(self, host: Host, text: str) -> bool:
        """Say whether a table is taken. Raises: HostError."""
        now = self._monotonic()
        if self._known is not None:
            of, what, at = self._known
            if of is host and what == text and now - at < _ACCEPTED_SECONDS:
                return True
        is_taken = refusal_of(host, text.encode()) is None
        self._known = (host, text, now) if is_taken else None
        return is_taken


def checked(
    host: Host, profile: Profile, rules: Sequence[FirewallRule], machine: Machine, accepted: Accepted
) -> Machine:
    """Let the kernel look at the whole table, and note what it lacks and which rules it refuses, if it does.

    Mostly the whole is fine and one look suffices. Raises: HostError.
    """
    usable = tuple(rule for rule in rules if refusal(rule, machine) is None)
    if accepted.takes(host, table_text(table_of(profile, usable, machine))):
        return machine
    machine = replace(machine, lacking=tuple(name for name in sorted(_FEATURES) if _lacks(host, _FEATURES[name])))
    refused = {rule.id: words for rule in rules if (words := _refusal(host, rule, machine)) is not None}
    return replace(machine, refused=dict(sorted(refused.items())))


def kernel_helpers(host: Host) -> tuple[str, ...]:
    """Return the connection tracking helpers that the kernel has. Raises: HostError."""
    return tuple(
        name
        for name, (protocol, _) in HELPER_PORTS.items()
        if not _lacks(host, f'ct helper h {{\n  type "{name}" protocol {protocol};\n }}\n')
    )


def _refusal(host: Host, rule: FirewallRule, machine: Machine) -> str | None:
    if refusal(rule, machine) is not None:
        return None
    everywhere = msgspec.structs.replace(
        rule, zones=frozenset()
    )  # a profile that nobody wrote has the zone public alone
    words = refusal_of(host, table_text(table_of(Profile(), (everywhere,), machine)).encode())
    return None if words is None else words[:500]


def _lacks(host: Host, body: str) -> bool:
    return refusal_of(host, f"table inet {_TABLE} {{\n {body}}}\n".encode()) is not None
