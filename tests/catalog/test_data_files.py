"""The catalog that ships: sound, complete for its profiles, and free of the traps that published material holds."""

from __future__ import annotations

from importlib import resources

import msgspec
import pytest
from tests.support import policies as p

from shieldwall.catalog.check import check_catalog
from shieldwall.catalog.loader import Index, Profile, load
from shieldwall.catalog.model import Confidence, Kind, Merge
from shieldwall.contract.ids import SettingId

DATA = resources.files("shieldwall.catalog") / "data"
INDEX = msgspec.json.decode((DATA / "index.json").read_bytes(), type=Index)


def value_of(setting: str, suffix: str) -> object:
    option = p.catalog().definition(SettingId(setting)).option(setting + suffix)
    assert option is not None
    return option.value


def test_the_catalog_that_ships_is_sound() -> None:
    assert check_catalog(load()) == []


@pytest.mark.parametrize("name", ["index", *(entry.name for entry in INDEX.profiles)])
def test_data_files_are_formatted_in_the_one_way(name: str) -> None:
    data = (DATA / f"{name}.json").read_bytes()
    value = msgspec.json.decode(data, type=Index if name == "index" else Profile)

    assert data == msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def test_every_data_file_is_in_the_index() -> None:
    names = {entry.name.removesuffix(".json") for entry in DATA.iterdir()}

    assert names == {"index", *(entry.name for entry in INDEX.profiles)}


@pytest.mark.parametrize(
    ("template", "tops"),
    [(p.ANTIVIRUS, 47), (p.ANTIVIRUS_EXCLUSIONS, 1), (p.DETECTION, 1), (p.GLOBAL_EXCLUSIONS, 1), (p.FIREWALL_RULES, 1)],
)
def test_every_template_offers_its_settings(template: str, tops: int) -> None:
    found = next(known for known in p.catalog().templates.values() if known.id == template)

    assert len(found.settings) == tops
    assert found.platforms == "linux"
    assert found.technologies == "microsoftSense"


def test_definitions_are_shared_by_templates_and_exist_once() -> None:
    catalog = p.catalog()

    first = catalog.template(p.ANTIVIRUS).setting(p.EXCLUSIONS)
    second = catalog.template(p.ANTIVIRUS_EXCLUSIONS).setting(p.EXCLUSIONS)
    assert first is not None
    assert second is not None
    assert first.instance_template != second.instance_template


def test_the_suffix_of_an_option_is_not_its_value() -> None:
    levels = [value_of(p.LEVEL, suffix) for suffix in ("_0", "_1", "_2", "_3")]

    assert levels == ["real_time", "on_demand", "passive", "audit"]
    assert value_of(p.ENGINE + "behaviormonitoring", "_0") == "disabled"
    assert value_of(f"{p.EXCLUSIONS}_item_$type", "_1") == "excludedFileExtension"
    assert value_of("linux_mdatp_managed_exclusionsettings_exclusions_item_$type", "_1") == "excludedFileName"
    assert value_of("linux_mdatp_managed_cloudservice_diagnosticlevel", "_1") == "required"


def test_values_have_the_type_that_the_product_reads() -> None:
    assert value_of(p.ENGINE + "scanarchives", "_true") is True
    day = value_of(p.ENGINE + "scheduledscan_dayofweek", "_1")
    assert (day, type(day)) == (1, int)


def test_defaults_and_limits_are_the_published_ones() -> None:
    catalog = p.catalog()

    assert catalog.definition(p.LEVEL).default == f"{p.LEVEL}_2"
    retention = catalog.definition(p.RETENTION)
    assert (retention.limits.minimum, retention.limits.maximum, retention.landing_default) == (1, 180, 90)
    assert catalog.definition(p.EXCLUSIONS).maximum_count == 600
    assert catalog.definition(p.RULES).maximum_count == 150


def test_what_is_not_confirmed_says_so() -> None:
    catalog = p.catalog()

    platform_updates = SettingId("linux_features_platformupdatecontrols")
    offered = catalog.template(p.ANTIVIRUS).setting(platform_updates)
    assert offered is not None
    assert offered.confidence is Confidence.UNVERIFIED
    assert catalog.definition(platform_updates).landing is None
    assert catalog.template(p.GLOBAL_EXCLUSIONS).confidence is Confidence.SINGLE_SOURCE
    assert catalog.definition(p.RULES).confidence is Confidence.OURS


def test_every_order_of_strength_is_ours() -> None:
    strengths = [d.strength for d in p.catalog().definitions.values() if d.strength is not None]

    assert strengths
    assert {strength.confidence for strength in strengths} == {Confidence.OURS}


def test_lists_of_exclusions_threats_and_rules_are_united_and_tags_must_agree() -> None:
    spoken_of = [d for d in p.catalog().definitions.values() if d.id.startswith("linux_mdatp_") or d.id == p.RULES]
    united = {d.id for d in spoken_of if d.merge is Merge.UNION}

    assert united == {
        p.EXCLUSIONS,
        p.THREAT_TYPES,
        p.RULES,
        p.ENGINE + "allowedthreats",
        p.ENGINE + "disallowedthreatactions",
        "linux_mdatp_managed_exclusionsettings_exclusions",
    }
    assert p.catalog().definition(p.TAGS).merge is Merge.AGREE


def test_a_setting_knows_where_it_may_stand() -> None:
    (dependency,) = p.catalog().definition(SettingId(f"{p.EXCLUSIONS}_item_path")).depends_on

    assert dependency.option == f"{p.EXCLUSIONS}_item_$type_0"


def test_antivirus_settings_land_in_the_configuration_of_the_product() -> None:
    landings = {
        d.landing
        for d in p.catalog().definitions.values()
        if d.landing is not None and d.kind is not Kind.GROUP_COLLECTION
    }

    assert "antivirusEngine.enforcementLevel" in landings
    assert "scheduledScan.weeklyConfiguration.dayOfWeek" in landings
    assert "antivirusEngine.exclusions[].$type" in landings
