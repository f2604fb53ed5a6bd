"""Coverage: which settings of the catalog policies set, which only policies that reach nobody, and which none.

A setting counts once for each platform and type of policy that offers it. What nobody sets stays on each device as it
was before management, which is what this report is read for.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sqlalchemy import ColumnElement, Connection

from shieldwall.catalog.model import Catalog, Merge
from shieldwall.contract.ids import PolicyId, SettingId, TemplateId, TenantId
from shieldwall.contract.settings import walk
from shieldwall.server.storage.policies import policies as stored_policies
from shieldwall.server.storage.policies import policy_listings
from shieldwall.server.storage.records import Page

_AT_ONCE: Final = 500


class Covered(StrEnum):
    """How far a setting is covered."""

    SET = "set"
    """By a policy that is assigned to somebody."""
    UNASSIGNED = "unassigned"
    """By policies that are assigned to nobody."""
    UNSET = "unset"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySets:
    """What a policy sets, and whether it is assigned to anybody."""

    id: PolicyId
    name: str
    template_id: TemplateId
    platforms: str
    settings: frozenset[SettingId]
    is_assigned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """One setting of one platform and type of policy: who sets it, and with which template somebody could."""

    setting: SettingId
    name: str
    description: str
    category: str
    platform: str
    family: str
    template_id: TemplateId
    covered: Covered
    policies: tuple[PolicySets, ...]
    """Those that set it, assigned ones first."""
    has_order: bool
    """Whether a value of it is known to protect more than another."""


def coverage(catalog: Catalog, policies: Iterable[PolicySets]) -> tuple[Coverage, ...]:
    """Lay every setting that policies can be made of against the policies there are; in the order of the catalog.

    Settings that are deprecated, or that this channel does not deliver, are left out: nobody need set them.
    """
    setting: defaultdict[tuple[str, SettingId], list[PolicySets]] = defaultdict(list)
    for policy in policies:
        for platform in policy.platforms.split(","):
            for each in policy.settings:
                setting[platform, each].append(policy)
    found: dict[tuple[str, str, SettingId], Coverage] = {}
    for platform, family, template_id, each in _offered(catalog):
        if (platform, family, each) in found:
            continue
        setters = sorted(setting.get((platform, each), ()), key=lambda one: (not one.is_assigned, one.name, one.id))
        definition = catalog.definition(each)
        found[platform, family, each] = Coverage(
            setting=each,
            name=definition.display_name,
            description=definition.description,
            category=definition.category,
            platform=platform,
            family=family,
            template_id=template_id,
            covered=_covered(setters),
            policies=tuple(setters),
            has_order=definition.strength is not None or definition.merge is Merge.MOST_SECURE,
        )
    return tuple(found.values())


def summary(rows: Iterable[Coverage]) -> Mapping[tuple[str, str], Mapping[Covered, int]]:
    """Count settings by platform and family, and by how far they are covered."""
    counts: defaultdict[tuple[str, str], Counter[Covered]] = defaultdict(Counter)
    for row in rows:
        counts[row.platform, row.family][row.covered] += 1
    return counts


def policies_of_tenant(
    connection: Connection, tenant_id: TenantId, only: tuple[ColumnElement[bool], ...] = ()
) -> Iterator[PolicySets]:
    """Yield what each policy of a tenant sets; ``only`` are conditions on the rows of policies."""
    page = Page(size=_AT_ONCE, where=only)
    while True:
        found = stored_policies.list_policies(connection, tenant_id, page)
        assigned = policy_listings.assigned_among(connection, [policy.id for policy in found])
        for policy in found:
            yield PolicySets(
                id=policy.id,
                name=policy.name,
                template_id=policy.template_id,
                platforms=policy.platforms,
                settings=frozenset(part.definition for part in walk(policy.settings)),
                is_assigned=policy.id in assigned,
            )
        if len(found) < _AT_ONCE:
            return
        page = Page(size=_AT_ONCE, after=found[-1].id, where=only)


def _offered(catalog: Catalog) -> Iterator[tuple[str, str, TemplateId, SettingId]]:
    for template in catalog.templates.values():
        if not template.supported:
            continue
        for platform in template.platforms.split(","):
            for entry in template.settings:
                definition = catalog.definitions.get(entry.definition)
                if definition is not None and definition.supported and not definition.deprecated:
                    yield platform, template.family, template.id, entry.definition


def _covered(setters: Iterable[PolicySets]) -> Covered:
    found = list(setters)
    if not found:
        return Covered.UNSET
    return Covered.SET if any(each.is_assigned for each in found) else Covered.UNASSIGNED
