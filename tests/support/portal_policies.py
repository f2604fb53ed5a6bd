"""The policies of the furnished tenant (``portal_scene``): made over a month, and two of them against two others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection
from tests.support.manager_world import CLOUD, DIAGNOSTIC, FIREWALL, FIREWALL_ON, chosen
from tests.support.policies import (
    ANTIVIRUS,
    EXCLUSIONS,
    FIREWALL_RULES,
    RULES,
    excluded_path,
    firewall_rule,
    items,
    texts,
)
from tests.support.samples import HandClock
from tests.support.signing_inside import SigningInside

from shieldwall.catalog.model import Catalog, Kind
from shieldwall.contract.ids import GroupId, PolicyId, SettingId, TemplateId
from shieldwall.contract.settings import SettingInstance
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.manager.policies import Policies, PolicyDraft
from shieldwall.server.storage.records import AssignmentKind

_WINDOWS_ANTIVIRUS: Final = TemplateId("804339ad-1553-4478-a742-138fb5807418_1")
_WINDOWS_FIREWALL: Final = TemplateId("6078910e-d808-4a9f-a51d-1b8a7bacb7c0_1")
_WINDOWS_PROFILE: Final = SettingId("vendor_msft_firewall_mdmstore_publicprofile_enablefirewall")
_LINUX_PROFILE: Final = SettingId("linux_shieldwall_firewall_public_enablefirewall")
_MACOS_ANTIVIRUS: Final = TemplateId("2d345ec2-c817-49e5-9156-3ed416dc972a_1")
_TCP: Final = chosen(SettingId(f"{RULES}_item_protocol"), "tcp")
_UNWANTED: Final = {"telnet": "23", "SMB": "445"}
_LEVEL: Final = SettingId(DIAGNOSTIC)
EXCLUDING: Final = 2
"""Which of the policies has a list of exclusions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    name: str
    about: str
    days_ago: int
    template: TemplateId
    settings: tuple[SettingInstance, ...]
    group: GroupId


@dataclass(frozen=True, kw_only=True)
class Written:
    """Writes them, each on its day."""

    services: AdminServices
    actor: str
    clock: HandClock
    """That of the services, which this sets."""
    now: datetime

    def all(self, connection: Connection, groups: Sequence[GroupId]) -> list[PolicyId]:
        """Make and assign them; the first is changed today."""
        keeper = Policies(catalog=self.services.catalog, signatures=SigningInside(self.services.signer))
        acting = self.services.acting(self.actor)
        made = []
        for wanted in self._wanted(*groups):
            self.clock.at = self.now - timedelta(days=wanted.days_ago, hours=3)
            policy = keeper.create(connection, acting, self._draft(wanted), reason="Agreed in the security round")
            self.clock.advance(minutes=20)
            assign(connection, acting, policy.id, [Assigned(kind=AssignmentKind.INCLUDE, group_id=wanted.group)])
            made.append(policy.id)
        self.clock.at = self.now - timedelta(hours=5)
        first = PolicyDraft(
            name="Linux baseline",
            description="What every Linux server has",
            platforms="linux",
            technologies="microsoftSense",
            template_id=ANTIVIRUS,
            settings=(chosen(CLOUD, "true"), chosen(_LEVEL, "1")),
        )
        keeper.update(connection, acting, made[0], first, reason="Ask for less")
        return made

    def _draft(self, wanted: _Wanted) -> PolicyDraft:
        about = self.services.catalog.template(wanted.template)
        return PolicyDraft(
            name=wanted.name,
            description=wanted.about,
            platforms=about.platforms,
            technologies=about.technologies,
            template_id=wanted.template,
            settings=wanted.settings,
        )

    def _wanted(self, linux: GroupId, windows: GroupId, macs: GroupId, pilot: GroupId) -> Iterator[_Wanted]:
        def blocked(name: str, port: str) -> tuple[SettingInstance, ...]:
            return firewall_rule(f"No {name}", "block", _TCP, texts(f"{RULES}_item_localports", port))

        cloud, profile = chosen(CLOUD, "true"), chosen(FIREWALL_ON, "true")
        rules = items(RULES, *(blocked(name, port) for name, port in _UNWANTED.items()))
        for name, about, days_ago, template, settings, group in (
            ("Linux baseline", "What every Linux server has", 28, ANTIVIRUS, (cloud, chosen(_LEVEL, "0")), linux),
            (
                "Linux pilot",
                "To see whether the cloud is needed",
                6,
                ANTIVIRUS,
                (chosen(CLOUD, "false"), chosen(_LEVEL, "1")),
                pilot,
            ),
            (
                "Database exclusions",
                "Files that databases hold open",
                21,
                ANTIVIRUS,
                (items(EXCLUSIONS, excluded_path("/var/lib/postgresql")),),
                linux,
            ),
            (
                "Linux firewall",
                "Closed but for what is asked for",
                20,
                FIREWALL,
                (profile, chosen(_LINUX_PROFILE, "true")),
                linux,
            ),
            ("Linux firewall rules", "What nobody shall reach", 20, FIREWALL_RULES, (rules,), linux),
            (
                "Windows baseline",
                "What every Windows computer has",
                16,
                _WINDOWS_ANTIVIRUS,
                _choices(self.services.catalog, _WINDOWS_ANTIVIRUS),
                windows,
            ),
            (
                "Windows firewall",
                "On in every network",
                15,
                _WINDOWS_FIREWALL,
                _choices(self.services.catalog, _WINDOWS_FIREWALL),
                windows,
            ),
            (
                "Mac baseline",
                "What every Mac has",
                13,
                _MACOS_ANTIVIRUS,
                _choices(self.services.catalog, _MACOS_ANTIVIRUS),
                macs,
            ),
            (
                "Linux firewall pilot",
                "Open for the load test",
                3,
                FIREWALL,
                (chosen(_LINUX_PROFILE, "false"),),
                pilot,
            ),
            (
                "Windows firewall pilot",
                "For the rollout of the new VPN",
                2,
                _WINDOWS_FIREWALL,
                (chosen(_WINDOWS_PROFILE, "false"),),
                pilot,
            ),
        ):
            yield _Wanted(name=name, about=about, days_ago=days_ago, template=template, settings=settings, group=group)


def _choices(catalog: Catalog, template: TemplateId, most: int = 4) -> tuple[SettingInstance, ...]:
    """Choose something for the first few settings of a template that stand for themselves."""
    found = []
    for each in catalog.template(template).settings:
        definition = catalog.definition(each.definition)
        option = definition.options[-1] if definition.options else None
        if definition.kind is not Kind.CHOICE or option is None or definition.depends_on or definition.requires:
            continue
        if option.required_children or not definition.supported:
            continue
        found.append(chosen(definition.id, option.item_id.removeprefix(f"{definition.id}_")))
        if len(found) == most:
            break
    return tuple(found)
