"""How a packet is stopped in a zone, and what is noted of one that is stopped or let through. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec import Struct

from shieldwall.agent.providers.nftables.lines import NEW, TABLE, Line, Log, Match
from shieldwall.agent.providers.nftables.zones import Zone, ZoneName

GROUPS: Final[dict[ZoneName, int]] = {"trusted": 5841, "internal": 5842, "public": 5843}
"""Groups of netlink to which the zones send what is to be logged."""
_TCP: Final = 6


def limit_of(zone: ZoneName) -> str:
    """Name the limit that all logging of a zone shares."""
    return f"log_{zone}"


class Stops(Struct, frozen=True, kw_only=True):
    """Makes the lines that end a packet's way through one zone."""

    zone: ZoneName
    settings: Zone
    audit: bool
    """Whether nothing is stopped and all that would be is noted."""
    lacking: tuple[str, ...] = ()

    def stop(
        self, chain: str, direction: str, cause: str, matches: frozenset[Match], *, log: bool = False
    ) -> Iterator[Line]:
        """Stop what matches: without an answer in stealth mode, else with one that says so."""
        yield from self._noted_stop(chain, direction, cause, matches, log=log)
        if self.audit or self.settings.stealth or "reject" in self.lacking:
            yield self._end(chain, cause, matches, "accept" if self.audit else "drop")
            return
        speaks = _protocols(matches)
        if speaks is None:
            tcp = Match(field="meta l4proto", intervals=((_TCP, _TCP),))
            yield self._end(chain, cause, matches | {tcp}, "reject with tcp reset")
        yield self._end(chain, cause, matches, "reject with tcp reset" if speaks == _TCP else "reject")

    def silently(self, chain: str, direction: str, cause: str, matches: frozenset[Match]) -> Iterator[Line]:
        """Stop what no answer would reach, or what deserves none."""
        yield from self._noted_stop(chain, direction, cause, matches, log=False)
        yield self._end(chain, cause, matches, "accept" if self.audit else "drop")

    def allow(
        self, chain: str, direction: str, cause: str, matches: frozenset[Match], *, log: bool = False
    ) -> Iterator[Line]:
        """Let through what matches; noted is the first packet of each connection."""
        if log or self.settings.log_accepted:
            new = Match(field="ct state", intervals=((NEW, NEW),))
            yield from self._note(chain, direction, "accept", cause, matches | {new})
        yield self._end(chain, cause, matches, "accept")

    def _noted_stop(
        self, chain: str, direction: str, cause: str, matches: frozenset[Match], *, log: bool
    ) -> Iterator[Line]:
        if log or self.audit or self.settings.log_dropped:
            yield from self._note(chain, direction, "audit" if self.audit else "drop", cause, matches)

    def _note(self, chain: str, direction: str, what: str, cause: str, matches: frozenset[Match]) -> Iterator[Line]:
        if "log" not in self.lacking:
            yield Line(
                chain=chain,
                comment=f"{TABLE} {cause}",
                matches=matches,
                limit=limit_of(self.zone),
                log=Log(prefix=f"{self.zone} {direction} {what} {cause}", group=GROUPS[self.zone]),
            )

    def _end(self, chain: str, cause: str, matches: frozenset[Match], verdict: str) -> Line:
        return Line(chain=chain, comment=f"{TABLE} {cause}", matches=matches, verdict=verdict)


def _protocols(matches: frozenset[Match]) -> int | None:
    """Say which protocol all that matches speaks: TCP, another one or several without it (0), or unknown (None)."""
    for match in matches:
        if match.field in {"tcp sport", "tcp dport"}:
            return _TCP
        if match.field.split()[0] in {"udp", "icmp", "icmpv6"}:
            return 0
        if match.field == "meta l4proto":
            return _TCP if match.intervals == ((_TCP, _TCP),) else 0
    return None
