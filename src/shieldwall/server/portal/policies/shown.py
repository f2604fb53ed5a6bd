"""One policy as all of its pages show it: what it is, and how it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shieldwall.contract.ids import PolicyId, SettingId, parse_policy_id
from shieldwall.contract.status import SettingState
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.manager import policies
from shieldwall.server.portal.figures import figures_for
from shieldwall.server.portal.handling import PageRequest
from shieldwall.server.portal.policies.words import FAMILIES, PLATFORMS
from shieldwall.server.portal.views import counts_of
from shieldwall.server.storage.records import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPolicy:
    """A policy, with the words for it. Counts are absent while a large fleet is counted for the first time."""

    policy: Policy
    profile: str
    family: str
    platform: str
    counts: Mapping[SettingState, int] | None
    settings: Mapping[SettingId, Mapping[SettingState, int]]
    as_of: datetime | None

    @property
    def has_conflicts(self) -> bool:
        """Whether a device reports a conflict in it."""
        return bool(self.counts and self.counts.get(SettingState.CONFLICT))


def shown_policy(services: AdminServices, request: PageRequest, policy: Policy) -> dict[str, Any]:
    """Return what every page of a policy is given. Asks for figures: outside of other transactions."""
    template = services.catalog.templates.get(policy.template_id)
    figures = figures_for(services, request)
    found = figures.policies.get(policy.id) if figures else None
    shown = ShownPolicy(
        policy=policy,
        profile=template.display_name if template else policy.template_id,
        family=FAMILIES.get(template.family, template.family) if template else "",
        platform=PLATFORMS.get(policy.platforms, policy.platforms),
        counts=None if figures is None else counts_of(figures.states_of(policy.id)),
        settings={} if found is None else found.settings,
        as_of=None if figures is None else figures.as_of,
    )
    return {"section": "/policies", "shown": shown, "policy": policy, "live": (f"policy:{policy.id}",)}


def read_policy(services: AdminServices, policy_id: str) -> Policy:
    """Return a policy by what the path says. Raises: NotFoundError, InvalidIdError."""
    with services.database.read() as connection:
        return policies.get_policy(connection, services.tenant.id, parse_policy_id(policy_id))


def path_of(policy_id: PolicyId, page: str = "") -> str:
    """Return the address of a page of a policy."""
    return f"/policies/{policy_id}{f'/{page}' if page else ''}"
