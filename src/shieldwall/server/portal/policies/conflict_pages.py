"""Where policies want different values: which, on how many devices, who wins and why, and the ways out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from litestar import Response, get
from litestar.types import ControllerRouterHandler

from shieldwall.catalog.model import Catalog
from shieldwall.contract.conflicts import ConflictFamily, ConflictRule, ConflictRules
from shieldwall.contract.ids import PolicyId, SettingId, parse_policy_id
from shieldwall.policy.families import conflict_family
from shieldwall.policy.outcomes import Conflict, Contender, Decided
from shieldwall.policy.words import category_of, lines_of, name_of
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.sight import sight_of
from shieldwall.server.manager import conflict_rules, policies
from shieldwall.server.manager.contests import Contest, RuleOutcome, other_rules
from shieldwall.server.manager.statuses import UNSEEN
from shieldwall.server.portal.figures import figures_for
from shieldwall.server.portal.handling import SIGNED_IN, PageRequest, Renderer, Services
from shieldwall.server.portal.policies.links import Asked, asked_by
from shieldwall.server.portal.policies.words import CONFLICT_FAMILIES, CONFLICT_RULES, WHY, WHY_NOT
from shieldwall.server.storage.errors import NotFoundError

_SIZE: Final = 25
_MOST_DIGITS: Final = 4
SHOWN: Final = ("", "decided", "all")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContenderRow:
    """A policy that wants a value. It has no id where the caller does not see it."""

    policy_id: PolicyId | None
    name: str
    lines: tuple[str, ...]
    priority: int | None
    modified_at: datetime
    has_won: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WayOut:
    """What another rule of the family would make of it; ``value`` is absent where that would not solve it either."""

    family: ConflictFamily
    rule: ConflictRule
    words: str
    value: tuple[str, ...] | None
    winners: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContestRow:
    """A contest as the page tells of it. ``why`` is a marked text."""

    setting: SettingId
    name: str
    category: str
    devices: int
    is_conflict: bool
    family: ConflictFamily
    family_words: str
    why: str
    value: tuple[str, ...]
    contenders: tuple[ContenderRow, ...]
    ways_out: tuple[WayOut, ...]


@get("/policies/conflicts", opt=SIGNED_IN | needs(ResourceAction.READ_POLICIES, Reach.LISTED), sync_to_thread=True)
def show_conflicts(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show conflicts, and on request what was decided between policies; of all policies or of one."""
    asked, sight, catalog = asked_by(request, "policy", "setting", "show", "page"), sight_of(request), services.catalog
    tenant = services.tenant.id
    policy_id = parse_policy_id(asked["policy"]) if asked["policy"] else None
    figures = figures_for(services, request)
    with services.database.read() as connection:
        name = ""
        if policy_id is not None:
            policy = policies.get_policy(connection, tenant, policy_id)
            if not sight.sees(ResourceAction.READ_POLICIES, policy.role_scope_tag_ids):
                raise NotFoundError(f"There is no policy {policy_id}.")
            name = policy.name
        known = () if figures is None else figures.contests
        found = [each for each in known if policy_id is None or policy_id in each.policies]
        rules = conflict_rules.get_rules(connection, tenant)
        wanted = [each for each in found if _is_wanted(each, asked)]
        page = _page(asked)
        part = wanted[page * _SIZE : (page + 1) * _SIZE]
        seen = sight.policies_among(connection, {policy for each in part for policy in each.policies})
    return rendering.page(
        request,
        "policies/conflicts.html",
        section="/policies",
        live=("policies",),
        asked=asked,
        policy_name=name,
        as_of=None if figures is None else figures.as_of,
        rows=[row_of(catalog, rules, each, seen) for each in part],
        counts={"": sum(each.is_conflict for each in found), "decided": sum(not each.is_conflict for each in found)},
        settings=sorted({(each.setting, name_of(catalog, each.setting)) for each in found}, key=lambda each: each[1]),
        next_page=asked.link(page=str(page + 1)) if len(wanted) > (page + 1) * _SIZE else "",
        first_page=asked.link(page="") if page else "",
    )


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (show_conflicts,)


def row_of(catalog: Catalog, rules: ConflictRules, contest: Contest, seen: Collection[PolicyId]) -> ContestRow:
    """Tell of a contest, as far as its policies are seen."""
    resolution, family = contest.resolution, conflict_family(catalog, contest.setting)
    won = frozenset(resolution.winners) if isinstance(resolution, Decided) else frozenset()
    return ContestRow(
        setting=contest.setting,
        name=name_of(catalog, contest.setting),
        category=category_of(catalog, contest.setting),
        devices=contest.devices,
        is_conflict=contest.is_conflict,
        family=family,
        family_words=CONFLICT_FAMILIES[family][0],
        why=(WHY if isinstance(resolution, Decided) else WHY_NOT)[resolution.rule],
        value=lines_of(catalog, contest.setting, resolution.value) if isinstance(resolution, Decided) else (),
        contenders=tuple(_contender(catalog, contest.setting, each, seen, won) for each in resolution.contenders),
        ways_out=_ways_out(catalog, rules, resolution, seen) if isinstance(resolution, Conflict) else (),
    )


def _contender(
    catalog: Catalog, setting: SettingId, contender: Contender, seen: Collection[PolicyId], won: Collection[PolicyId]
) -> ContenderRow:
    is_seen = contender.policy in seen
    return ContenderRow(
        policy_id=contender.policy if is_seen else None,
        name=contender.policy_name if is_seen else UNSEEN,
        lines=lines_of(catalog, setting, contender.value),
        priority=contender.priority,
        modified_at=contender.moment,
        has_won=contender.policy in won,
    )


def _ways_out(
    catalog: Catalog, rules: ConflictRules, conflict: Conflict, seen: Collection[PolicyId]
) -> tuple[WayOut, ...]:
    names = {each.policy: each.policy_name if each.policy in seen else UNSEEN for each in conflict.contenders}
    return tuple(_way_out(catalog, conflict.setting, each, names) for each in other_rules(catalog, conflict, rules))


def _way_out(catalog: Catalog, setting: SettingId, outcome: RuleOutcome, names: dict[PolicyId, str]) -> WayOut:
    decided = outcome.decided
    return WayOut(
        family=outcome.family,
        rule=outcome.rule,
        words=CONFLICT_RULES[outcome.rule][0],
        value=None if decided is None else lines_of(catalog, setting, decided.value),
        winners=() if decided is None else tuple(names[policy] for policy in decided.winners),
    )


def _is_wanted(contest: Contest, asked: Asked) -> bool:
    show = asked.one_of("show", SHOWN)
    fits = show == "all" or contest.is_conflict == (show == "")
    return fits and (not asked["setting"] or contest.setting == asked["setting"])


def _page(asked: Asked) -> int:
    text = asked["page"]
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else 0
