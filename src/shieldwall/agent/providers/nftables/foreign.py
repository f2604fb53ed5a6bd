"""Tables of others that decide on the same packets, and who probably made them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from shieldwall.agent.providers.nftables.lines import TABLE
from shieldwall.agent.providers.nftables.machine import ForeignTable

_HOOKS: Final = frozenset({"ingress", "prerouting", "input", "forward", "output", "postrouting"})
_BY_CHAIN: Final = (
    ("ufw-", "ufw"),
    ("ufw6-", "ufw"),
    ("DOCKER", "Docker"),
    ("KUBE-", "Kubernetes"),
    ("LIBVIRT_", "libvirt"),
    ("CNI-", "a container runtime"),
    ("NETAVARK", "Podman"),
    ("f2b-", "fail2ban"),
)
_BY_TABLE: Final = (
    ("firewalld", "firewalld"),
    ("docker-bridges", "Docker"),
    ("libvirt_network", "libvirt"),
    ("f2b-table", "fail2ban"),
    ("netavark", "Podman"),
)
_IPTABLES: Final = frozenset({"filter", "nat", "mangle", "raw", "security"})
_MOST: Final = 32


def foreign_tables(listing: Sequence[Any]) -> tuple[ForeignTable, ...]:
    """Find every table beside ours that can stop packets or let them through: with a policy of drop, or with rules.

    ``listing`` is that of ``nft -j list ruleset``. Raises: KeyError, TypeError, AttributeError on anything else.
    """
    chains = [entry["chain"] for entry in listing if "chain" in entry]
    ruled = {_table(entry["rule"]) for entry in listing if "rule" in entry}
    deciding = {
        _table(chain)
        for chain in chains
        if chain.get("hook") in _HOOKS and (chain.get("policy") == "drop" or _table(chain) in ruled)
    }
    deciding.discard(("inet", TABLE))
    found = [
        ForeignTable(
            family=family,
            name=name[:64],
            manager=_manager(name, [chain["name"] for chain in chains if _table(chain) == (family, name)]),
        )
        for family, name in sorted(deciding)
    ]
    return tuple(found[:_MOST])


def legacy_tables(names: bytes | None, saved: bytes | None, family: str) -> tuple[ForeignTable, ...]:
    """Find tables of the older kernel interface, which nft does not list.

    ``names`` is ``/proc/net/ip_tables_names``: whoever once looked at a table made it, empty. ``saved`` is what
    ``iptables-legacy-save`` prints; without it a table that is there counts, whatever it holds.
    """
    found = sorted((names or b"").decode(errors="replace").split())
    deciding = found if saved is None else [name for name in found if name in _with_content(saved)]
    return tuple(
        ForeignTable(family=family, name=f"{name[:64]} (legacy)", manager="iptables-legacy")
        for name in deciding[:_MOST]
    )


def _with_content(saved: bytes) -> frozenset[str]:
    """Return the tables that have a rule, or a policy other than to accept."""
    table, found = "", set()
    for line in saved.decode(errors="replace").splitlines():
        table = line[1:].strip() if line.startswith("*") else table
        if line.startswith("-A") or (line.startswith(":") and " DROP " in line):
            found.add(table)
    return frozenset(found)


def _table(entry: Any) -> tuple[str, str]:
    return str(entry["family"]), str(entry["table"])


def _manager(table: str, chains: Iterable[str]) -> str:
    for beginning, manager in _BY_TABLE:
        if table.startswith(beginning):
            return manager
    names = list(chains)
    makers = [maker for beginning, maker in _BY_CHAIN if any(name.startswith(beginning) for name in names)]
    if makers:
        return " and ".join(dict.fromkeys(makers))
    if table in _IPTABLES and any(name.isupper() for name in names):
        return "iptables"
    return "an administrator"
