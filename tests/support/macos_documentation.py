"""The table of ``docs/windows-macos.md`` about macOS that follows from the code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from tests.support.documentation import table
from tests.support.macos import CATALOG

from shieldwall.agent.providers.macos.provider import MacosDefenderProvider, why_not
from shieldwall.agent.providers.mdatp import health
from shieldwall.catalog.model import Merge, PolicyTemplate, SettingDefinition
from shieldwall.contract.ids import SettingId

_COMMANDS: Final = {
    "antivirusEngine.enforcementLevel": "`mdatp health`: `real_time_protection_enabled` and `passive_mode_enabled`",
    "antivirusEngine.exclusions": "`mdatp exclusion list`",
    "antivirusEngine.allowedThreats": "`mdatp threat allowed list`",
    "antivirusEngine.threatTypeSettings": "`mdatp threat policy list`",
    "cloudService.diagnosticLevel": "`mdatp health --field cloud_diagnostic_enabled`: true is *optional*",
    "edr.tags": "`mdatp health --field edr_device_tags`",
    "features.dataLossPrevention": "`mdatp health --field data_loss_prevention_status`",
    "tamperProtection.exclusions": "`mdatp health --details tamper_protection`",
}
"""Commands of the product that show a setting, beside the fields of its health; by where the setting lands."""
_PROVIDER: Final = MacosDefenderProvider(CATALOG)
_WITH_OTHERS: Final = ("with its group", "by its members")
_IN_FILE: Final = "in the file alone"
_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def macos_tables() -> dict[str, str]:
    """Write where each setting lands and how a person sees it on a real Mac."""
    parts = [
        f"**{template.display_name}**\n\n"
        + table(("Setting", "Lands at", "Values", "To see it on the Mac"), _rows(template))
        for template in CATALOG.templates.values()
    ]
    return {"macos-defender-settings": "\n".join(parts)}


def _rows(template: PolicyTemplate) -> Iterator[tuple[str, str, str, str]]:
    waiting = [setting.definition for setting in template.settings]
    seen: set[SettingId] = set()
    while waiting:
        definition = CATALOG.definition(waiting.pop(0))
        if definition.id not in seen:
            seen.add(definition.id)
            yield _row(definition)
            waiting = [*definition.nested(), *waiting]


def _row(definition: SettingDefinition) -> tuple[str, str, str, str]:
    name = f"{definition.display_name}<br>`{definition.id}`"
    if definition.landing is None:
        return name, "nowhere", "", why_not(definition.id)
    how = _how(definition) if _PROVIDER.is_decided(definition) else _WITH_OTHERS[definition.merge is Merge.MEMBERS]
    return name, f"`{definition.landing}`", _values(definition), how


def _values(definition: SettingDefinition) -> str:
    options = [str(each.value).lower() if isinstance(each.value, bool) else each.value for each in definition.options]
    low, high = definition.limits.minimum, definition.limits.maximum
    numbers = "" if low is None or high is None else f", {low} to {high}"
    return " ".join(f"`{each}`" for each in options) or f"`{definition.landing_type}`{numbers}"


def _how(definition: SettingDefinition) -> str:
    assert definition.landing is not None
    fields = health.fields_of(definition.landing)
    if fields:
        return f"`mdatp health --field {_HUMP.sub('_', fields[0]).lower()}`"
    return _COMMANDS.get(definition.landing, _IN_FILE)
