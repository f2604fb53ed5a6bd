"""Whether a change of the store could keep the device from its server. Pure, and in doubt yes.

What other stores say is not known here: a block by default may be theirs, and so may the rule that lets us through. So
all that can end a connection counts wherever it is new, and every rule that let something out wherever it is gone. So
does every value that is gone and held such a thing of another store back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from shieldwall.agent.host.registry import RegistryValue
from shieldwall.agent.host.registry.model import same_name
from shieldwall.agent.providers import registry_values
from shieldwall.agent.providers.base import Files
from shieldwall.agent.providers.windows_firewall import grammar
from shieldwall.agent.providers.windows_firewall.places import (
    GLOBAL_PLACES,
    IPSEC,
    PROFILE_PLACES,
    PROFILES,
    RULES_KEY,
    Place,
    PolicyStore,
    value_at,
)

_ICMP, _ICMP_6 = 1, 58
_OUTBOUND: Final = PROFILE_PLACES["defaultoutboundaction"]
_Held = dict[tuple[str, str], RegistryValue]


def may_cut_off(store: PolicyStore, before: Files, after: Files) -> bool:
    """Say whether going from one content to the other could. Raises: HostError: no document."""
    old, new = registry_values.read(before.get(store.path)), registry_values.read(after.get(store.path))
    if old == new:
        return False
    if any(True for _ in frozenset(_risks(store, new)) - frozenset(_risks(store, old))):
        return True
    if frozenset(_holding(store, old)) - frozenset(_spoken_of(store, new)):
        return True
    return bool(frozenset(_openings(old)) - frozenset(_openings(new))) and not _is_open(store, new)


def _risks(store: PolicyStore, held: _Held) -> Iterator[object]:
    """Yield everything that can stop what the device says to its server, or what it hears from it; comparable."""
    for profile in PROFILES.values():
        for last, place in PROFILE_PLACES.items():
            if (number := _number(held, value_at(store, profile, place))) in place.cuts:
                yield profile, last, number
    for last, place in GLOBAL_PLACES.items():
        number = _number(held, value_at(store, "", place))
        if number in place.cuts or (last in IPSEC and number is not None):
            yield last, number
    for name, text in _rules(held):
        try:
            rule = grammar.without_text(grammar.parse(text))
        except grammar.RuleTextError:
            yield name, text  # somebody else's; it may say anything
            continue
        if rule.blocks and rule.active and _carries(rule):
            yield rule


def _carries(rule: grammar.FirewallRule) -> bool:
    """Say whether a check-in may need what a rule is about.

    What the device asked for is let in whatever the rules, and no message of ICMP carries a check-in; but by those of
    IPv6 a device finds its router, whose answers come unasked for.
    """
    if rule.incoming:
        return rule.protocol in {None, _ICMP_6}
    return rule.protocol != _ICMP


def _holding(store: PolicyStore, held: _Held) -> Iterator[tuple[str, str]]:
    """Yield the places at which a value stands that holds the network open, whatever other stores say."""
    for at, place in _places(store):
        number = _number(held, at)
        if place.cuts and number is not None and number not in place.cuts:
            yield at


def _spoken_of(store: PolicyStore, held: _Held) -> Iterator[tuple[str, str]]:
    for at, _ in _places(store):
        if _number(held, at) is not None:
            yield at


def _places(store: PolicyStore) -> Iterator[tuple[tuple[str, str], Place]]:
    for profile in PROFILES.values():
        yield from ((value_at(store, profile, place), place) for place in PROFILE_PLACES.values())
    yield from ((value_at(store, "", place), place) for place in GLOBAL_PLACES.values())


def _openings(held: _Held) -> Iterator[object]:
    for _, text in _rules(held):
        try:
            rule = grammar.without_text(grammar.parse(text))
        except grammar.RuleTextError:
            if not grammar.is_incoming_text(text):
                yield text
            continue
        if not rule.blocks and rule.active and not rule.incoming:
            yield rule


def _is_open(store: PolicyStore, held: _Held) -> bool:
    """Say whether the store itself lets out what no rule speaks of, so that no rule is needed for it."""
    return all(_number(held, value_at(store, profile, _OUTBOUND)) == 0 for profile in PROFILES.values())


def _rules(held: _Held) -> Iterator[tuple[str, str]]:
    key = same_name(RULES_KEY)
    for (below, name), value in held.items():
        if below == key and isinstance(value.data, str):
            yield name, value.data


def _number(held: _Held, at: tuple[str, str]) -> int | None:
    value = held.get((same_name(at[0]), same_name(at[1])))
    return value.data if value is not None and isinstance(value.data, int) else None
