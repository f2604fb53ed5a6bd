"""Whose a value is that Defender holds: a Group Policy's, a local administrator's, tamper protection's. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from shieldwall.agent.host.cim import CimValue
from shieldwall.agent.providers.base import Desired, Other, Whose
from shieldwall.agent.providers.windows_defender import observing, shown
from shieldwall.agent.providers.windows_defender.asking import Sayings
from shieldwall.agent.providers.windows_defender.landings import Landing
from shieldwall.catalog.model import Catalog, SettingDefinition
from shieldwall.contract.ids import SettingId
from shieldwall.policy.values import SettingValue

__all__ = ["Other", "default", "others", "shown_values"]


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


def default(definition: SettingDefinition) -> SettingValue | None:
    """Return what Defender does by itself: what the catalog says, or an empty list."""
    if definition.default is not None:
        return definition.default
    return () if not definition.options else None


def others(
    catalog: Catalog,
    places: Mapping[SettingId, Landing],
    *,
    group_policy: Desired,
    written: Desired,
    sayings: Sayings,
) -> Mapping[SettingId, Other]:
    """Say which values are a Group Policy's, and which written ones tamper protection keeps from holding."""
    found = {setting: Other(whose=Whose.GROUP_POLICY, value=value) for setting, value in group_policy.items()}
    visible = shown_values(catalog, places, sayings.preferences, sayings.status)
    for setting, value in written.items():
        definition, seen = catalog.definition(setting), visible.get(setting)
        if (
            seen is not None
            and observing.blocks(definition, sayings)
            and not shown.holds(definition, places[setting], value, seen)
        ):
            found[setting] = Other(whose=Whose.TAMPER_PROTECTION, value=seen)
    return found
