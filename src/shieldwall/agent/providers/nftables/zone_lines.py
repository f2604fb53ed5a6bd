"""The two chains of a zone: what arrives and what leaves on its interfaces. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from shieldwall.agent.providers.nftables.lines import ESTABLISHED, INVALID, RELATED, REPLY, TABLE, Line, Match
from shieldwall.agent.providers.nftables.machine import Machine
from shieldwall.agent.providers.nftables.rule_lines import matches_of
from shieldwall.agent.providers.nftables.rules import FirewallRule
from shieldwall.agent.providers.nftables.stops import Stops
from shieldwall.agent.providers.nftables.zones import Profile, Zone, ZoneName

ASKED: Final = "asked"
"""The set of those who asked many, and wait for answers."""

_ECHO: Final = (("icmp type", 8), ("icmpv6 type", 128))
_KNOWN: Final = Match(field="ct state", intervals=((ESTABLISHED, ESTABLISHED), (RELATED, RELATED)))
_ANSWER: Final = Match(field="meta iifname . udp dport", words=frozenset({f"@{ASKED}"}))
_ALL: Final[frozenset[Match]] = frozenset()


def zone_lines(
    zone: ZoneName, profile: Profile, rules: Sequence[FirewallRule], machine: Machine, *, asked: bool
) -> Iterator[Line]:
    """Lay out both chains: what is worth nothing, what is open already, every block, every allow, and the default."""
    settings = profile.zone(zone)
    stops = Stops(zone=zone, settings=settings, audit=profile.audit, lacking=machine.lacking)
    counting = [rule for rule in rules if rule.counts_in(zone)]
    inbound = [rule for rule in counting if rule.direction == "in"]
    chain = f"{zone}_in"
    yield from _worthless(chain, settings, stops)
    if settings.established:
        yield _established(chain, only_answers=settings.shielded)
    if settings.shielded:
        if asked and settings.responses:
            yield from stops.allow(chain, "in", "response", frozenset({_ANSWER}))
        yield from stops.stop(chain, "in", "shielded", _ALL)
    else:
        yield from _rules(chain, "in", inbound, stops, machine)
        yield from _defaults_in(chain, settings, stops, asked=asked)
    chain = f"{zone}_out"
    if settings.established:
        yield _established(chain)
    yield from _rules(chain, "out", [rule for rule in counting if rule.direction == "out"], stops, machine)
    if settings.configured:
        yield from _default(chain, "out", settings.outbound, stops)


def _worthless(chain: str, settings: Zone, stops: Stops) -> Iterator[Line]:
    """Stop what nobody meant honestly, or too much of: before connections that are open, which it could claim to be."""
    if settings.validation != "off" and "fib" not in stops.lacking:
        field = "fib saddr . iif oif" if settings.validation == "strict" else "fib saddr oif"
        yield from stops.silently(chain, "in", "source", frozenset({Match(field=field)}))
    if settings.drop_invalid:
        state = Match(field="ct state", intervals=((INVALID, INVALID),))
        yield from stops.silently(chain, "in", "invalid", frozenset({state}))
    if settings.echo == "allow" and settings.echo_rate is not None:
        flood = f"{chain}_flood"
        for match in _echo():
            # Counting has to happen once for each packet, so all that follows stands in a chain of its own.
            yield Line(
                chain=chain,
                comment=f"{TABLE} flood",
                matches=match,
                over=settings.echo_rate,
                verdict=f"goto {flood}",
            )
        yield from stops.silently(flood, "in", "flood", _ALL)


def _established(chain: str, *, only_answers: bool = False) -> Line:
    answers = {Match(field="ct direction", intervals=((REPLY, REPLY),))} if only_answers else set[Match]()
    return Line(chain=chain, comment=f"{TABLE} established", matches=frozenset({_KNOWN, *answers}), verdict="accept")


def _rules(chain: str, direction: str, rules: Sequence[FirewallRule], stops: Stops, machine: Machine) -> Iterator[Line]:
    for rule in rules:
        if rule.action == "block":
            for matches in matches_of(rule, machine):
                yield from stops.stop(chain, direction, rule.id, matches, log=rule.log)
    for rule in rules:
        if rule.action == "allow":
            for matches in matches_of(rule, machine):
                yield from stops.allow(chain, direction, rule.id, matches, log=rule.log)


def _defaults_in(chain: str, settings: Zone, stops: Stops, *, asked: bool) -> Iterator[Line]:
    if not settings.configured:
        return
    for match in _echo():
        end = stops.allow if settings.echo == "allow" else stops.stop
        yield from end(chain, "in", "echo", match)
    if asked:
        end = stops.allow if settings.responses else stops.stop
        yield from end(chain, "in", "response", frozenset({_ANSWER}))
    yield from _default(chain, "in", settings.inbound, stops)


def _default(chain: str, direction: str, action: str, stops: Stops) -> Iterator[Line]:
    """Say what happens to the rest in a line of its own, which counts and logs; a chain's policy does neither."""
    end = stops.allow if action == "allow" else stops.stop
    yield from end(chain, direction, "default", _ALL)


def _echo() -> Iterator[frozenset[Match]]:
    for field, number in _ECHO:
        yield frozenset({Match(field=field, intervals=((number, number),))})
