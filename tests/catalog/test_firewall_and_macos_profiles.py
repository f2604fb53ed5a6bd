"""The firewall profiles of Windows and those of macOS: complete, and their options mean what the product means."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.graph_bodies import sample

from shieldwall.catalog.loader import load
from shieldwall.catalog.model import Confidence, Kind, Lists, Merge, PolicyTemplate, SettingDefinition
from shieldwall.catalog.validate import validate
from shieldwall.contract.ids import SettingId, TemplateId
from shieldwall.contract.settings import walk
from shieldwall.server.graph.setting_reading import read_settings

CATALOG = load()
FIREWALL = "vendor_msft_firewall_mdmstore_"
RULE = f"{FIREWALL}firewallrules_{{firewallrulename}}"
MACOS = "com.apple.managedclient.preferences_"
PROFILES = {
    "windows-firewall": ("6078910e-d808-4a9f-a51d-1b8a7bacb7c0_1", 16, 63),
    "windows-firewall-rules": ("19c8aa67-f286-4861-9aa0-f23541d31680_1", 1, 22),
    "macos-antivirus": ("2d345ec2-c817-49e5-9156-3ed416dc972a_1", 58, 16),
    "macos-exclusions": ("43397174-2244-4006-b5ad-421b369e90d4_1", 1, 5),
    "macos-detection": ("a6ff37f6-c841-4264-9249-1ecf793d94ef_1", 3, 2),
}


def definition(setting: str) -> SettingDefinition:
    return CATALOG.definition(SettingId(setting))


def template(name: str) -> PolicyTemplate:
    return CATALOG.template(TemplateId(PROFILES[name][0]))


def below(settings: list[SettingId]) -> Iterator[SettingId]:
    for setting in settings:
        yield setting
        yield from below(list(definition(setting).nested()))


def value_of(setting: str, suffix: str) -> object:
    option = definition(setting).option(setting + suffix)
    assert option is not None
    return option.value


def strongest_first(setting: str) -> list[object]:
    strength = definition(setting).strength
    assert strength is not None
    return [value_of(setting, option.removeprefix(setting)) for option in strength.options]


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_has_every_published_setting(name: str) -> None:
    _, tops, nested = PROFILES[name]
    offered = [setting.definition for setting in template(name).settings]

    assert (len(offered), len(set(below(offered)) - set(offered))) == (tops, nested)


@pytest.mark.parametrize("name", PROFILES)
def test_the_sample_of_a_profile_is_valid_and_uses_every_kind_of_setting(name: str) -> None:
    body, offered = sample(name), template(name)
    settings = read_settings(body["settings"])

    assert validate(CATALOG, offered.id, body["platforms"], body["technologies"], settings) == ()
    used = {CATALOG.definition(instance.definition).kind for instance in walk(settings)}
    assert used == {definition(setting).kind for setting in below([each.definition for each in offered.settings])}


def test_a_default_action_counts_from_allow_and_the_action_of_a_rule_from_block() -> None:
    default = f"{FIREWALL}publicprofile_defaultinboundaction"
    strength = definition(default).strength

    assert strength is not None
    assert strength.options == (f"{default}_1", f"{default}_0")
    rules = definition(RULE).strength
    assert rules is not None
    assert rules.lists is Lists.RULES
    assert (rules.blocks, rules.off) == (f"{RULE}_action_type_0", f"{RULE}_enabled_0")
    assert value_of(f"{RULE}_enabled", "_0") == 0


@pytest.mark.parametrize(
    "setting", ["enablefirewall", "shielded", "defaultinboundaction", "defaultoutboundaction", "allowlocalpolicymerge"]
)
@pytest.mark.parametrize("network", ["domain", "private", "public"])
def test_what_can_cut_a_device_off_says_so(network: str, setting: str) -> None:
    strength = definition(f"{FIREWALL}{network}profile_{setting}").strength

    assert strength is not None
    assert strength.connectivity


def test_a_rule_that_no_direction_names_is_about_what_leaves() -> None:
    assert definition(f"{RULE}_direction").default == f"{RULE}_direction_out"


def test_rules_are_united_and_the_settings_of_a_firewall_must_agree() -> None:
    united = {setting for setting in below([definition(RULE).id]) if definition(setting).merge is Merge.UNION}
    offered = [setting.definition for setting in template("windows-firewall").settings]

    assert united == {RULE}
    assert {definition(setting).merge for setting in below(offered)} == {Merge.AGREE}


def test_local_rules_cannot_be_ruled_out_through_this_channel() -> None:
    for network in ("domain", "private", "public"):
        merging = definition(f"{FIREWALL}{network}profile_allowlocalpolicymerge")
        assert (merging.supported, merging.deprecated) == (False, True)


def test_on_macos_behaviour_monitoring_counts_from_enabled_and_levels_from_passive() -> None:
    level = f"{MACOS}enforcementlevel_antivirusengine"

    assert strongest_first(f"{MACOS}behaviormonitoring") == ["enabled", "disabled"]
    assert value_of(f"{MACOS}behaviormonitoring", "_0") == "enabled"
    assert [value_of(level, suffix) for suffix in ("_0", "_1", "_2")] == ["passive", "on_demand", "real_time"]
    assert strongest_first(level) == ["real_time", "on_demand", "passive"]


def test_on_macos_values_have_the_type_that_the_product_reads() -> None:
    assert value_of(f"{MACOS}enabled", "_true") is True
    assert value_of(f"{MACOS}disablednsparsing", "_false") is False


def test_a_schedule_on_macos_is_one_item_whose_members_are_decided_apart() -> None:
    for schedule in ("dailyconfiguration", "weeklyconfiguration"):
        group = definition(MACOS + schedule)
        assert (group.kind, group.merge, group.maximum_count) == (Kind.GROUP_COLLECTION, Merge.MEMBERS, 1)


def test_what_is_not_confirmed_says_so() -> None:
    unknown = definition(f"{RULE}_app_fqbn")

    assert (unknown.confidence, bool(unknown.note)) == (Confidence.UNVERIFIED, True)
    assert definition(f"{MACOS}performanceprofiles").landing is None
    unsure = [each for each in template("macos-antivirus").settings if each.confidence is Confidence.UNVERIFIED]
    assert len(unsure) == 16
