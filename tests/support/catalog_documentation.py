"""The tables of ``docs/catalog.md``: how much of each profile there is, and how well it is founded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from tests.support.documentation import table

from shieldwall.catalog.loader import load
from shieldwall.catalog.model import Catalog, Confidence, PolicyTemplate, SettingDefinition
from shieldwall.contract.ids import SettingId

_PLATFORMS: Final = {"linux": "Linux", "macOS": "macOS", "windows10": "Windows"}
_FOUNDED: Final = {
    Confidence.VERIFIED: "Verified",
    Confidence.PARTLY_DERIVED: "Partly derived",
    Confidence.SINGLE_SOURCE: "Single source",
    Confidence.UNVERIFIED: "Unverified",
    Confidence.OURS: "Ours",
}


def catalog_tables() -> dict[str, str]:
    """Write one row for each profile, and the totals by platform."""
    catalog = load()
    heading = (
        *("Profile", "Platform", "Template and family", "Top level", "Membership unverified", "Nested"),
        *("Definition unverified", "Strength told", "Of these neutral"),
    )
    templates = sorted(catalog.templates.values(), key=lambda each: (each.platforms, each.family, each.display_name))
    totals = ("Platform", "Profiles", "Definitions", *_FOUNDED.values(), "Strength told", "Of these neutral")
    return {
        "profiles": table(heading, (_profile(catalog, template) for template in templates)),
        "totals": table(totals, _totals(catalog)),
    }


def below(catalog: Catalog, tops: Iterable[SettingId]) -> set[SettingId]:
    """Return every setting that may stand somewhere inside these."""
    waiting, found = [child for top in tops for child in catalog.definition(top).nested()], set[SettingId]()
    while waiting:
        setting = waiting.pop()
        if setting not in found:
            found.add(setting)
            waiting.extend(catalog.definition(setting).nested())
    return found


def _profile(catalog: Catalog, template: PolicyTemplate) -> Sequence[str]:
    tops = [entry.definition for entry in template.settings]
    nested = below(catalog, tops)
    definitions = [catalog.definition(setting) for setting in {*tops, *nested}]
    unsure = sum(entry.confidence is Confidence.UNVERIFIED for entry in template.settings)
    unverified = sum(definition.confidence is Confidence.UNVERIFIED for definition in definitions)
    name = template.display_name if template.supported else f"{template.display_name} (not delivered)"
    return (
        *(name, _PLATFORMS[template.platforms], f"`{template.id}`<br>`{template.family}`"),
        *map(str, (len(tops), unsure, len(nested), unverified)),
        *_strength(definitions),
    )


def _totals(catalog: Catalog) -> Iterable[Sequence[str]]:
    for platform, name in (*_PLATFORMS.items(), (None, "Together")):
        definitions = [each for each in catalog.definitions.values() if platform in {None, each.platform}]
        profiles = sum(platform in {None, template.platforms} for template in catalog.templates.values())
        founded = Counter(definition.confidence for definition in definitions)
        counts = (profiles, len(definitions), *(founded[confidence] for confidence in _FOUNDED))
        yield (name, *map(str, counts), *_strength(definitions))


def _strength(definitions: Sequence[SettingDefinition]) -> tuple[str, str]:
    orders = [definition.strength for definition in definitions if definition.strength is not None]
    told = [order for order in orders if order.neutral or order.options or order.numbers or order.lists]
    percent = 100 * len(told) // len(definitions)
    return f"{len(told)} ({percent} %)", str(sum(strength.neutral for strength in told))
