"""The catalog holds exactly the published settings, and says of each what the published material says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import pytest
from tests.support import policies as p
from tests.support.catalog_material import material, needs_material

from shieldwall.catalog.model import Confidence, Kind, PolicyTemplate, SettingDefinition
from shieldwall.contract.ids import SettingId, TemplateId

PROFILES: Final = {
    "804339ad-1553-4478-a742-138fb5807418_1": ("windows10", 54, 0, 4, 37),
    "45fea5e9-280d-4da1-9792-fb5736da0ca9_1": ("windows10", 3, 0, 0, 3),
    "d948ff9b-99cb-4ee0-8012-1fbc09685377_1": ("windows10", 19, 0, 0, 14),
    "e3f74c5a-a6de-411d-aef6-eb15628f3a0a_1": ("windows10", 3, 0, 0, 3),
    "e8c053d6-9f95-42b1-a7f1-ebfd71c67a4b_1": ("windows10", 5, 0, 37, 2),
    "0385b795-0f2f-44ac-8602-9f65bf6adede_1": ("windows10", 3, 0, 3, 3),
    "6078910e-d808-4a9f-a51d-1b8a7bacb7c0_1": ("windows10", 15, 1, 63, 7),
    "19c8aa67-f286-4861-9aa0-f23541d31680_1": ("windows10", 1, 0, 22, 1),
    "0f2034c6-3cd6-4ee1-bd37-f3c0693e9548_1": ("windows10", 14, 1, 0, 14),
    "4cfd164c-5e8a-4ea9-b15d-9aa71e4ffff4_1": ("linux", 38, 9, 8, 17),
    "8a17a1e5-3df4-4e07-9d20-3878267a79b8_1": ("linux", 1, 0, 5, 1),
    "3514388a-d4d1-4aa8-bd64-c317776008f5_1": ("linux", 1, 0, 2, 1),
    "dfa57610-d11d-4bf8-89d6-1f5cb1679506_1": ("linux", 1, 0, 4, 0),
    "2d345ec2-c817-49e5-9156-3ed416dc972a_1": ("macOS", 42, 16, 16, 20),
    "43397174-2244-4006-b5ad-421b369e90d4_1": ("macOS", 1, 0, 5, 1),
    "a6ff37f6-c841-4264-9249-1ecf793d94ef_1": ("macOS", 1, 2, 2, 0),
}
"""By template: platform, top-level settings (confirmed or likely; unverified), nested ones, known templates."""
UNSUPPORTED: Final = "0f2034c6-3cd6-4ee1-bd37-f3c0693e9548_1"

_PLATFORMS: Final = {"windows": "windows10", "linux": "linux", "macos": "macOS"}
_CONFIDENCES: Final = {
    "verified": Confidence.VERIFIED,
    "partly-derived": Confidence.PARTLY_DERIVED,
    "unverified": Confidence.UNVERIFIED,
}
_UNKNOWN_KINDS: Final = {
    "device_vendor_msft_defender_configuration_devicecontrol_policyrules_{ruleid}",
    "vendor_msft_firewall_mdmstore_firewallrules_{firewallrulename}_app_fqbn",
}
_EXCLUSION_TYPES: Final = (
    "com.apple.managedclient.preferences_exclusions_item_$type",
    "linux_mdatp_managed_antivirusengine_exclusions_item_$type",
    "linux_mdatp_managed_exclusionsettings_exclusions_item_$type",
)
_HYPER_V: Final = "vendor_msft_firewall_mdmstore_hypervvmsettings_{vmcreatorid}"
DEVIATIONS: Final = {
    # An exclusion that does not say what it excludes would mean nothing.
    *((name, f"required children of {name}_{number}") for name in _EXCLUSION_TYPES for number in range(3)),
    # The list may be empty, as on Linux.
    ("com.apple.managedclient.preferences_exclusions", "least count"),
    # Neither child is defined anywhere.
    ("vendor_msft_defender_configuration_tamperprotection_options", "children"),
    # Its kind is not published.
    ("device_vendor_msft_defender_configuration_devicecontrol_policyrules_{ruleid}", "confidence"),
    # Pending deprecation is told with the channel, not with each setting.
    *(
        (f"{prefix}_{profile}profile_allowlocalpolicymerge", "deprecated")
        for prefix in ("vendor_msft_firewall_mdmstore", _HYPER_V)
        for profile in ("domain", "private", "public")
    ),
}
"""Where the catalog says something else on purpose, and why."""


def published() -> dict[str, SettingDefinition]:
    return {d.id: d for d in p.catalog().definitions.values() if d.confidence is not Confidence.OURS}


def nested(template: PolicyTemplate) -> set[SettingId]:
    waiting = [setting.definition for setting in template.settings]
    tops, reached = set(waiting), set[SettingId]()
    while waiting:
        definition = p.catalog().definition(waiting.pop())
        reached.add(definition.id)
        waiting += definition.nested()
    return reached - tops


@pytest.mark.parametrize("template", sorted(PROFILES))
def test_a_profile_offers_every_published_setting(template: str) -> None:
    found = p.catalog().template(TemplateId(template))
    unverified = [setting for setting in found.settings if setting.confidence is Confidence.UNVERIFIED]

    assert PROFILES[template] == (
        found.platforms,
        len(found.settings) - len(unverified),
        len(unverified),
        len(nested(found)),
        sum(setting.instance_template is not None for setting in found.settings),
    )
    assert found.supported == (template != UNSUPPORTED)


def test_there_are_382_published_settings_in_16_profiles_and_all_else_is_ours() -> None:
    ours = {template.id for template in p.catalog().templates.values() if template.confidence is Confidence.OURS}

    assert len(published()) == 382
    assert set(p.catalog().templates) - ours == set(PROFILES)


def test_how_well_a_setting_is_founded_is_told_of_each() -> None:
    assert Counter((d.platform, d.confidence.value) for d in published().values()) == {
        ("linux", "partlyDerived"): 47,
        ("linux", "verified"): 16,
        ("macOS", "partlyDerived"): 69,
        ("macOS", "verified"): 9,
        ("windows10", "partlyDerived"): 46,  # 47 as published: of one of them no kind is known
        ("windows10", "unverified"): 2,
        ("windows10", "verified"): 193,
    }


def test_the_kinds_of_settings_are_those_published() -> None:
    known = Counter(d.kind for name, d in published().items() if name not in _UNKNOWN_KINDS)

    assert known == {
        Kind.CHOICE: 251,
        Kind.SIMPLE_INTEGER: 32,
        Kind.GROUP_COLLECTION: 15,
        Kind.SIMPLE_STRING_COLLECTION: 39,
        Kind.CHOICE_COLLECTION: 6,
        Kind.SIMPLE_STRING: 34,
        Kind.SIMPLE_SECRET: 3,
    }


def test_nineteen_attack_surface_reduction_rules_have_eighteen_lists_of_exclusions() -> None:
    prefix = "device_vendor_msft_policy_config_defender_attacksurfacereductionrules_"
    rules = [name for name in published() if name.startswith(prefix)]

    assert sum(not name.endswith("_perruleexclusions") for name in rules) == 19
    assert sum(name.endswith("_perruleexclusions") for name in rules) == 18


def test_what_the_channel_does_not_deliver_is_told() -> None:
    assert {name for name, definition in published().items() if not definition.supported} == {
        "device_vendor_msft_policy_config_defender_allowintrusionpreventionsystem",
        "device_vendor_msft_windowsadvancedthreatprotection_configuration_telemetryreportingfrequency",
        *(
            f"vendor_msft_firewall_mdmstore_{profile}profile_allowlocalpolicymerge"
            for profile in ("domain", "private", "public")
        ),
    }


def _differences(fact: dict[str, Any], definition: SettingDefinition) -> Iterator[tuple[str, object, object]]:
    """Yield what the catalog says otherwise: the name of the fact, and both values."""
    limits, count = fact.get("limits", {}), fact.get("count", {})
    yield "platform", _PLATFORMS[fact["platform"]], definition.platform
    yield "confidence", _CONFIDENCES[fact["confidence"]], definition.confidence
    yield "children", tuple(fact.get("children", ())), definition.children
    yield "required children", tuple(fact.get("required_children", ())), definition.required_children
    yield "least", limits.get("min"), definition.limits.minimum
    yield "greatest", limits.get("max"), definition.limits.maximum
    yield "pattern", limits.get("pattern"), definition.limits.pattern
    yield "allowed", tuple(limits.get("allowed", ())), definition.limits.allowed
    yield "least count", count.get("min", 0), definition.minimum_count
    yield "tamper protected", fact["tamper_protected"], definition.tamper_protected.value
    yield "deprecated", fact.get("deprecated", False), definition.deprecated
    yield "restart", fact.get("may_need_reboot", False), definition.may_need_reboot
    default = fact.get("default", {})
    yield "default", default.get("item_id", default.get("value")), definition.default
    if fact["kind"] != "unknown":
        yield "kind", fact["kind"], definition.kind.value
    if "max" in count:
        yield "greatest count", count["max"], definition.maximum_count
    if "max_length" in limits:
        yield "greatest length", limits["max_length"], definition.limits.maximum_length
    if fact["platform"] == "windows":
        yield "base uri", fact.get("base_uri"), definition.base_uri
        yield "offset uri", fact.get("offset_uri"), definition.offset_uri
    yield from _option_differences(fact, definition)


def _option_differences(fact: dict[str, Any], definition: SettingDefinition) -> Iterator[tuple[str, object, object]]:
    options = fact.get("options", [])
    yield "options", [option["item_id"] for option in options], [option.item_id for option in definition.options]
    for known, option in zip(options, definition.options, strict=False):
        name = option.item_id
        value = known.get("config_value", known["value"])
        yield f"value of {name}", (type(value), value), (type(option.value), option.value)
        yield f"children of {name}", tuple(known.get("children", ())), option.children
        yield f"required children of {name}", tuple(known.get("required_children", ())), option.required_children


@needs_material
def test_every_setting_is_what_the_material_says() -> None:
    facts = material()["definitions"]

    assert set(published()) == set(facts)
    different = [
        (name, *difference)
        for name, fact in facts.items()
        for difference in _differences(fact, published()[name])
        if difference[1] != difference[2] and (name, difference[0]) not in DEVIATIONS
    ]
    assert different == []


@needs_material
@pytest.mark.parametrize("template", sorted(PROFILES))
def test_every_profile_is_what_the_material_says(template: str) -> None:
    (fact,) = [one for one in material()["profiles"] if one["template"]["templateId"] == template]
    found = p.catalog().template(TemplateId(template))

    frame = fact["template"]
    assert (found.family, found.platforms, found.technologies, found.display_name) == (
        frame["templateFamily"],
        frame["platforms"],
        frame["technologies"],
        frame["templateDisplayName"],
    )
    assert {setting.definition: (setting.instance_template, setting.value_template) for setting in found.settings} == {
        setting["id"]: (setting.get("instance_template_id"), setting.get("value_template_id"))
        for setting in fact["settings"]
    }
    assert {s.definition for s in found.settings if s.confidence is Confidence.UNVERIFIED} == {
        setting["id"] for setting in fact["settings"] if setting["membership"] == "unverified"
    }
