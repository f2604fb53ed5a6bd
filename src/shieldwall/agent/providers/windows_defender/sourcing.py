"""Whose a value is that Defender holds: a Group Policy's, a local administrator's, tamper protection's. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shieldwall.agent.host.cim import CimValue
from shieldwall.agent.providers.base import Desired, Other, Whose
from shieldwall.agent.providers.windows_defender import observing, shown
from shieldwall.agent.providers.windows_defender.asking import Sayings
from shieldwall.agent.providers.windows_defender.landings import Landing
from shieldwall.catalog.model import Catalog, SettingDefinition
from shieldwall.contract.ids import SettingId
from shieldwall.policy.values import SettingValue

__all__ = ["Other", "is_default", "others", "shown_values"]

_OWN_DEFAULTS: Final[Mapping[str, tuple[SettingValue, ...]]] = {
    "QuarantinePurgeItemsAfterDelay": (90,),
    "ScanScheduleQuickScanTime": (0,),
    "SignatureUpdateInterval": (0,),
    "SignatureFallbackOrder": ("MicrosoftUpdateServer", "MMPC"),
}
"""What Defender shows of itself where the catalog's default, that of the configuration service provider, is another.
Source: Microsoft, *Set-MpPreference* and *Manage protection update sources*."""


def shown_values(
    catalog: Catalog,
    places: Mapping[SettingId, Landing],
    preferences: Mapping[str, CimValue],
    status: Mapping[str, CimValue],
) -> Desired:
    """Return every setting that Defender shows, as a policy would say it."""
    found = {
        setting: shown.value_shown(catalog.definition(setting), place, preferences, status)
        for setting, place in places.items()
        if preferences
    }
    return {
        setting: value
        for setting, value in found.items()
        if value is not None and not (isinstance(value, int) and catalog.definition(setting).options)
    }


def is_default(definition: SettingDefinition, value: SettingValue) -> bool:
    """Say whether Defender shows this where nobody set anything: the published default, or its own."""
    preference = definition.windows.preference if definition.windows else None
    if value in (definition.default, (definition.default,)):
        return True
    own = _OWN_DEFAULTS.get(preference or "", ())
    return value == own if isinstance(value, tuple) else value in own


def others(
    catalog: Catalog,
    places: Mapping[SettingId, Landing],
    *,
    group_policy: Desired,
    written: Desired,
    sayings: Sayings,
) -> Mapping[SettingId, Other]:
    """Say which values are a Group Policy's, which the product's own, and which tamper protection keeps."""
    visible = shown_values(catalog, places, sayings.preferences, sayings.status)
    found = {
        setting: Other(whose=Whose.PRODUCT, value=value)
        for setting, value in visible.items()
        if is_default(catalog.definition(setting), value)
    }
    found |= {setting: Other(whose=Whose.GROUP_POLICY, value=value) for setting, value in group_policy.items()}
    for setting, value in written.items():
        definition, seen = catalog.definition(setting), visible.get(setting)
        if (
            seen is not None
            and observing.blocks(definition, sayings)
            and not shown.holds(definition, places[setting], value, seen)
        ):
            found[setting] = Other(whose=Whose.TAMPER_PROTECTION, value=seen)
    return found
