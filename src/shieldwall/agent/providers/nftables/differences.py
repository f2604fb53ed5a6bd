"""Every way in which the table in the kernel is not the desired one. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from msgspec import Struct

from shieldwall.agent.providers.nftables.lines import REMEMBERED_SECONDS, Line, Table
from shieldwall.agent.providers.nftables.live import LiveTable


class Difference(Struct, frozen=True, kw_only=True):
    """One way in which the live table is not the desired one."""

    code: str
    reason: str


def differences(live: LiveTable | None, desired: Table) -> tuple[Difference, ...]:
    """Say how the live table differs; nothing when it is exactly as desired."""
    if live is None:
        return (Difference(code="tableMissing", reason="The table inet shieldwall is gone."),)
    if live.flagged:
        return (
            Difference(code="tableFlagged", reason="The table has a flag, such as dormant: it may filter nothing."),
        )
    chains = sorted({*desired.chains, *(line.chain for line in live.lines)})
    found = [line for chain in chains for line in live.lines if line.chain == chain]
    wanted = [line for chain in chains for line in desired.lines if line.chain == chain]
    missing = Counter(wanted) - Counter(line for line in found if isinstance(line, Line))
    unexpected = Counter(found) - Counter(wanted)
    changed = {line.comment for line in missing} & {line.comment for line in unexpected}
    return (
        *_about_chains(live, desired),
        *_about_objects(live, desired),
        *(Difference(code="ruleChanged", reason=f"{comment} was changed.") for comment in sorted(changed)),
        *_about("ruleMissing", "is missing", {line.comment for line in missing} - changed),
        *_about("ruleUnexpected", "is not of the policy", {line.comment for line in unexpected} - changed),
        *(
            (Difference(code="orderChanged", reason="The rules stand in another order."),)
            if not missing and not unexpected and found != wanted
            else ()
        ),
    )


def object_names(desired: Table) -> frozenset[str]:
    """Describe limits, sets and helpers in the words of ``live``."""
    return frozenset(
        (
            *(f"limit {name} {rate}/second burst {rate}" for name, rate in desired.limits),
            *(f"set {name} ifname . inet_service timeout {REMEMBERED_SECONDS}" for name in desired.sets),
            *(f"helper {helper.name} {helper.name} {helper.protocol}" for helper in desired.helpers),
        )
    )


def _about_chains(live: LiveTable, desired: Table) -> Iterator[Difference]:
    for chain in desired.hooks:
        if chain not in live.hooked:
            yield Difference(code="chainMissing", reason=f"The chain {chain} does not filter as it must.")
    for chain in sorted((live.strange | live.hooked) - set(desired.hooks)):
        yield Difference(code="chainUnexpected", reason=f"The chain {chain} is not of the policy.")


def _about_objects(live: LiveTable, desired: Table) -> Iterator[Difference]:
    wanted = object_names(desired)
    for name in sorted(wanted - live.objects):
        yield Difference(code="objectMissing", reason=f"The {name} is missing.")
    for name in sorted(live.objects - wanted):
        yield Difference(code="objectUnexpected", reason=f"The {name} is not of the policy.")


def _about(code: str, what: str, comments: set[str]) -> Iterator[Difference]:
    for comment in sorted(comments):
        yield Difference(code=code, reason=f"{comment or 'A rule without comment'} {what}.")
