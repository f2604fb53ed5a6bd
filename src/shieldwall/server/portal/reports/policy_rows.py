"""The rows of the reports over policies and settings, out of the figures and the policies that somebody sees."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from shieldwall.catalog.model import Catalog
from shieldwall.contract.conflicts import ConflictRules
from shieldwall.contract.ids import PolicyId, SettingId
from shieldwall.contract.status import SettingState
from shieldwall.policy.families import conflict_family
from shieldwall.policy.outcomes import Conflict, Contender, Decided
from shieldwall.policy.words import category_of, lines_of, name_of
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import Sight
from shieldwall.server.manager.contests import Contest, RuleOutcome, other_rules
from shieldwall.server.manager.figures import Figures
from shieldwall.server.manager.statuses import UNSEEN
from shieldwall.server.portal.policies.links import Asked
from shieldwall.server.portal.policies.words import CONFLICT_FAMILIES, CONFLICT_RULES, WHY, WHY_NOT
from shieldwall.server.portal.views import counts_of
from shieldwall.server.storage.policies import policies as stored_policies
from shieldwall.server.storage.policies import policy_listings
from shieldwall.server.storage.policies.policy_listings import PoliciesWanted
from shieldwall.server.storage.records import Page, Policy

TROUBLES: Final = (SettingState.ERROR, SettingState.CONFLICT)
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyLine:
    """A policy and how many devices it is in which state on."""

    id: PolicyId
    name: str
    profile: str
    family: str
    platform: str
    is_assigned: bool
    counts: Mapping[SettingState, int]

    @property
    def devices(self) -> int:
        """How many devices have it."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingLine:
    """A setting of a policy and how many devices it is in which state on."""

    policy: PolicyLine
    setting: SettingId
    name: str
    category: str
    counts: Mapping[SettingState, int]

    @property
    def devices(self) -> int:
        """How many devices have it."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanting:
    """A policy that contends, and what it wants; without an id where it is not seen."""

    id: PolicyId | None
    name: str
    lines: tuple[str, ...]
    priority: int | None
    won: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WayOut:
    """What another rule of its family would make of a conflict: ``rule`` and ``note`` are marked texts."""

    rule: str
    note: str
    lines: tuple[str, ...]
    solves: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ContestLine:
    """A setting for which policies want different values, in words: who wins and why, or what the way out is."""

    setting: SettingId
    name: str
    category: str
    family: str
    devices: int
    is_conflict: bool
    wanting: tuple[Wanting, ...]
    lines: tuple[str, ...]
    why: str
    ways_out: tuple[WayOut, ...]


def policy_lines(
    services: AdminServices, connection: Connection, sight: Sight, figures: Figures | None, asked: Asked
) -> list[PolicyLine]:
    """Return the policies that are seen and asked for, the ones with most trouble first."""
    wanted = PoliciesWanted(
        text=asked["q"],
        platform=asked["platform"],
        templates=_templates(services.catalog, asked["type"]),
    )
    lines = []
    for policy, is_assigned in _policies(connection, sight, wanted):
        template = services.catalog.templates.get(policy.template_id)
        lines.append(
            PolicyLine(
                id=policy.id,
                name=policy.name,
                profile=template.display_name if template else policy.template_id,
                family=template.family if template else "",
                platform=policy.platforms,
                is_assigned=is_assigned,
                counts=counts_of({} if figures is None else figures.states_of(policy.id)),
            )
        )
    fitting = [line for line in lines if _has_state(line.counts, asked["state"])]
    return sorted(fitting, key=lambda line: (*_trouble(line.counts), line.name.casefold(), line.id))


def setting_lines(
    services: AdminServices, connection: Connection, sight: Sight, figures: Figures | None, asked: Asked
) -> list[SettingLine]:
    """Return the settings of the policies that are seen, each policy's by itself, those with most trouble first."""
    if figures is None:
        return []
    catalog = services.catalog
    of_policy = Asked({name: asked[name] for name in ("platform", "type")})
    found: list[SettingLine] = []
    for line in policy_lines(services, connection, sight, figures, of_policy):
        counted = figures.policies.get(line.id)
        for setting, counts in counted.settings.items() if counted else ():
            name, category = name_of(catalog, setting), category_of(catalog, setting)
            if _says(asked["q"], name, category, setting, line.name) and _has_state(counts, asked["state"]):
                found.append(
                    SettingLine(policy=line, setting=setting, name=name, category=category, counts=counts_of(counts))
                )
    return sorted(found, key=lambda each: (*_trouble(each.counts), each.name.casefold(), each.policy.id, each.setting))


def contest_lines(
    services: AdminServices,
    contests: Iterable[Contest],
    *,
    seen: frozenset[PolicyId],
    rules: ConflictRules,
    asked: Asked,
) -> list[ContestLine]:
    """Say in words where policies want different values, what nobody decides first.

    What no policy that is seen has a part in is left out; those that are not seen have no name.
    """
    found = []
    for contest in contests:
        if seen.isdisjoint(contest.policies) or _left_out(contest, asked["show"]):
            continue
        line = _contest_line(services.catalog, contest, seen, rules)
        names = [each.name for each in line.wanting if each.id is not None]
        if _says(asked["q"], line.name, line.category, line.setting, *names):
            found.append(line)
    return found


def total(lines: Iterable[PolicyLine | SettingLine]) -> dict[SettingState, int]:
    """Add up the counts of lines: of devices, each as often as it has one of them."""
    sums: dict[SettingState, int] = {}
    for line in lines:
        for state, count in line.counts.items():
            sums[state] = sums.get(state, 0) + count
    return counts_of(sums)


def _contest_line(catalog: Catalog, contest: Contest, seen: frozenset[PolicyId], rules: ConflictRules) -> ContestLine:
    resolution, setting = contest.resolution, contest.setting
    won = frozenset(resolution.winners) if isinstance(resolution, Decided) else frozenset[PolicyId]()
    outcomes: Sequence[RuleOutcome] = ()
    if isinstance(resolution, Conflict):
        outcomes = other_rules(catalog, resolution, rules)
    why = WHY if isinstance(resolution, Decided) else WHY_NOT
    return ContestLine(
        setting=setting,
        name=name_of(catalog, setting),
        category=category_of(catalog, setting),
        family=CONFLICT_FAMILIES[conflict_family(catalog, setting)][0],
        devices=contest.devices,
        is_conflict=contest.is_conflict,
        wanting=tuple(_wanting(catalog, setting, each, seen, won) for each in resolution.contenders),
        lines=lines_of(catalog, setting, resolution.value) if isinstance(resolution, Decided) else (),
        why=why.get(resolution.rule, ""),
        ways_out=tuple(
            WayOut(
                rule=CONFLICT_RULES[each.rule][0],
                note=CONFLICT_RULES[each.rule][1],
                lines=() if each.decided is None else lines_of(catalog, setting, each.decided.value),
                solves=each.decided is not None,
            )
            for each in outcomes
        ),
    )


def _wanting(
    catalog: Catalog, setting: SettingId, contender: Contender, seen: frozenset[PolicyId], won: frozenset[PolicyId]
) -> Wanting:
    is_seen = contender.policy in seen
    return Wanting(
        id=contender.policy if is_seen else None,
        name=contender.policy_name if is_seen else UNSEEN,
        lines=lines_of(catalog, setting, contender.value) if is_seen else (),
        priority=contender.priority,
        won=contender.policy in won,
    )


def _policies(connection: Connection, sight: Sight, wanted: PoliciesWanted) -> Iterator[tuple[Policy, bool]]:
    page = Page(size=_AT_ONCE, where=(*sight.policies(), *policy_listings.conditions(wanted)))
    while True:
        found = stored_policies.list_policies(connection, sight.tenant_id, page)
        assigned = policy_listings.assigned_among(connection, [policy.id for policy in found])
        yield from ((policy, policy.id in assigned) for policy in found)
        if len(found) < _AT_ONCE:
            return
        page = Page(size=_AT_ONCE, after=found[-1].id, where=page.where)


def _templates(catalog: Catalog, family: str) -> Any:
    return [each.id for each in catalog.templates.values() if each.family == family] if family else None


def _has_state(counts: Mapping[SettingState, int], state: str) -> bool:
    return not state or any(each.value == state and count for each, count in counts.items())


def _trouble(counts: Mapping[SettingState, int]) -> tuple[int, ...]:
    return tuple(-counts.get(state, 0) for state in (*TROUBLES, SettingState.PENDING))


def _says(text: str, *texts: str) -> bool:
    return all(any(word in each.casefold() for each in texts) for word in text.casefold().split())


def _left_out(contest: Contest, show: str) -> bool:
    return (show == "conflicts" and not contest.is_conflict) or (show == "decided" and contest.is_conflict)
