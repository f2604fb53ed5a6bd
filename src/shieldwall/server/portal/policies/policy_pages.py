"""One policy: overview, values, the status of each setting, its devices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

from litestar import Response, get
from litestar.params import FromPath
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import SettingId
from shieldwall.contract.settings import PolicyDocument
from shieldwall.contract.status import SEVERITY, SettingState
from shieldwall.policy.words import category_of, name_of
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.sight import sight_of
from shieldwall.server.directory import scope_tags
from shieldwall.server.manager import policies, revisions
from shieldwall.server.manager.policy_devices import DevicesWanted, devices_wanted
from shieldwall.server.manager.sweeping import still_to_come
from shieldwall.server.portal.figures import figures_for
from shieldwall.server.portal.handling import SIGNED_IN, PageRequest, Renderer, Services
from shieldwall.server.portal.policies.links import Asked, asked_by, following, page_after
from shieldwall.server.portal.policies.shown import read_policy, shown_policy
from shieldwall.server.portal.policies.targets import target_rows
from shieldwall.server.portal.views import SettingRow, counts_of, setting_rows
from shieldwall.server.storage.policies import revisions as stored_revisions
from shieldwall.server.storage.records import Page, Policy

_OPEN: Final = SIGNED_IN | needs(ResourceAction.READ_POLICIES, Reach.OBJECT)
_LATEST: Final = 5
_TROUBLE: Final = frozenset({SettingState.ERROR, SettingState.CONFLICT})
_MOST_TROUBLED: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingStanding:
    """One setting of a policy, and how many devices it is in which state on."""

    setting: SettingId
    name: str
    category: str
    counts: Mapping[SettingState, int]

    @property
    def worst(self) -> SettingState:
        """The gravest state that a device reports."""
        return next((each for each in reversed(SEVERITY) if self.counts.get(each)), SettingState.NOT_APPLICABLE)


@get("/policies/{policy_id:str}", opt=_OPEN, sync_to_thread=True)
def show_policy(
    services: Services, rendering: Renderer, request: PageRequest, policy_id: FromPath[str]
) -> Response[str]:
    """Show how a policy stands, what is wrong with it, whom it is for and what happened to it last."""
    policy = read_policy(services, policy_id)
    shown = shown_policy(services, request, policy)
    with services.database.read() as connection:
        targets = target_rows(connection, request, policy)
        latest = revisions.history(connection, services.tenant.id, policy.id, Page(size=_LATEST))
        tags = {each.id: each.display_name for each in scope_tags.all_tags(connection, services.tenant.id)}
        to_come = still_to_come(connection, services.tenant.id)
    standings = standings_of(services.catalog, shown["shown"].settings)
    troubled = [
        each for each in standings if each.counts.get(SettingState.ERROR) or each.counts.get(SettingState.CONFLICT)
    ]
    return rendering.page(
        request,
        "policies/policy.html",
        here="",
        targets=targets,
        latest=latest,
        tag_names=tags,
        is_catching_up=to_come != 0,
        to_come=to_come if sight_of(request).access.may_everywhere(ResourceAction.READ_DEVICES) else None,
        troubled=troubled[:_MOST_TROUBLED],
        troubled_count=len(troubled),
        **shown,
    )


@get("/policies/{policy_id:str}/values", opt=_OPEN, sync_to_thread=True)
def show_values(
    services: Services, rendering: Renderer, request: PageRequest, policy_id: FromPath[str]
) -> Response[str]:
    """Show what a policy sets, in words, by category."""
    policy = read_policy(services, policy_id)
    with services.database.read() as connection:
        document = policies.document_of(stored_revisions.get(connection, policy.id, policy.revision))
    return rendering.page(
        request,
        "policies/values.html",
        here="values",
        chapters=chapters_of(services.catalog, document),
        definitions=services.catalog.definitions,
        **shown_policy(services, request, policy),
    )


@get("/policies/{policy_id:str}/status", opt=_OPEN, sync_to_thread=True)
def show_status(
    services: Services, rendering: Renderer, request: PageRequest, policy_id: FromPath[str]
) -> Response[str]:
    """Show how each setting of a policy stands on its devices, what is in trouble first."""
    shown = shown_policy(services, request, read_policy(services, policy_id))
    standings = standings_of(services.catalog, shown["shown"].settings)
    return rendering.page(request, "policies/status.html", here="status", standings=standings, **shown)


@get("/policies/{policy_id:str}/devices", opt=_OPEN, sync_to_thread=True)
def show_devices(
    services: Services, rendering: Renderer, request: PageRequest, policy_id: FromPath[str]
) -> Response[str]:
    """Show the devices of a policy, those that are in one state where that is asked for."""
    policy, asked = read_policy(services, policy_id), asked_by(request, "state", "setting")
    page = replace(page_after(asked), where=sight_of(request).reported_devices())
    figures = figures_for(services, request)
    wanted = replace(wanted_by(services.catalog, asked), alike=figures.alike if figures else ())
    with services.database.read() as connection:
        found = devices_wanted(connection, services.catalog, services.tenant.id, policy.id, wanted=wanted, page=page)
        settings = _named(services.catalog, _document(connection, policy))
    return rendering.page(
        request,
        "policies/devices.html",
        here="devices",
        devices=found,
        asked=asked,
        settings=settings,
        setting_name="" if wanted.setting is None else name_of(services.catalog, wanted.setting),
        **following(asked, [each.device_id for each in found]),
        **shown_policy(services, request, policy),
    )


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (show_policy, show_values, show_status, show_devices)


def wanted_by(catalog: Catalog, asked: Asked) -> DevicesWanted:
    """Read which devices an address asks for; what is not known asks for nothing."""
    state, setting = (
        asked.one_of("state", [str(each) for each in SettingState]),
        asked.one_of("setting", catalog.definitions),
    )
    return DevicesWanted(state=SettingState(state) if state else None, setting=SettingId(setting) if setting else None)


def standings_of(catalog: Catalog, settings: Mapping[SettingId, Mapping[SettingState, int]]) -> list[SettingStanding]:
    """Show how settings stand, the gravest first."""
    rows = [
        SettingStanding(
            setting=setting,
            name=name_of(catalog, setting),
            category=category_of(catalog, setting),
            counts=counts_of(counts),
        )
        for setting, counts in settings.items()
    ]
    return sorted(rows, key=lambda row: (-SEVERITY.index(row.worst), -row.counts[row.worst], row.category, row.name))


def chapters_of(catalog: Catalog, document: PolicyDocument) -> list[tuple[str, list[SettingRow]]]:
    """Show the settings of a policy by category."""
    by_category: Callable[[SettingRow], str] = lambda row: _category(catalog, row)  # noqa: E731
    rows = sorted(setting_rows(catalog, document), key=lambda row: (by_category(row), row.name))
    return [(category, list(group)) for category, group in groupby(rows, by_category)]


def _category(catalog: Catalog, row: SettingRow) -> str:
    definition = catalog.definitions.get(row.setting)
    return definition.category if definition else ""


def _document(connection: Connection, policy: Policy) -> PolicyDocument:
    return policies.document_of(stored_revisions.get(connection, policy.id, policy.revision))


def _named(catalog: Catalog, document: PolicyDocument) -> list[tuple[SettingId, str]]:
    return sorted(((row.setting, row.name) for row in setting_rows(catalog, document)), key=lambda each: each[1])
