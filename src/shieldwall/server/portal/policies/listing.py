"""The list of policies: what may be asked of it, and what it shows of each."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection

from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import PolicyId, TemplateId
from shieldwall.contract.status import SettingState
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import Sight
from shieldwall.server.manager.figures import Figures
from shieldwall.server.portal.policies.links import Asked
from shieldwall.server.portal.policies.words import FAMILIES, PLATFORMS
from shieldwall.server.portal.views import counts_of
from shieldwall.server.storage.policies import policy_listings
from shieldwall.server.storage.policies.policy_listings import PoliciesWanted, PolicyOrder
from shieldwall.server.storage.records import Page, Policy

NAMES: Final = ("q", "type", "profile", "platform", "assigned", "state", "sort")
"""What the address of the list may say."""
SORTS: Final = tuple(f"{sign}{order}" for order in PolicyOrder for sign in ("", "-"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPolicy:
    """One policy of the list. ``counts`` are absent while a large fleet is counted for the first time."""

    policy: Policy
    profile: str
    family: str
    is_assigned: bool
    counts: Mapping[SettingState, int] | None

    @property
    def id(self) -> PolicyId:
        """The policy's id."""
        return self.policy.id


def wanted_by(catalog: Catalog, asked: Asked, figures: Figures | None) -> PoliciesWanted:
    """Read which policies an address asks for; what is not known asks for nothing."""
    family, profile = asked.one_of("type", FAMILIES), asked.one_of("profile", profiles_of(catalog))
    templates: Collection[TemplateId] | None = None
    if profile or family:
        templates = [
            each.id
            for each in catalog.templates.values()
            if (not family or each.family == family) and (not profile or each.display_name == profile)
        ]
    state = asked.one_of("state", [str(state) for state in SettingState])
    return PoliciesWanted(
        text=asked["q"],
        templates=templates,
        platform=asked.one_of("platform", PLATFORMS),
        is_assigned={"yes": True, "no": False}.get(asked["assigned"]),
        ids=_in_state(figures, SettingState(state)) if state else None,
    )


def profiles_of(catalog: Catalog, family: str = "") -> list[str]:
    """Return the names of the profiles there are, of one type or of all."""
    return sorted({each.display_name for each in catalog.templates.values() if not family or each.family == family})


def order_of(asked: Asked) -> tuple[PolicyOrder, bool]:
    """Read in which order an address wants the list, and whether backwards; by name where it does not say."""
    sort = asked.one_of("sort", SORTS) or PolicyOrder.NAME
    return PolicyOrder(sort.removeprefix("-")), sort.startswith("-")


def listed(
    services: AdminServices, connection: Connection, found: Sequence[Policy], figures: Figures | None
) -> list[ListedPolicy]:
    """Show policies in a list."""
    assigned = policy_listings.assigned_among(connection, [policy.id for policy in found])
    templates = services.catalog.templates
    rows: list[ListedPolicy] = []
    for policy in found:
        template = templates.get(policy.template_id)
        rows.append(
            ListedPolicy(
                policy=policy,
                profile=template.display_name if template else policy.template_id,
                family=template.family if template else "",
                is_assigned=policy.id in assigned,
                counts=None if figures is None else counts_of(figures.states_of(policy.id)),
            )
        )
    return rows


def find(
    services: AdminServices, connection: Connection, sight: Sight, asked: Asked, *, page: Page, figures: Figures | None
) -> list[ListedPolicy]:
    """Return the policies of a page that an address asks for, as far as they are seen."""
    order, descending = order_of(asked)
    where = (*sight.policies(), *policy_listings.conditions(wanted_by(services.catalog, asked, figures)))
    narrowed = Page(size=page.size, after=page.after, where=where)
    found = policy_listings.list_page(connection, services.tenant.id, narrowed, order, descending=descending)
    return listed(services, connection, found, figures)


def counts_by_family(services: AdminServices, connection: Connection, sight: Sight) -> dict[str, int]:
    """Count the policies of each type, as far as they are seen."""
    counts = dict.fromkeys(FAMILIES, 0)
    templates = services.catalog.templates
    for template, count in policy_listings.count_by_template(connection, services.tenant.id, sight.policies()).items():
        family = templates[template].family if template in templates else ""
        counts[family] = counts.get(family, 0) + count
    return counts


def as_of(figures: Figures | None) -> datetime | None:
    """Return the moment that shown figures are of."""
    return None if figures is None else figures.as_of


def _in_state(figures: Figures | None, state: SettingState) -> list[PolicyId]:
    if figures is None:
        return []
    return [policy for policy, counts in figures.policies.items() if counts.devices.get(state)]
