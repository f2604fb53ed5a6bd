"""The fleet by what its devices are: each count with its part of the whole, and the list that it leads to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from shieldwall.contract.enrollment import status_in_words
from shieldwall.contract.status import SettingState
from shieldwall.server.manager.figures import Figures
from shieldwall.server.portal.language import marked
from shieldwall.server.portal.reports.words import WITHOUT_POLICY
from shieldwall.server.portal.words import HEALTH, STATES
from shieldwall.server.storage.inventory.inventory_queries import Health

_MOST: Final = 8
_MANAGED: Final = "1"
_COUNTED: Final = "/devices?state=active"
"""Those whose protection is counted: of others stands in the list what they said last, and in no figure."""
_HEALTH_STYLES: Final[Mapping[Health, str]] = {
    Health.ACTIVE: "succeeded",
    Health.IMPAIRED: "error",
    Health.INACTIVE: "notApplicable",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One part of the fleet; without ``path`` where no list shows it, ``is_ours`` where its name is a text of ours."""

    name: str
    count: int
    part: float
    path: str = ""
    style: str = "accent"
    is_ours: bool = False
    note: str = ""
    note_path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """The fleet divided in one way, the largest parts first; ``others`` are those that are not named."""

    shares: tuple[Share, ...]
    others: int = 0


def by_platform(figures: Figures) -> Division:
    """Divide by operating system."""
    return _largest(figures.platforms, figures.devices, "os")


def by_manager(figures: Figures) -> Division:
    """Divide by who manages them."""
    found = _largest(figures.managed_by, figures.devices, "managedBy")
    nobody = marked("Nobody")
    return Division(
        shares=tuple(
            each if each.name else Share(name=nobody, count=each.count, part=each.part, is_ours=True, style="none")
            for each in found.shares
        ),
        others=found.others,
    )


def by_health(figures: Figures) -> Division:
    """Divide by whether they are in touch and well."""
    shares = [
        Share(
            name=HEALTH[health.value],
            count=figures.health.get(health, 0),
            part=_part(figures.health.get(health, 0), figures.devices),
            path=f"/devices?health={health.value}",
            style=_HEALTH_STYLES[health],
            is_ours=True,
        )
        for health in (Health.ACTIVE, Health.IMPAIRED, Health.INACTIVE)
    ]
    return Division(shares=tuple(shares))


def by_enrollment(figures: Figures) -> Division:
    """Divide by the published enrollment status; all but the managed ones have a way to be mended."""
    counts = {str(code): count for code, count in figures.enrollment_codes.items()}
    found = _largest(counts, figures.devices, "enrollmentCode")
    shares = [
        Share(
            name=status_in_words(int(each.name)),
            count=each.count,
            part=each.part,
            path=each.path,
            style="succeeded" if each.name == _MANAGED else "pending",
            note=each.name,
            note_path="" if each.name == _MANAGED else f"/enrollment-help/{each.name}",
        )
        for each in found.shares
    ]
    return Division(shares=tuple(shares), others=found.others)


def by_protection(figures: Figures) -> Division:
    """Divide those that policies may reach by the gravest state of what they enforce."""
    whole = sum(figures.protection.values()) + figures.without_policy
    shares = [
        Share(
            name=words,
            count=figures.protection.get(state, 0),
            part=_part(figures.protection.get(state, 0), whole),
            path=f"{_COUNTED}&{urlencode({'policyState': SettingState(state).value})}",
            style=SettingState(state).value,
            is_ours=True,
        )
        for state, words in STATES.items()
    ]
    none = Share(
        name=marked("No policy"),
        count=figures.without_policy,
        part=_part(figures.without_policy, whole),
        path=WITHOUT_POLICY.path,
        style="none",
        is_ours=True,
    )
    return Division(shares=tuple(each for each in (*shares, none) if each.count))


def _largest(counts: Mapping[str, int], whole: int, parameter: str) -> Division:
    ordered = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    return Division(
        shares=tuple(_share(name, count, whole, parameter) for name, count in ordered[:_MOST]),
        others=_sum(ordered[_MOST:]),
    )


def _share(name: str, count: int, whole: int, parameter: str) -> Share:
    path = f"/devices?{urlencode({parameter: name})}" if name else ""
    return Share(name=name, count=count, part=_part(count, whole), path=path)


def _sum(counts: Iterable[tuple[str, int]]) -> int:
    return sum(count for _, count in counts)


def _part(count: int, whole: int) -> float:
    return count / whole if whole else 0.0
