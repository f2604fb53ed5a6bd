"""What became of the packets of a probe, and what that says of the settings. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct

from shieldwall.agent.firewall_probe.packets import Answer
from shieldwall.agent.providers.base import Observation
from shieldwall.agent.providers.nftables.live import LiveTable
from shieldwall.agent.providers.nftables.rules import FIREWALL_RULES
from shieldwall.agent.providers.nftables.trials import Trial
from shieldwall.contract.ids import SettingId

COMPARED_ONLY: Final = "comparedOnly"
"""The code of what packets could prove and did not: the table in the kernel is as it must be, and that is all."""
PASSED: Final = "packetPassed"
"""The code of what does not hold although the table is as it must be: a packet got in beside it."""
STOPPED_BEFORE: Final = "stoppedBefore"
"""The code where something else stopped a packet before our table saw it."""
PASSED_ON: Final = "passedOn"
"""The code where a packet was on its way to another machine before our table saw it arrive."""

_HELD: Final = Observation(effective=True)
_ANSWERED: Final[frozenset[Answer | None]] = frozenset({"accepted", "echoed"})
"""What only this machine itself answers, and no firewall on its behalf."""


class Fate(Struct, frozen=True, kw_only=True):
    """What was seen of one packet."""

    answer: Answer | None
    reached: bool
    """Whether the line that has to decide on it counted it."""


def reached(trials: Sequence[Trial], before: LiveTable, after: LiveTable) -> tuple[bool, ...]:
    """Say of each packet whether its line counted it: by as many as were sent there, other traffic aside."""
    sent = Counter((trial.expected.line.chain, trial.expected.position) for trial in trials)
    return tuple(
        _counted(after, *place) - _counted(before, *place) >= sent[place]
        for trial in trials
        for place in [(trial.expected.line.chain, trial.expected.position)]
    )


def judged(trials: Sequence[Trial], fates: Sequence[Fate], *, alone: bool) -> Mapping[SettingId, Observation]:
    """Say what the fates mean for each setting that the packets are about; the worst counts.

    ``alone`` is whether no other table has a say: whoever has one may refuse a packet by the same reset as the kernel.
    """
    found: dict[SettingId, Observation] = {}
    for trial, fate in zip(trials, fates, strict=True):
        seen = _of(trial, fate, alone=alone)
        for setting in trial.proves:
            untold = setting.endswith("_stealthmode") and trial.refuses and fate.answer != "refused"
            own = compared_only("No refusal came back to the sender.") if untold and seen.effective else seen
            found[setting] = min(found.get(setting, own), own, key=_severity)
    return found


def with_rules_left(
    found: Mapping[SettingId, Observation], trials: Sequence[Trial], rules: int
) -> Mapping[SettingId, Observation]:
    """Say of the setting of all rules how many of them the packets were about, unless all were."""
    tried = len({trial.rule for trial in trials if trial.rule})
    if tried == rules or found.get(FIREWALL_RULES) != _HELD:
        return found
    reason = f"{tried} of {rules} rules were proven by packets; of the others the table in the kernel was compared."
    return {**found, FIREWALL_RULES: Observation(effective=True, code=COMPARED_ONLY, reason=reason)}


def compared_only(why: str) -> Observation:
    """Say why no packet proves a setting that the table in the kernel agrees with."""
    return Observation(effective=True, code=COMPARED_ONLY, reason=f"The table in the kernel was compared. {why}")


def _of(trial: Trial, fate: Fate, *, alone: bool) -> Observation:
    what = _told(trial)
    if fate.answer == "passedOn":
        reason = f"{what} is passed on, to a container say, before the rules for what arrives see it."
        return Observation(effective=None, code=PASSED_ON, reason=reason)
    answered = fate.answer in _ANSWERED or (fate.answer == "refused" and alone)
    own_refusal = trial.refuses and fate.reached and fate.answer == "refused"
    if answered and not own_refusal and not (trial.opens and fate.reached):
        return Observation(effective=False, code=PASSED, reason=f"{what} got in beside the table.")
    if fate.reached and (trial.opens or own_refusal or fate.answer != "refused"):
        return _HELD
    reason = f"{what} never got to the table: something else stops it before."
    # Closed it is all the same. What has to be open is not, and that is nothing which this table could change.
    return Observation(effective=None if trial.opens else True, code=STOPPED_BEFORE, reason=reason)


def _told(trial: Trial) -> str:
    what = {
        "tcp": f"A packet to port {trial.packet.destination_port}",
        "stray": "A packet of no connection",
        "echo": "A ping",
    }[trial.packet.kind]
    return f"{what} that {trial.expected.line.comment!r} must {'let in' if trial.opens else 'stop'}"


def _severity(seen: Observation) -> tuple[int, bool]:
    return (0 if seen.effective is False else 1 if seen.effective is None else 2), not seen.code


def _counted(live: LiveTable, chain: str, position: int) -> int:
    return [count for line, count in zip(live.lines, live.packets, strict=True) if line.chain == chain][position]
