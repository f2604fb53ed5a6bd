"""The table as the kernel holds it, parsed from ``nft -j``, and every way in which it differs from what is desired."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any, Final

from shieldwall.agent.providers.nftables.intervals import Interval, merged
from shieldwall.agent.providers.nftables.lines import CHAINS, Line, Match

_NUMBERED: Final = frozenset({"sport", "dport", "saddr", "daddr"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One way in which the live table is not the desired one."""

    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableLine:
    """A live rule that is none of ours in form; by its comment, if it has one."""

    chain: str
    comment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveTable:
    """Our table: which chains are hooked in as they must be, and their lines in order."""

    hooked: frozenset[str]
    lines: tuple[Line | UnreadableLine, ...]


def parse_table(listing: Any) -> LiveTable:
    """Read the parsed JSON of ``nft -j list table``. Raises: TypeError, KeyError, ValueError on anything else."""
    entries = listing["nftables"]
    return LiveTable(
        hooked=frozenset(entry["chain"]["name"] for entry in entries if "chain" in entry and _hooked(entry["chain"])),
        lines=tuple(_line(entry["rule"]) for entry in entries if "rule" in entry),
    )


def differences(live: LiveTable | None, desired: Sequence[Line]) -> tuple[Difference, ...]:
    """Say how the live table differs; nothing when it is exactly as desired."""
    if live is None:
        return (Difference(code="tableMissing", reason="The table inet shieldwall is gone."),)
    unhooked = tuple(
        Difference(code="chainMissing", reason=f"The chain {chain} does not filter as it must.")
        for chain in CHAINS
        if chain not in live.hooked
    )
    found = [line for chain in CHAINS for line in live.lines if line.chain == chain]
    wanted = [line for chain in CHAINS for line in desired if line.chain == chain]
    missing = Counter(wanted) - Counter(line for line in found if isinstance(line, Line))
    unexpected = Counter(found) - Counter(wanted)
    changed = {line.comment for line in missing} & {line.comment for line in unexpected}
    ordered = (
        (Difference(code="orderChanged", reason="The rules stand in another order."),)
        if not missing and not unexpected and len(live.lines) == len(desired) and found != wanted
        else ()
    )
    return (
        *unhooked,
        *(Difference(code="ruleChanged", reason=f"{comment} was changed.") for comment in sorted(changed)),
        *_about("ruleMissing", "is missing", {line.comment for line in missing} - changed),
        *_about("ruleUnexpected", "is not of the policy", {line.comment for line in unexpected} - changed),
        *ordered,
    )


def _about(code: str, what: str, comments: set[str]) -> tuple[Difference, ...]:
    return tuple(
        Difference(code=code, reason=f"{comment or 'A rule without comment'} {what}.") for comment in sorted(comments)
    )


def _hooked(chain: Any) -> bool:
    wanted = {"type": "filter", "hook": chain["name"], "prio": 0, "policy": "accept"}
    return all(chain.get(name) == value for name, value in wanted.items())


def _line(rule: Any) -> Line | UnreadableLine:
    comment = str(rule.get("comment", ""))
    try:
        *conditions, verdict = (entry for entry in rule["expr"] if "counter" not in entry)
        return Line(
            chain=rule["chain"],
            comment=comment,
            matches=frozenset(_match(entry["match"]) for entry in conditions),
            verdict="accept" if "accept" in verdict else _drop(verdict),
        )
    except (KeyError, TypeError, ValueError):
        return UnreadableLine(chain=str(rule["chain"]), comment=comment)


def _drop(verdict: Any) -> Any:
    if "drop" not in verdict:
        raise ValueError("Neither accept nor drop.")
    return "drop"


def _match(match: Any) -> Match:
    if match["op"] not in {"==", "in"}:
        raise ValueError("A comparison we never write.")
    ((kind, left),) = match["left"].items()
    field = f"{left['protocol']} {left['field']}" if kind == "payload" else f"{kind} {left['key']}"
    right = match["right"]
    values = right["set"] if isinstance(right, dict) and "set" in right else right
    members = values if isinstance(values, list) else [values]
    if field.rsplit(maxsplit=1)[-1] in _NUMBERED:
        return Match(field=field, intervals=merged(_interval(member) for member in members))
    if not all(isinstance(member, str) for member in members):
        raise ValueError("A word was expected.")
    return Match(field=field, words=frozenset(members))


def _interval(member: Any) -> Interval:
    match member:
        case int():
            return member, member
        case {"range": [first, last]}:
            return _number(first), _number(last)
        case {"prefix": {"addr": address, "len": length}}:
            network = ip_network(f"{address}/{length}")
            return int(network.network_address), int(network.broadcast_address)
        case str():
            return _number(member), _number(member)
        case _:
            raise ValueError("Neither a number nor a range.")


def _number(member: Any) -> int:
    return member if isinstance(member, int) else int(ip_address(member))
