"""The tables of ``docs/windows-macos.md`` that follow from the code."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final

from tests.support.documentation import DOCS, table
from tests.support.macos_documentation import macos_tables
from tests.support.windows_firewall_documentation import firewall_tables

from shieldwall.agent.providers.windows_defender.landings import (
    CENTER_KEY,
    PER_RULE_KEY,
    POLICY_KEY,
    Landing,
    PolicyNames,
    PolicyNumber,
    PolicyText,
    Preference,
    ReportOnly,
    RuleExclusions,
    RuleMode,
    ThreatSeverity,
    landings,
)
from shieldwall.catalog.loader import load
from shieldwall.catalog.model import Catalog, PolicyTemplate, SettingDefinition
from shieldwall.contract.ids import SettingId

PAGE: Final = DOCS / "windows-macos.md"


@cache
def _catalog() -> Catalog:
    return load(platform="windows")


def windows_tables() -> dict[str, str]:
    """Write where each setting lands and how a person sees it on a real machine."""
    places = landings(_catalog())
    parts = [
        f"**{template.display_name}**\n\n"
        + table(("Setting", "Lands at", "To see it on the machine"), _rows(template, dict(places)))
        for template in _catalog().templates.values()
        if template.settings[0].definition in places or _leads_to(template, dict(places))
    ]
    return {"windows-defender-settings": "\n".join(parts), **firewall_tables(), **macos_tables()}


def _leads_to(template: PolicyTemplate, places: dict[SettingId, Landing]) -> bool:
    return any(setting in places for setting in _settings(template))


def _settings(template: PolicyTemplate) -> Iterator[SettingId]:
    waiting = [setting.definition for setting in template.settings]
    seen: set[SettingId] = set()
    while waiting:
        setting = waiting.pop(0)
        if setting not in seen:
            seen.add(setting)
            yield setting
            waiting += _catalog().definition(setting).nested()


def _rows(template: PolicyTemplate, places: dict[SettingId, Landing]) -> Iterator[tuple[str, str, str]]:
    for setting in _settings(template):
        definition = _catalog().definition(setting)
        if setting in places:
            place = places[setting]
            yield f"{definition.display_name}<br>`{setting}`", _where(place), _how(definition, place)
        elif not definition.supported:
            yield f"{definition.display_name}<br>`{setting}`", "nowhere: not delivered by this channel", ""


def _where(place: Landing) -> str:
    match place:
        case PolicyNumber() | PolicyText():
            root = "app: " if place.center else ""
            turned = ", turned around" if isinstance(place, PolicyNumber) and place.inverted else ""
            return f"{root}`{_path(place.key, place.name)}`{turned}"
        case PolicyNames():
            return f"names of values in `{place.key}`, switched on by `{_path(*place.switch)}`"
        case RuleMode() | ThreatSeverity():
            return f"`{_path(place.key, place.name)}`, switched on by `{_path(*place.switch)}`"
        case RuleExclusions():
            return f"`{_path(PER_RULE_KEY, place.guid)}`, joined by `>`"
        case Preference():
            return f"preference `{place.name}`"
        case ReportOnly():
            return "nowhere: told, not set"


def _how(definition: SettingDefinition, place: Landing) -> str:
    windows = definition.windows
    match place:
        case RuleMode():
            return f"mode beside `{place.guid}` in the list of rules, see below"
        case RuleExclusions():
            return "`Get-MpPreference`: `AttackSurfaceReductionRules_RuleSpecificExclusions`, at the place of the rule"
    if windows is not None and windows.preference is not None:
        return f"`(Get-MpPreference).{windows.preference}`"
    if windows is not None and windows.status is not None:
        return f"`(Get-MpComputerStatus).{windows.status}`"
    assert isinstance(place, PolicyNumber | PolicyText)
    root = CENTER_KEY if place.center else POLICY_KEY
    key = f"{root}\\{place.key}" if place.key else root
    return f'`reg query "{key}" /v {place.name}`'


def _path(key: str, name: str) -> str:
    return f"{key}\\{name}" if key else name
