"""What ``mdatp health`` says about a setting. Pure.

The JSON names are the text names in camel case; a setting is an object ``{"value": …}``, a state ``{"$type": …}``, a
fact a plain value. All three are read, because published outputs differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from shieldwall.agent.providers.base import Observation
from shieldwall.contract import strict_json
from shieldwall.contract.errors import InvalidJsonError

Health: TypeAlias = Mapping[str, Any]
"""The fields of ``mdatp health --output json``."""

PASSIVE: Final = "passiveModeEnabled"
REAL_TIME: Final = "realTimeProtectionEnabled"

TAMPER_PROTECTION: Final = "tamperProtection"

_FIELDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "antivirusEngine.behaviorMonitoring": ("behaviorMonitoring",),
        "antivirusEngine.enableRealTimeProtection": (REAL_TIME,),
        "antivirusEngine.passiveMode": (PASSIVE,),
        "cloudService.enabled": ("cloudEnabled",),
        "cloudService.automaticSampleSubmissionConsent": ("cloudAutomaticSampleSubmissionConsent",),
        "cloudService.automaticDefinitionUpdateEnabled": ("automaticDefinitionUpdateEnabled",),
        "edr.earlyPreview": ("edrEarlyPreviewEnabled",),
        "edr.groupIds": ("edrGroupIds",),
        "features.behaviorMonitoring": ("behaviorMonitoring",),
        # The field is a level in the documents since 2022; outputs with a mode were seen as well.
        "networkProtection.enforcementLevel": (
            "networkProtectionEnforcementLevel",
            "networkProtectionEnforcementMode",
        ),
        "tamperProtection.enforcementLevel": (TAMPER_PROTECTION,),
    }
)
"""The field that shows a setting as it is, by where the setting lands; the first of several that is there."""

_LEVELS: Final[Mapping[str, Mapping[str, bool]]] = MappingProxyType(
    {
        "real_time": {REAL_TIME: True, PASSIVE: False},
        "on_demand": {REAL_TIME: False, PASSIVE: False},
        "passive": {PASSIVE: True},
    }
)


def parse(output: bytes) -> Health | None:
    """Read the program's JSON; ``None`` when it is none."""
    try:
        health = strict_json.decode_any(output)
    except InvalidJsonError:
        return None
    return {name: _plain(value) for name, value in health.items()} if isinstance(health, dict) else None


def version(health: Health) -> str | None:
    """Return the product's version, ``None`` when the output does not say."""
    found = health.get("appVersion")
    return found if isinstance(found, str) and found else None


def fields_of(landing: str) -> tuple[str, ...]:
    """Return the fields that show a setting as it is, the documented one first; none where no field does."""
    return _FIELDS.get(landing, ())


def judge(landing: str, value: Any, health: Health) -> Observation:
    """Compare one setting with what is in effect."""
    expected = (
        _LEVELS.get(value, {}) if landing == "antivirusEngine.enforcementLevel" else _expected(landing, value, health)
    )
    shown = {field: health[field] for field in expected if health.get(field) is not None}
    if not expected or len(shown) < len(expected):
        return Observation(effective=None, code="notShown", reason="mdatp health does not show this setting.")
    wrong = [field for field, wanted in expected.items() if not _equal(shown[field], wanted)]
    if not wrong:
        return Observation(effective=True)
    seen = ", ".join(f"{field} is {shown[field]!r}" for field in wrong)
    return Observation(effective=False, code="notInEffect", reason=f"mdatp health says: {seen}."[:512])


def _expected(landing: str, value: Any, health: Health) -> dict[str, Any]:
    fields = fields_of(landing)
    return {next((field for field in fields if field in health), fields[0]): value} if fields else {}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return value.get("value", value.get("$type"))
    return value


def _equal(shown: Any, wanted: Any) -> bool:
    if isinstance(wanted, bool) and isinstance(shown, str):
        shown = {"true": True, "enabled": True, "false": False, "disabled": False}.get(shown)
    return type(shown) is type(wanted) and bool(shown == wanted)
