"""What ``mdatp health`` prints, as text and as JSON.

Text has a line for each field and ``[managed]`` behind what another management tool brought; JSON has the names in
camel case, a setting as an object ``{"value": …}``, a state as ``{"$type": …}``, a fact as it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from shieldwall.testing.mdatp.product import Product

FACTS: Final[Mapping[str, Any]] = {
    "healthy": True,
    "health_issues": [],
    "licensed": True,
    "app_version": "101.25032.0008",
    "engine_version": "1.1.25020.3000",
    "release_ring": "Production",
    "definitions_version": "1.427.1.0",
}
_SHOWN: Final[Mapping[str, str]] = {
    "behavior_monitoring": "behaviorMonitoring",
    "cloud_enabled": "cloudService.enabled",
    "cloud_automatic_sample_submission_consent": "cloudService.automaticSampleSubmissionConsent",
    "automatic_definition_update_enabled": "cloudService.automaticDefinitionUpdateEnabled",
    "network_protection_enforcement_level": "networkProtection.enforcementLevel",
}
"""Fields that show a setting as it is, by where it lands."""


def facts(product: Product) -> dict[str, Any]:
    """Return the fields that no setting changes."""
    if product.platform == "linux":
        return dict(FACTS)
    return {**FACTS, "full_disk_access_enabled": True, "managed_by": "MDE" if product.is_attached else "MEM"}


def settings(product: Product) -> dict[str, tuple[Any, bool]]:
    """Return the fields that show settings: the value in effect, and whether ``[managed]`` stands behind it."""
    level, level_source = product.effective("antivirusEngine.enforcementLevel")
    passive, passive_source = product.effective("antivirusEngine.passiveMode")
    real_time, real_time_source = product.effective("antivirusEngine.enableRealTimeProtection")
    group = "features" if product.platform == "macos" else "antivirusEngine"
    shown = {
        "passive_mode_enabled": (
            level == "passive" if passive is None else passive,
            _is_marked(product, level_source, passive_source),
        ),
        "real_time_protection_enabled": (
            level == "real_time" if real_time is None else real_time,
            _is_marked(product, level_source, real_time_source),
        ),
    }
    for field, landing in _SHOWN.items():
        value, source = product.effective(landing if "." in landing else f"{group}.{landing}")
        shown[field] = (value, _is_marked(product, source))
    if product.platform == "macos":
        preview, preview_source = product.effective("edr.earlyPreview")
        groups, groups_source = product.effective("edr.groupIds")
        tags, tags_source = product.effective("edr.tags")
        tampering, tampering_source = product.tamper_protection()
        shown |= {
            "edr_early_preview_enabled": ("enabled" if preview else "disabled", _is_marked(product, preview_source)),
            "edr_group_ids": (groups, _is_marked(product, groups_source)),
            "edr_device_tags": (tags, _is_marked(product, tags_source)),
            "tamper_protection": (tampering, tampering_source == "mdm" and not product.is_attached),
        }
    return shown


def details(product: Product) -> dict[str, Any]:
    """Return the fields of ``--details tamper_protection``."""
    level, source = product.tamper_protection()
    local = product.local.get("tamperProtection", {}).get("enforcementLevel", "unavailable")
    return {
        "tamper_protection": level,
        "configuration_source": source,
        "configuration_local": local,
        "configuration_portal": product.behaviour.get("portalTamperProtection", "unavailable"),
        "configuration_default": "audit",
        "configuration_is_managed": source == "mdm",
    }


def as_json(product: Product) -> str:
    """Write everything as ``--output json`` does."""
    document = {_camel(name): value for name, value in facts(product).items()}
    document |= {_camel(name): {"value": value} for name, (value, _) in settings(product).items()}
    document |= {"definitionsStatus": {"$type": "upToDate"}, "definitionsUpdatedMinutesAgo": 12}
    return json.dumps(document)


def as_text(product: Product) -> str:
    """Write everything as people get it."""
    lines = [f"{name:42}: {json.dumps(value)}" for name, value in facts(product).items()]
    for name, (value, is_managed) in settings(product).items():
        lines.append(f"{name:42}: {json.dumps(value)}{' [managed]' if is_managed else ''}")
    return "\n".join(lines)


def field(product: Product, name: str) -> str | None:
    """Write one field as ``--field`` does; ``None`` when there is no such field."""
    found = {**facts(product), **{each: value for each, (value, _) in settings(product).items()}}
    return json.dumps(found[name]) if name in found else None


def _is_marked(product: Product, *sources: str) -> bool:
    """On macOS the mark stands behind what an MDM brought alone, not behind what MDE Attach gave."""
    marked = {"managed"} if product.platform == "macos" else {"managed", "attach"}
    return bool(marked & set(sources))


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
