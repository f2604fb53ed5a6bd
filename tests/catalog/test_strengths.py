"""Which values protect more: what holds of whole kinds of settings, so that no single one strays.

Whoever may change a setting without a second pair of eyes will look for the one whose order is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from tests.support import policies as p

from shieldwall.catalog.model import Kind, Lists, Merge, SettingDefinition, Tamper, Zero
from shieldwall.contract.ids import SettingId
from shieldwall.policy.classify import ChangeClass, classify

DEFENDER = "device_vendor_msft_policy_config_defender_"
CONFIGURATION = "device_vendor_msft_defender_configuration_"
LINUX = "linux_mdatp_managed_"
MACOS = "com.apple.managedclient.preferences_"
WINDOWS_FIREWALL = "vendor_msft_firewall_mdmstore_"
LINUX_FIREWALL = "linux_shieldwall_firewall_"
ALL = sorted(p.catalog().definitions.values(), key=lambda definition: definition.id)


def definition(setting: str) -> SettingDefinition:
    return p.catalog().definition(SettingId(setting))


def values(setting: SettingDefinition) -> list[str]:
    """The suffixes of a setting's options, from strongest to weakest."""
    assert setting.strength is not None, setting.id
    return [option.removeprefix(setting.id) for option in setting.strength.options]


def asked(setting: SettingDefinition) -> str:
    """The last word of a setting's id, which says what its true means."""
    return setting.id.rsplit("_", 1)[-1]


def ids(found: Iterable[SettingDefinition]) -> list[str]:
    return [each.id for each in found]


SWITCHES = [each for each in ALL if each.kind is Kind.CHOICE and len(each.options) == 2 and each.strength is not None]


def says_yes(setting: SettingDefinition, item_id: str) -> bool:
    """Say whether an option answers yes to what the setting's name asks; labels may say the opposite."""
    return item_id.removeprefix(setting.id) in {"_1", "_true", "_enabled"}


ALLOWS = [
    each for each in SWITCHES if asked(each).startswith("allow") and each.id.startswith((DEFENDER, CONFIGURATION))
]
DOORS = [each for each in SWITCHES if asked(each).startswith("allow") and each not in ALLOWS]
DISABLES = [each for each in SWITCHES if asked(each).startswith(("disable", "hide"))]
PROTECTS_WHEN_DISABLED = {
    f"{CONFIGURATION}disablelocaladminmerge",  # what is disabled are holes that a local administrator makes
    "device_vendor_msft_policy_config_windowsdefendersecuritycenter_disablecleartpmbutton",
    *(
        f"{WINDOWS_FIREWALL}{profile}profile_{name}"
        for profile in ("domain", "private", "public")
        for name in ("disableunicastresponsestomulticastbroadcast", "disableinboundnotifications")
    ),
    f"{WINDOWS_FIREWALL}global_disablestatefulftp",
}


def test_whatever_antivirus_allows_itself_to_do_is_stronger_when_allowed() -> None:
    assert len(ALLOWS) >= 14
    for each in ALLOWS:
        assert each.strength is not None
        assert each.strength.neutral is False, each.id
        assert values(each) == ["_1", "_0"], each.id


def test_whatever_is_allowed_to_others_is_stronger_when_it_is_not() -> None:
    assert len(DOORS) >= 15
    for each in DOORS:
        assert each.strength is not None
        assert not says_yes(each, each.strength.options[0]), each.id


def test_whatever_disables_protection_is_stronger_when_it_does_not() -> None:
    ordered = [each for each in DISABLES if each.strength is not None and not each.strength.neutral]

    assert len(ordered) >= 25
    for each in ordered:
        assert each.strength is not None
        assert says_yes(each, each.strength.options[0]) == (each.id in PROTECTS_WHEN_DISABLED), each.id


def test_whatever_enables_protection_is_stronger_when_it_does() -> None:
    weakening = {f"{LINUX_FIREWALL}global_enableauditmode"}  # stops nothing any more
    opening = {f"{WINDOWS_FIREWALL}hypervvmsettings_{{vmcreatorid}}_enableloopback"}
    enables = [
        each
        for each in SWITCHES
        if asked(each).startswith("enable") and each.strength is not None and not each.strength.neutral
    ]

    assert len(enables) >= 25
    for each in enables:
        assert each.strength is not None
        assert says_yes(each, each.strength.options[0]) == (each.id not in weakening | opening), each.id


def test_block_comes_before_warn_before_audit_before_off() -> None:
    order = ["block", "warn", "audit", "off", "disabled"]
    graded = [
        each
        for each in ALL
        if each.strength is not None
        and each.strength.options
        and {"block", "audit"} <= {option.display_name.lower() for option in each.options} <= set(order)
    ]

    assert len(graded) >= 40
    for each in graded:
        assert each.strength is not None
        names = {option.item_id: option.display_name.lower() for option in each.options}
        places = [order.index(names[option]) for option in each.strength.options]
        assert places == sorted(places), each.id


def test_every_list_of_exclusions_is_stronger_when_it_is_shorter() -> None:
    words = ("exclusion", "excluded", "allowedthreats", "allowedapplications", "unmonitored")
    holes = [
        each
        for each in ALL
        if each.kind in {Kind.SIMPLE_STRING_COLLECTION, Kind.GROUP_COLLECTION}
        and any(word in each.id for word in words)
        and "_item_" not in each.id
    ]

    assert len(holes) >= 40
    assert ids(each for each in holes if each.strength is None or each.strength.lists is not Lists.FEWER) == []


def test_no_united_list_is_neutral() -> None:
    united = [each for each in ALL if each.merge is Merge.UNION]

    assert len(united) > 40
    assert ids(each for each in united if each.strength is not None and each.strength.neutral) == []


def test_of_lists_that_say_one_thing_of_each_subject_no_longer_one_is_stronger() -> None:
    """One more item may say that a kind of threat is let through."""
    assert ids(each for each in ALL if each.identity and each.strength is not None) == []


def test_nothing_under_tamper_protection_is_neutral() -> None:
    protected = [each for each in ALL if each.tamper_protected is not Tamper.NO]

    assert len(protected) >= 15
    assert ids(each for each in protected if each.strength is not None and each.strength.neutral) == []


NEUTRAL_WORDS = {
    "when": ("timeofday", "scantime", "scanstarttime", "tasktimes", "randomizationtime"),
    "how fast": ("threads", "priority", "lowpriorityscheduledscan", "packetqueue", "confirmseconds"),
    "who is told whom to call": ("companyname", "email", "phone", "url", "toasts", "inappcustomization"),
    "what people may look at": ("accountprotectionui", "familyui", "healthui", "feedback"),
    "how it is written": ("networkname", "presharedkeyencoding"),
    "what the product tells its maker about itself": ("diagnosticlevel",),
    "a frame around others": ("limits", "configuration", "advancedsettings", "attacksurfacereductionrules", "_target"),
}


def test_what_is_neutral_is_on_a_list_that_says_why() -> None:
    """Whatever can switch protection, evidence, updates or samples off has an order, or none is known."""
    members = {
        child
        for each in ALL
        if each.kind is Kind.GROUP_COLLECTION and each.merge is not Merge.MEMBERS
        for child in below(each)
    }
    reasons = tuple(word for words in NEUTRAL_WORDS.values() for word in words)
    neutral = [each for each in ALL if each.strength is not None and each.strength.neutral and each.id not in members]

    assert len(neutral) > 25
    assert ids(each for each in neutral if not asked(each).endswith(reasons) and not each.id.endswith(reasons)) == []


def below(setting: SettingDefinition) -> set[SettingId]:
    nested = setting.nested()
    return set(nested) | {deeper for child in nested for deeper in below(p.catalog().definition(child))}


@pytest.mark.parametrize(
    "word", ["update", "definition", "signature", "sample", "tag", "log", "retention", "history", "audit_", "channel"]
)
def test_evidence_updates_and_samples_are_never_neutral(word: str) -> None:
    concerned = [
        each
        for each in ALL
        if word in each.id.removeprefix("device_vendor_msft_policy_config_").replace("loginuid", "")
        and "_item_" not in each.id
        and each.kind not in {Kind.GROUP, Kind.SIMPLE_SECRET}
    ]

    assert concerned
    assert ids(each for each in concerned if each.strength is not None and each.strength.neutral) == []


@pytest.mark.parametrize(
    ("setting", "order"),
    [
        (f"{DEFENDER}submitsamplesconsent", ["_3", "_1", "_0", "_2"]),
        (f"{LINUX}cloudservice_automaticsamplesubmissionconsent", ["_all", "_safe", "_none"]),
        (f"{MACOS}automaticsamplesubmissionconsent", ["_2", "_1", "_0"]),
        ("device_vendor_msft_windowsadvancedthreatprotection_configuration_samplesharing", ["_1", "_0"]),
        (f"{LINUX}antivirusengine_enforcementlevel", ["_0", "_3", "_1", "_2"]),
        (f"{MACOS}enforcementlevel_antivirusengine", ["_2", "_1", "_0"]),
        (f"{MACOS}behaviormonitoring", ["_0", "_1"]),
        (f"{LINUX}antivirusengine_behaviormonitoring", ["_1", "_0"]),
        ("vendor_msft_defender_configuration_tamperprotection_options", ["_2", "_0", "_1"]),
        (f"{DEFENDER}cloudblocklevel", ["_6", "_4", "_2", "_0"]),
        (f"{DEFENDER}enablenetworkprotection", ["_1", "_2", "_0"]),
        (f"{WINDOWS_FIREWALL}publicprofile_defaultinboundaction", ["_1", "_0"]),
        (f"{WINDOWS_FIREWALL}publicprofile_disablestealthmodeipsecsecuredpacketexemption", ["_false", "_true"]),
    ],
)
def test_where_the_numbers_of_options_mislead_the_order_does_not(setting: str, order: list[str]) -> None:
    assert values(definition(setting)) == order


@pytest.mark.parametrize("setting", [f"{LINUX}antivirusengine_scheduledscan_dayofweek", f"{DEFENDER}schedulescanday"])
def test_no_day_of_the_week_protects_more_than_another_every_day_does_and_never_less(setting: str) -> None:
    found = definition(setting)
    assert found.strength is not None
    names = {option.item_id: option.display_name for option in found.options}

    assert names[found.strength.options[0]] in {"Daily", "Every day"}
    assert names[found.strength.options[-1]] in {"Never", "No scheduled scan"}
    assert found.strength.equal == found.strength.options[1:-1]


ZEROES = {
    f"{DEFENDER}signatureupdateinterval": Zero.WEAKEST,
    f"{DEFENDER}daystoretaincleanedmalware": Zero.STRONGEST,
    f"{LINUX}antivirusengine_scheduledscan_interval": Zero.WEAKEST,
    f"{MACOS}dailyconfiguration_interval": Zero.WEAKEST,
}


def test_a_zero_that_is_a_word_is_said_or_nothing_is_ordered() -> None:
    words = ("; 0 ", "0 for none", "0 stops", "0 keeps", "0 sets no limit", "0 every day")
    worded = [
        each for each in ALL if each.kind is Kind.SIMPLE_INTEGER and any(word in each.description for word in words)
    ]
    loses_at_once = "linux_shieldwall_audit_limits_backlogwaittime"  # there, 0 is the number that it is

    assert {each.id for each in worded} >= ZEROES.keys()
    for each in worded:
        zero = each.strength.zero if each.strength is not None and each.strength.numbers is not None else None
        assert zero is ZEROES.get(each.id), each.id
        assert each.strength is None or each.strength.zero is not None or each.id == loses_at_once, each.id


def test_zero_never_counts_as_the_number_that_it_is_not() -> None:
    for setting, zero in ZEROES.items():
        strength, limits = definition(setting).strength, definition(setting).limits
        assert strength is not None
        assert limits.maximum is not None
        others = [strength.rank(number) or 0 for number in range(1, limits.maximum + 1)]
        place = strength.rank(0)
        assert place is not None
        assert place > max(others) if zero is Zero.WEAKEST else place < min(others)


def test_what_means_everything_while_it_is_left_out_is_not_stronger_by_being_said() -> None:
    worded = [
        each
        for each in ALL
        if "when left out" in each.description and "ollection" in each.kind and "_item_" not in each.id
    ]

    assert worded
    for each in worded:
        assert each.strength is None, each.id


def rules() -> list[SettingDefinition]:
    return [each for each in ALL if each.strength is not None and each.strength.lists is Lists.RULES]


def test_the_option_that_blocks_blocks_and_the_one_that_switches_off_does() -> None:
    assert len(rules()) == 2
    for each in rules():
        assert each.strength is not None
        named = {option.item_id: option for child in each.children for option in definition(child).options}
        assert named[str(each.strength.blocks)].display_name == "Block"
        assert named[str(each.strength.blocks)].value in {"block", 0}
        assert named[str(each.strength.off)].display_name == "Disabled"
        assert not named[str(each.strength.off)].value


def test_what_can_cut_a_device_off_says_so() -> None:
    for each in rules():
        assert each.strength is not None
        assert each.strength.connectivity
    words = ("enablefirewall", "shielded", "defaultinboundaction", "defaultoutboundaction", "localpolicymerge")
    risky = [each for each in ALL if asked(each) in words and "hypervvm" not in each.id]
    risky += [each for each in ALL if each.id.startswith(LINUX_FIREWALL) and asked(each) in {"interfaces", "networks"}]
    risky += [
        definition(f"linux_shieldwall_attacksurfacereductionrules_{name}")
        for name in ("blockmoduleloading", "enforcekernellockdown", "blockraremodules", "blockuntrustedexecutables")
    ]

    assert len(risky) > 25
    risky = [each for each in risky if "_item_" not in each.id]
    assert ids(each for each in risky if each.strength is None or not each.strength.connectivity) == []


@pytest.mark.parametrize(
    "each", [each for each in ALL if each.kind is Kind.CHOICE and "_item_" not in each.id], ids=str
)
def test_no_setting_is_switched_to_its_weakest_or_let_go_unseen(each: SettingDefinition) -> None:
    strength = each.strength
    if strength is None or not strength.options:
        return
    best, worst = strength.options[0], strength.options[-1]

    assert classify(p.catalog(), each.id, best, worst) is ChangeClass.WEAKEN
    assert classify(p.catalog(), each.id, None, worst) is ChangeClass.WEAKEN
    assert classify(p.catalog(), each.id, best, None) is ChangeClass.WEAKEN
    assert classify(p.catalog(), each.id, worst, best) in {ChangeClass.STRENGTHEN, ChangeClass.CONNECTIVITY_RISK}


def test_what_the_product_does_by_itself_is_one_of_its_options() -> None:
    """Otherwise a first value would be compared with nothing."""
    defaults = [each for each in ALL if each.options and each.landing_default is not None]

    assert len(defaults) > 100
    assert ids(each for each in defaults if each.landing_default not in [option.value for option in each.options]) == []
