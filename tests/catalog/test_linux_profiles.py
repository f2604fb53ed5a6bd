"""Our own Linux profiles: shaped like the published ones, in a vocabulary that our providers can hold to."""

from __future__ import annotations

from typing import Final

import pytest
from tests.support import policies as p

from shieldwall.catalog.model import Confidence, Kind, Lists, Merge, PolicyTemplate, SettingDefinition
from shieldwall.catalog.validate import validate
from shieldwall.contract.ids import SettingId, TemplateId
from shieldwall.contract.settings import SettingInstance, SimpleCollectionSetting, SimpleValue
from shieldwall.policy.classify import ChangeClass, classify
from shieldwall.policy.values import Item

ZONES: Final = ("trusted", "internal", "public")
FIREWALL: Final = TemplateId("d004203a-c7c2-43ec-ac22-605f2e0ffbff_1")
HARDENING: Final = TemplateId("e6a8cdaa-b2e2-4c5a-9684-bf49cc7e8370_1")
AUDIT: Final = TemplateId("772a781b-0376-485f-bbb4-e0bca1fd1eb2_1")
INDICATORS: Final = TemplateId("5f0d7a3e-9c41-4b6f-8e25-3a7c1d94b860_1")
REDUCTION: Final = "linux_shieldwall_attacksurfacereductionrules"
WATCHES: Final = "linux_shieldwall_audit_watches"
GROUP_ID: Final = "00000000-0000-4000-8000-000000000001"


def ours() -> list[SettingDefinition]:
    return [d for d in p.catalog().definitions.values() if d.id.startswith("linux_shieldwall_")]


def codes(template: TemplateId, *settings: SettingInstance) -> list[str]:
    found = validate(p.catalog(), template, "linux", "microsoftSense", settings)
    return [finding.code for finding in found]


def rule(*members: SettingInstance) -> SettingInstance:
    return p.items(p.RULES, p.firewall_rule("A rule", "allow", *members))


@pytest.mark.parametrize(
    ("template", "family", "tops"),
    [
        (FIREWALL, "endpointSecurityFirewall", 14),
        (HARDENING, "endpointSecurityAttackSurfaceReduction", 2),
        (AUDIT, "endpointSecurityEndpointDetectionAndResponse", 1),
        (INDICATORS, "endpointSecurityAntivirus", 2),
    ],
)
def test_a_profile_stands_in_the_family_of_its_published_counterpart(
    template: TemplateId, family: str, tops: int
) -> None:
    found: PolicyTemplate = p.catalog().template(template)

    assert (found.family, len(found.settings), found.confidence) == (family, tops, Confidence.OURS)


def test_every_setting_of_ours_says_where_it_lands_and_which_value_is_stronger() -> None:
    reusable = "linux_shieldwall_addressgroup"

    # Of a list that means everything while it is left out, no longer one is stronger.
    directories = f"{REDUCTION}_blockexecutionfromworldwritabledirectories_directories"
    assert [d.id for d in ours() if d.strength is None and not d.id.startswith(reusable)] == [directories]
    assert [d.id for d in ours() if d.landing is None and not d.id.startswith(reusable)] == []
    roots = {d.landing.split(".")[0] for d in ours() if d.landing is not None}
    assert roots == {"firewall", "hardening", "audit", "indicators"}


def test_two_settings_never_land_in_one_place_but_groups_of_addresses_with_the_addresses() -> None:
    shared: dict[str, list[str]] = {}
    for definition in ours():
        if definition.landing is not None:
            shared.setdefault(definition.landing, []).append(definition.id)
    groups = {f"{p.RULES}_item_{side}addressgroups" for side in ("local", "remote")}

    assert {name for names in shared.values() if len(names) > 1 for name in names} - groups == {
        f"{p.RULES}_item_localaddresses",
        f"{p.RULES}_item_remoteaddresses",
    }


@pytest.mark.parametrize("zone", ZONES)
def test_a_zone_is_found_and_filled_even_where_its_firewall_is_off(zone: str) -> None:
    prefix = f"linux_shieldwall_firewall_{zone}_"
    template = p.catalog().template(FIREWALL)
    enabled = p.catalog().definition(SettingId(prefix + "enablefirewall"))

    assert template.setting(SettingId(prefix + "interfaces")) is not None
    assert template.setting(SettingId(prefix + "networks")) is not None
    assert [len(option.children) for option in enabled.options] == [0, 14]
    assert enabled.merge is Merge.AGREE


def test_zones_offer_the_same_settings() -> None:
    words = [
        {d.id.removeprefix(f"linux_shieldwall_firewall_{zone}_") for d in ours() if f"_firewall_{zone}_" in d.id}
        for zone in ZONES
    ]

    assert words[0] == words[1] == words[2]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("kind", ["interfaces", "networks"])
def test_moving_an_interface_weakens_because_the_zone_it_comes_to_may_filter_nothing(zone: str, kind: str) -> None:
    setting = SettingId(f"linux_shieldwall_firewall_{zone}_{kind}")

    assert classify(p.catalog(), setting, (), ("eth0",)) is ChangeClass.WEAKEN
    assert classify(p.catalog(), setting, ("eth0",), ()) is ChangeClass.WEAKEN
    strength = p.catalog().definition(setting).strength
    assert strength is not None
    assert strength.connectivity


@pytest.mark.parametrize("name", ["lo", "eth0/1", "a b", "sixteen-letters-", "*", ".", "eth*0", ""])
def test_what_is_no_name_of_an_interface_is_refused(name: str) -> None:
    assert codes(FIREWALL, p.texts("linux_shieldwall_firewall_public_interfaces", name)) != []


@pytest.mark.parametrize("name", ["eth0", "wg*", "br-1a2b3c", "enp0s3.100", "lo0"])
def test_a_name_of_an_interface_is_taken(name: str) -> None:
    assert codes(FIREWALL, p.texts("linux_shieldwall_firewall_public_interfaces", name)) == []


def test_hardening_rules_are_decided_apart_and_only_exclusions_are_united() -> None:
    group = p.catalog().definition(SettingId(REDUCTION))
    rules = [p.catalog().definition(child) for child in group.children]

    assert (group.merge, group.maximum_count) == (Merge.MEMBERS, 1)
    assert len(rules) >= 30
    assert {each.merge for each in rules} == {Merge.AGREE}
    for each in rules:
        suffixes = [option.item_id.removeprefix(each.id) for option in each.options]
        assert suffixes in (["_off", "_audit", "_block"], ["_off", "_block"])
        assert each.default == f"{each.id}_off"
    exclusions = [d for d in ours() if d.id.endswith("_perruleexclusions")]
    assert {(d.merge, d.strength and d.strength.lists) for d in exclusions} == {(Merge.UNION, Lists.FEWER)}


def test_exclusions_of_a_rule_stand_in_the_modes_that_they_soften() -> None:
    exclusions = p.catalog().definition(SettingId(f"{REDUCTION}_blockuntrustedexecutables_perruleexclusions"))

    assert {dependency.option for dependency in exclusions.depends_on} == {
        f"{REDUCTION}_blockuntrustedexecutables_audit",
        f"{REDUCTION}_blockuntrustedexecutables_block",
    }


def test_what_the_kernel_does_not_take_back_says_that_a_restart_may_be_needed() -> None:
    irreversible = [d for d in ours() if d.note is not None and "the next restart" in d.note]

    assert len(irreversible) >= 8
    assert [d.id for d in irreversible if not d.may_need_reboot] == []


def test_what_the_kernel_does_not_take_back_is_marked_option_by_option() -> None:
    marked = {option.item_id for definition in ours() for option in definition.until_restart}

    assert marked == {
        f"{REDUCTION}_enforcekernellockdown_block",
        f"{REDUCTION}_blockkexec_block",
        f"{REDUCTION}_blockmoduleloading_block",
        f"{REDUCTION}_restrictptrace_scope_nobody",
        "linux_shieldwall_audit_loginuidimmutable_true",
        "linux_shieldwall_audit_immutable_true",
    }


def test_a_shell_is_no_exclusion_from_the_audit() -> None:
    excluded = p.texts("linux_shieldwall_audit_excludedprograms", "/usr/bin/bash")

    assert codes(AUDIT, p.choice("linux_shieldwall_audit_enabled", "_true", excluded)) == ["dangerousExclusion"]


@pytest.mark.parametrize("path", ["etc/passwd", "/etc/*", "/etc/../root", "/", "/srv/./a"])
def test_a_watch_names_one_absolute_path(path: str) -> None:
    permissions = p.choices(f"{WATCHES}_item_permissions", "_write")
    watches = p.items(WATCHES, (p.text(f"{WATCHES}_item_path", path), permissions))

    assert codes(AUDIT, p.choice("linux_shieldwall_audit_enabled", "_true", watches)) != []


@pytest.mark.parametrize("wrong", ["", "0" * 63, "0" * 65, "g" * 64, " " + "0" * 63, "0" * 64 + "\n"])
def test_an_indicator_is_a_hash_and_nothing_else(wrong: str) -> None:
    group = "linux_shieldwall_indicators_blockedfiles"

    assert codes(INDICATORS, p.items(group, (p.text(f"{group}_item_sha256", wrong),))) != []
    assert codes(INDICATORS, p.items(group, (p.text(f"{group}_item_sha256", "0aF" + "0" * 61),))) == []


def test_more_blocked_files_strengthen_and_more_allowed_ones_weaken() -> None:
    for name, change in (("blockedfiles", ChangeClass.STRENGTHEN), ("allowedfiles", ChangeClass.WEAKEN)):
        setting = SettingId(f"linux_shieldwall_indicators_{name}")
        item = Item(((SettingId(f"{setting}_item_sha256"), "0" * 64),))
        assert classify(p.catalog(), setting, (), (item,)) is change


def test_members_of_rules_that_need_another_say_so() -> None:
    users = p.texts(f"{p.RULES}_item_users", "postgres")
    protocol = p.number(f"{p.RULES}_item_protocolnumber", 47)
    messages = p.texts(f"{p.RULES}_item_icmptypes", "8:0")
    outward = p.choice(f"{p.RULES}_item_direction", "_out")

    assert codes(p.FIREWALL_RULES, rule(users)) == ["notTogether"]
    assert codes(p.FIREWALL_RULES, rule(protocol, p.choice(f"{p.RULES}_item_protocol", "_tcp"))) == ["notTogether"]
    assert codes(p.FIREWALL_RULES, rule(messages)) == ["notTogether"]
    assert codes(p.FIREWALL_RULES, rule(users, outward)) == []


def test_a_rule_may_refer_to_lists_of_addresses() -> None:
    member = SettingId(f"{p.RULES}_item_remoteaddressgroups")
    reference = SimpleCollectionSetting(definition=member, values=(SimpleValue(kind="reference", value=GROUP_ID),))

    assert codes(p.FIREWALL_RULES, rule(reference)) == []
    assert codes(p.FIREWALL_RULES, rule(p.texts(member, "10.0.0.0/8"))) != []


def test_a_list_of_addresses_is_reusable_stands_in_no_policy_and_is_never_empty() -> None:
    group = p.catalog().definition(SettingId("linux_shieldwall_addressgroup"))
    (addresses,) = [p.catalog().definition(child) for child in group.children]

    assert (group.kind, group.reusable) == (Kind.GROUP, True)
    assert group.required_children == group.children
    assert addresses.minimum_count == 1
    assert group.id not in p.catalog().families
