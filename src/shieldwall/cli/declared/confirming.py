"""When a person must be asked before a plan is carried out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shieldwall.cli.declared.objects import Json


def reasons_to_ask(previews: Iterable[Json], unknown: Sequence[str], *, threshold: int) -> list[str]:
    """Say why somebody should look before it happens; nothing when there is no reason.

    Several previews are each about a part of the plan, so their devices are added up: rather asked once too often.
    """
    found = list(previews)
    devices = sum(each["devicesChanged"] for each in found)
    lowered = sum(len(each["protectionLowered"]) for each in found)
    risky = sum(len(each["connectivityRisk"]) for each in found)
    reasons = []
    if devices > threshold:
        reasons.append(f"Something changes on {devices} devices, and more than {threshold} are asked about.")
    if lowered:
        reasons.append(f"It lowers protection in {_counted(lowered, 'setting')}.")
    if risky:
        reasons.append(f"It may cut devices off, by {_counted(risky, 'setting')}.")
    if unknown:
        reasons.append("Not all of its effect can be known beforehand.")
    return reasons


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
