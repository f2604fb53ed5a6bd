"""The checker finds every kind of contradiction: each is planted once."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest
from msgspec.structs import replace
from tests.support import policies as p

from shieldwall.catalog.check import check_catalog
from shieldwall.catalog.model import (
    Catalog,
    Confidence,
    Dependency,
    Direction,
    Kind,
    Limits,
    Lists,
    Merge,
    Requirement,
    SettingTemplate,
    Strength,
    Syntax,
    WindowsLanding,
    Zero,
)
from shieldwall.contract.ids import SettingId

PORTS = SettingId(f"{p.RULES}_item_localports")
PROTOCOL = SettingId(f"{p.RULES}_item_protocol")
TYPE = SettingId(f"{p.EXCLUSIONS}_item_$type")
PATH = SettingId(f"{p.EXCLUSIONS}_item_path")
ORDER = tuple(f"{p.LEVEL}_{number}" for number in (0, 3, 1, 2))


KEXEC = SettingId("linux_shieldwall_attacksurfacereductionrules_blockkexec")


def lasting(*suffixes: str) -> dict[str, Any]:
    """Mark options of a setting as holding until the next restart."""
    options = p.catalog().definition(KEXEC).options
    marked = {f"{KEXEC}{suffix}" for suffix in suffixes}
    return {"options": tuple(replace(option, until_restart=option.item_id in marked) for option in options)}


def order(**more: Any) -> dict[str, Any]:
    return {"strength": Strength(confidence=Confidence.OURS, options=ORDER, **more)}


def with_definition(setting: SettingId, **changes: Any) -> Catalog:
    catalog = p.catalog()
    changed = replace(catalog.definition(setting), **changes)
    return Catalog(
        version=catalog.version,
        definitions=MappingProxyType({**catalog.definitions, setting: changed}),
        templates=catalog.templates,
    )


@pytest.mark.parametrize(
    ("setting", "changes", "problem"),
    [
        (p.LEVEL, {"description": " "}, "no description"),
        (p.LEVEL, {"options": ()}, "options go with choices"),
        (p.RETENTION, {"options": p.catalog().definition(p.LEVEL).options}, "options go with choices"),
        (p.LEVEL, {"children": (p.RETENTION,)}, "children of its own"),
        (p.EXCLUSIONS, {"children": (TYPE, SettingId("unheard_of"))}, "is not defined"),
        (p.EXCLUSIONS, {"children": (TYPE, TYPE)}, "a child stands twice"),
        (p.EXCLUSIONS, {"children": (TYPE, p.EXCLUSIONS)}, "stands inside itself"),
        (p.EXCLUSIONS, {"required_children": (p.LEVEL,)}, "not a child"),
        (p.RETENTION, {"limits": Limits(minimum=5, maximum=4)}, "least number"),
        (p.LEVEL, {"limits": Limits(minimum=5)}, "range goes with integers"),
        (p.FILE_SYSTEMS, {"limits": Limits(minimum_length=5, maximum_length=4)}, "least length"),
        (p.FILE_SYSTEMS, {"limits": Limits(pattern="(")}, "not a regular expression"),
        (p.RETENTION, {"limits": Limits(maximum_length=4)}, "go with texts"),
        (p.RETENTION, {"maximum_count": 4}, "count goes with collections"),
        (p.FILE_SYSTEMS, {"minimum_count": 601}, "least count"),
        (p.LEVEL, {"default": "passive"}, "default is not an option"),
        (p.LEVEL, {"default": 2}, "default is of another type"),
        (p.RETENTION, {"default": "90"}, "not a number in range"),
        (p.RETENTION, {"default": True}, "not a number in range"),
        (p.RETENTION, {"default": 181}, "not a number in range"),
        (p.LEVEL, {"landing": None}, "go together"),
        (p.LEVEL, {"landing_type": "boolean"}, "value is not a boolean"),
        (p.RETENTION, {"landing_default": True}, "by itself is not a integer"),
        (p.LEVEL, {"merge": Merge.UNION}, "only collections"),
        (p.EXCLUSIONS, {"merge": Merge.MEMBERS}, "at most one item"),
        (p.LEVEL, {"strength": Strength(confidence=Confidence.OURS, options=ORDER[1:])}, "every option once"),
        (p.LEVEL, {"strength": Strength(confidence=Confidence.OURS, options=(*ORDER, "x"))}, "every option once"),
        (p.LEVEL, {"strength": Strength(confidence=Confidence.OURS, numbers=Direction.LOWER)}, "integers only"),
        (p.LEVEL, {"strength": Strength(confidence=Confidence.OURS)}, "exactly one way"),
        (p.LEVEL, {"strength": Strength(confidence=Confidence.OURS, options=ORDER, neutral=True)}, "exactly one way"),
        (p.LEVEL, {"strength": Strength(confidence=Confidence.OURS, lists=Lists.FEWER)}, "collections only"),
        (
            p.RULES,
            {"strength": Strength(confidence=Confidence.OURS, lists=Lists.RULES)},
            "which option of a member blocks",
        ),
        (p.EXCLUSIONS, {"identity": (p.LEVEL,)}, "name members only"),
        (p.EXCLUSIONS, {"unique": (p.LEVEL,)}, "name members only"),
        (SettingId(f"{p.THREAT_TYPES}_item_value"), {"strength": None}, "order of strength for every other member"),
        (p.THREAT_TYPES, {"merge": Merge.AGREE}, "identity needs a union"),
        (PORTS, {"requires": (Requirement(setting=PROTOCOL, options=("x",)),)}, "not an option of"),
        (PORTS, {"requires": (Requirement(setting=p.LEVEL, options=ORDER),)}, "does not stand beside it"),
        (p.LEVEL, {"depends_on": (Dependency(parent=p.EXCLUSIONS),)}, "stands inside another"),
        (p.LEVEL, {"platform": "windows10"}, "is for windows10"),
        (TYPE, {"platform": "windows10"}, "is for windows10"),
        (p.LEVEL, {"windows": WindowsLanding(preference="Level")}, "lands on Windows"),
        (p.LEVEL, {"since": "1.0"}, "no catalog version"),
        (p.LEVEL, {"since": "2026.11.0"}, "is not between"),
        (p.LEVEL, {"since": "2999.1.1"}, "is not between"),
        (PATH, {"limits": Limits(syntax=Syntax.WINDOWS_EXCLUSION_PATH)}, "written as on another platform"),
        (PATH, {"limits": Limits(syntax=Syntax.REUSABLE_SETTING)}, "only lists refer"),
        (p.LEVEL, {"strength": Strength(confidence=Confidence.OURS, options=ORDER, off=ORDER[0])}, "only rules have"),
        (p.RULES, {"strength": Strength(confidence=Confidence.OURS, lists=Lists.RULES, blocks="x")}, "which option"),
        (p.RULES, {"strength": Strength(confidence=Confidence.OURS, lists=Lists.RULES)}, "which option"),
        (p.LEVEL, {"reusable": True}, "stands in no policy"),
        (p.LEVEL, order(equal=ORDER[:2], unordered=ORDER[2:]), "either equal or unordered"),
        (p.LEVEL, order(equal=(ORDER[0], ORDER[2])), "stand together"),
        (p.LEVEL, order(equal=(ORDER[1], ORDER[0])), "stand together"),
        (p.LEVEL, order(equal=("x", ORDER[0])), "stand together"),
        (p.LEVEL, order(unordered=ORDER[:1]), "neither one nor all"),
        (p.LEVEL, order(unordered=ORDER), "neither one nor all"),
        (p.LEVEL, order(zero=Zero.WEAKEST), "with an order of numbers"),
        (p.LEVEL, order(unset_differs=True), "where lists are compared"),
        (KEXEC, {"may_need_reboot": False}, "does not say that one may be needed"),
        (KEXEC, lasting("_off"), "hold no longer than anybody wants"),
        (KEXEC, lasting("_off", "_audit", "_block"), "hold no longer than anybody wants"),
    ],
)
def test_a_contradiction_is_found(setting: SettingId, changes: dict[str, Any], problem: str) -> None:
    problems = check_catalog(with_definition(setting, **changes))

    assert any(problem in line for line in problems), problems


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"version": 2}, "base id and version"),
        ({"since": "yesterday"}, "no catalog version"),
        ({"settings": ()}, "offers nothing"),
        ({"settings": (SettingTemplate(definition=SettingId("unheard_of")),)}, "is not defined"),
        ({"settings": (SettingTemplate(definition=p.TAGS),) * 2}, "twice"),
        ({"settings": (SettingTemplate(definition=SettingId(f"{p.TAGS}_item_key")),)}, "no template leads here"),
    ],
)
def test_a_template_that_cannot_be_is_found(changes: dict[str, Any], problem: str) -> None:
    catalog = p.catalog()
    templates = {**catalog.templates, p.DETECTION: replace(catalog.template(p.DETECTION), **changes)}
    broken = Catalog(version="1", definitions=catalog.definitions, templates=MappingProxyType(templates))

    problems = check_catalog(broken)

    assert any(problem in line for line in problems), problems


def test_a_setting_belongs_to_one_family() -> None:
    catalog = p.catalog()
    stranger = replace(catalog.template(p.ANTIVIRUS), family="endpointSecurityFirewall")
    broken = Catalog(
        version="1",
        definitions=catalog.definitions,
        templates=MappingProxyType({**catalog.templates, p.ANTIVIRUS: stranger}),
    )

    assert f"{p.EXCLUSIONS}: belongs to the families endpointSecurityAntivirus and endpointSecurityFirewall" in (
        check_catalog(broken)
    )


def test_an_option_id_belongs_to_one_setting() -> None:
    stolen = p.catalog().definition(p.LEVEL).options
    broken = with_definition(SettingId(p.ENGINE + "scanarchives"), options=stolen, kind=Kind.CHOICE)

    assert any("more than once" in line for line in check_catalog(broken))
