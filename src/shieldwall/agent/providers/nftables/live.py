"""The table as the kernel holds it, parsed from ``nft -n -j``, and how often its lines were hit."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from typing import Any, Final

from msgspec import Struct

from shieldwall.agent.providers.nftables.intervals import Interval, merged
from shieldwall.agent.providers.nftables.lines import CONTROL_GROUP, Line, Log, Match

_INTERFACE_AND_PORT: Final = {
    "concat": [{"meta": {"key": "oifname"}}, {"payload": {"protocol": "udp", "field": "sport"}}]
}
_WORDS: Final = frozenset({"meta iifname", "meta oifname"})


class UnreadableLine(Struct, frozen=True, kw_only=True):
    """A live rule that is none of ours in form; by its comment, if it has one."""

    chain: str
    comment: str


class LiveTable(Struct, frozen=True, kw_only=True):
    """Our table: the chains hooked in as they must be and those that are not, its objects, and its lines in order."""

    hooked: frozenset[str]
    strange: frozenset[str]
    """Chains that are hooked in some other way."""
    objects: frozenset[str]
    """Limits, sets and helpers, each in a few words that are the same for the same."""
    lines: tuple[Line | UnreadableLine, ...]
    packets: tuple[int, ...] = ()
    """How many packets each line counted."""
    flagged: bool = False
    """Whether the table as a whole has a flag, such as *dormant*; we set none, and then nothing else was looked at."""


FLAGGED: Final = LiveTable(hooked=frozenset(), strange=frozenset(), objects=frozenset(), lines=(), flagged=True)
"""What is known of a table with a flag."""


def parse_table(listing: Any) -> LiveTable:
    """Read the parsed JSON of ``nft -n -j list table``. Raises: TypeError, KeyError, ValueError on anything else."""
    entries = listing["nftables"]
    chains = [entry["chain"] for entry in entries if "chain" in entry]
    rules = [entry["rule"] for entry in entries if "rule" in entry]
    return LiveTable(
        hooked=frozenset(chain["name"] for chain in chains if _hooked(chain)),
        strange=frozenset(chain["name"] for chain in chains if "hook" in chain and not _hooked(chain)),
        objects=frozenset(_objects(entries)),
        lines=tuple(_line(rule) for rule in rules),
        packets=tuple(map(_packets, rules)),
    )


def hits(live: LiveTable) -> dict[str, int]:
    """Count packets by what stopped or let them through: the id of a rule, or the name of what holds for a zone."""
    counted: dict[str, int] = {}
    for line, packets in zip(live.lines, live.packets, strict=True):
        counted[line.comment] = counted.get(line.comment, 0) + packets
    return counted


def _objects(entries: Any) -> Iterator[str]:
    for entry in entries:
        if limit := entry.get("limit"):
            inverse = " over" if limit.get("inv") else ""
            yield f"limit {limit['name']}{inverse} {limit['rate']}/{limit['per']} burst {limit.get('burst')}"
        elif found := entry.get("set"):
            yield f"set {found['name']} {' . '.join(found['type'])} timeout {found.get('timeout')}"
        elif helper := entry.get("ct helper"):
            yield f"helper {helper['name']} {helper['type']} {helper['protocol']}"


def _hooked(chain: Any) -> bool:
    wanted = {"type": "filter", "hook": chain["name"], "prio": 0, "policy": "accept"}
    return all(chain.get(name) == value for name, value in wanted.items())


def _packets(rule: Any) -> int:
    counters = [part["counter"] for part in rule["expr"] if isinstance(part, dict) and part.get("counter")]
    return sum(int(counter["packets"]) for counter in counters)


def _line(rule: Any) -> Line | UnreadableLine:
    comment = str(rule.get("comment", ""))
    try:
        said: dict[str, Any] = {}
        for part in rule["expr"]:
            said = _with(said, _part(part))
        matches = frozenset(said.pop("match", ()))
        return Line(chain=rule["chain"], comment=comment, matches=matches, **said)
    except (KeyError, TypeError, ValueError, AttributeError):
        return UnreadableLine(chain=str(rule["chain"]), comment=comment)


def _with(said: dict[str, Any], read: tuple[str, Any]) -> dict[str, Any]:
    attribute, value = read
    if attribute == "match":
        return {**said, "match": (*said.get("match", ()), value)}
    if attribute in said:
        raise ValueError("Something that we say once is said twice.")
    return {**said, attribute: value} if attribute else said


def _part(part: Any) -> tuple[str, Any]:
    """Read one part of a rule: the attribute of the line and its value. Raises: ValueError for what we never write."""
    read: tuple[str, Any] = ("", None)
    match part:
        case {"counter": _}:
            pass
        case {"match": match}:
            read = "match", _match(match)
        case {"limit": str(name)}:
            read = "limit", name
        case {"limit": {"rate": int(rate), "per": "second", "inv": True, "burst": burst}} if burst == rate:
            read = "over", rate
        case {"log": {"prefix": str(prefix), "group": int(group), **others}} if not others:
            read = "log", Log(prefix=prefix, group=group)
        case {"set": {"op": "update", "elem": element, "set": str(name)}} if element == _INTERFACE_AND_PORT:
            read = "remember", name.removeprefix("@")
        case {"ct helper": str(name)}:
            read = "helper", name
        case _:
            read = "verdict", _verdict(part)
    return read


def _verdict(part: Any) -> str:
    match part:
        case {"accept": _} | {"drop": _}:
            return str(next(iter(part)))
        case {"goto": {"target": str(target)}}:
            return f"goto {target}"
        case {"reject": {"type": "tcp reset"}}:
            return "reject with tcp reset"
        case {"reject": {"type": "icmpx", "expr": 1 | "port-unreachable"}} | {"reject": None}:
            return "reject"
        case _:
            raise ValueError("A part we never write.")


def _match(match: Any) -> Match:
    if match["op"] not in {"==", "in"}:
        raise ValueError("A comparison we never write.")
    field, right = _field(match["left"]), match["right"]
    if field.startswith("fib") and right is False:
        return Match(field=field)
    if isinstance(right, str) and right.startswith("@"):
        return Match(field=field, words=frozenset({right}))
    values = right["set"] if isinstance(right, dict) and "set" in right else right
    members = values if isinstance(values, list) else [values]
    if field in _WORDS or (field == CONTROL_GROUP and isinstance(right, str)):
        if not all(isinstance(member, str) for member in members):
            raise ValueError("A word was expected.")
        return Match(field=field, words=frozenset(members))
    return Match(field=field, intervals=merged(_interval(member) for member in members))


def _field(left: Any) -> str:
    ((kind, said),) = left.items()
    match kind:
        case "payload":
            return f"{said['protocol']} {said['field']}"
        case "concat":
            return " . ".join(map(_field, said))
        case "fib":
            result = "oif" if said["result"] == "check" else said["result"]  # how nft 1.1.2 and later say it
            return f"fib {' . '.join(said['flags'])} {result}"
        case "socket":
            return f"socket {said['key']}"
        case _:
            return f"{kind} {said['key']}"


def _interval(member: Any) -> Interval:
    match member:
        case bool():
            raise ValueError("Neither a number nor a range.")
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
