"""Defender on macOS as a provider: the laws, the places and types, and whose device it is."""

from __future__ import annotations

import plistlib
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import strategies as st
from tests.support.macos import ANTIVIRUS, CATALOG, EDR, EXCLUSIONS, Mac, choice, sample, setting, top_level
from tests.support.plists import plists
from tests.support.provider_conformance import ProviderConformance
from tests.support.setting_strategies import desired_settings

from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.host.macos.preferences import ATTACHED, FROM_MDM, MARK
from shieldwall.agent.providers.base import Desired, ProviderError
from shieldwall.agent.providers.macos import MacosDefenderProvider
from shieldwall.agent.providers.macos.provider import APPLICATION, PREFIX
from shieldwall.contract.ids import SettingId
from shieldwall.policy.values import Item

PROVIDER = MacosDefenderProvider(CATALOG)
SETTINGS = [definition.id for definition in top_level() if definition.landing is not None]
GOLDEN = Path(__file__).parent / "golden"


class TestConformance(ProviderConformance):
    provider = PROVIDER
    file_contents = st.fixed_dictionaries({ATTACHED: st.none() | plists()})
    desired = desired_settings(CATALOG, SETTINGS)


@pytest.fixture
def mac(tmp_path: Path) -> Mac:
    return Mac(root=tmp_path)


def written(desired: Desired) -> Any:
    content = PROVIDER.render({ATTACHED: None}, desired, {}).files[ATTACHED]
    assert content is not None
    document = plistlib.loads(content)
    assert document.pop(MARK) is True
    return document


@pytest.mark.parametrize(
    ("template", "name"), [(ANTIVIRUS, "antivirus"), (EXCLUSIONS, "antivirus_exclusions"), (EDR, "edr")]
)
def test_each_profile_is_written_as_its_golden_file(template: Any, name: str) -> None:
    desired = {each.id: sample(each) for each in top_level(template=template) if each.landing is not None}

    content = PROVIDER.render({ATTACHED: None}, desired, {}).files[ATTACHED]

    assert content == (GOLDEN / f"macos_{name}.plist").read_bytes()
    assert PROVIDER.read({ATTACHED: content}) == desired


@pytest.mark.parametrize("definition", list(top_level()), ids=lambda each: each.id.removeprefix(PREFIX))
def test_every_setting_of_the_catalog_lands_with_its_type_or_says_why_not(mac: Mac, definition: Any) -> None:
    support = PROVIDER.support(mac.host, definition.id)
    assert support is not None
    if not support.applicable:
        assert definition.id == setting("performanceprofiles")
        assert "performance profiles" in support.reason
        return

    found = written({definition.id: sample(definition)})

    for name in definition.landing.split("."):
        found = found[name]
    types = {"boolean": bool, "string": str, "integer": int, "object": dict}
    assert type(found) is types.get(definition.landing_type, list)


def test_options_stand_in_an_order_of_their_own_on_macos() -> None:
    orders = {
        "behaviormonitoring": ["enabled", "disabled"],
        "enforcementlevel_antivirusengine": ["passive", "on_demand", "real_time"],
        "enforcementlevel_tamperprotection": ["disabled", "audit", "block"],
        "enforcementlevel": ["disabled", "audit", "block"],
        "automaticsamplesubmissionconsent": ["none", "safe", "all"],
        "offlinedefinitionupdate": ["enabled", "disabled"],
        "scheduledscan": ["enabled", "disabled"],
        "diagnosticlevel": ["optional", "required"],
    }
    for name, order in orders.items():
        path = CATALOG.definition(setting(name)).landing
        assert path is not None
        group, member = path.split(".")
        assert [written(choice(name, str(number)))[group][member] for number in range(len(order))] == order


def test_the_days_of_the_week_are_the_products_own_numbers() -> None:
    """0 is every day, 1 to 7 are Sunday to Saturday, 8 is never; on Linux 0 is never and 8 every day."""
    for number in range(9):
        found = written({setting("weeklyconfiguration_dayofweek"): number})
        assert found == {"scheduledScan": {"weeklyConfiguration": {"dayOfWeek": number}}}


def test_a_schedule_is_one_object_whose_members_are_decided_one_by_one(mac: Mac) -> None:
    at, every = setting("dailyconfiguration_timeofday"), setting("dailyconfiguration_interval")

    assert written({at: 885, every: 6}) == {"scheduledScan": {"dailyConfiguration": {"timeOfDay": 885, "interval": 6}}}
    assert PROVIDER.support(mac.host, setting("dailyconfiguration")) is None
    for member in (at, every):
        support = PROVIDER.support(mac.host, member)
        assert support is not None
        assert support.applicable


def test_exclusions_are_taken_as_on_linux_but_without_a_limit() -> None:
    prefix = f"{PREFIX}exclusions_item_"
    kind = SettingId(prefix + "$type")

    def excluded(path: str) -> Item:
        return Item(((kind, f"{kind}_0"), (SettingId(prefix + "path"), path)))

    items = tuple(excluded(f"/opt/{number}") for number in range(700))

    rendered = PROVIDER.render({ATTACHED: None}, {setting("exclusions"): (*items, excluded("relative"))}, {})

    assert [(each.item, each.code) for each in rendered.rejected[setting("exclusions")]] == [
        ("relative", "invalidExclusion")
    ]
    assert PROVIDER.read(rendered.files)[setting("exclusions")] == items


def test_a_text_that_no_property_list_holds_is_refused_and_the_rest_written() -> None:
    desired: Desired = {setting("proxy"): "http://a\x07b", **choice("enabled", "true")}

    rendered = PROVIDER.render({ATTACHED: None}, desired, {})

    assert [each.code for each in rendered.rejected[setting("proxy")]] == ["notExpressible"]
    assert PROVIDER.read(rendered.files) == choice("enabled", "true")


def test_a_file_that_cannot_be_read_is_left_alone() -> None:
    with pytest.raises(ProviderError):
        PROVIDER.render({ATTACHED: b"broken"}, choice("enabled", "true"), {})

    assert PROVIDER.render({ATTACHED: b"broken"}, {}, {}).files[ATTACHED] == b"broken"


@pytest.mark.parametrize("path", FROM_MDM)
@pytest.mark.parametrize("ours", [False, True])
def test_a_mac_whose_mdm_manages_defender_is_not_fought_over(mac: Mac, path: PurePosixPath, ours: bool) -> None:
    """Also where we were first: the product would ignore the MDM as long as anything of ours is there."""
    if ours:
        mac.put(ATTACHED, {MARK: True, "cloudService": {"enabled": True}})
    mac.put(path, {"cloudService": {"enabled": False}})

    for name in SETTINGS:
        support = PROVIDER.support(mac.host, name)
        assert support is not None
        assert not support.applicable
        assert support.reason == f"Conflict: An MDM manages Defender on this device ({path.name} is there)."


@pytest.mark.parametrize("theirs", [{}, {"cloudService": {"enabled": True}}, {MARK: "true"}])
def test_a_file_without_our_mark_is_that_of_microsofts_channel(mac: Mac, theirs: dict[str, Any]) -> None:
    mac.put(ATTACHED, theirs)

    support = PROVIDER.support(mac.host, setting("enabled"))

    assert support is not None
    assert support.reason.startswith("Conflict: Microsoft's own channel")


def test_a_file_that_nobody_can_read_is_not_ours(mac: Mac) -> None:
    mac.host.write_file(ATTACHED, b"nonsense")

    support = PROVIDER.support(mac.host, setting("enabled"))

    assert support is not None
    assert not support.applicable


def test_without_the_product_there_is_nothing_to_manage_and_others_settings_are_others(tmp_path: Path) -> None:
    bare = LocalHost(tmp_path)
    missing = PROVIDER.support(bare, setting("enabled"))

    assert missing is not None
    assert (missing.applicable, PROVIDER.product_version(bare)) == (False, None)
    assert PROVIDER.support(bare, SettingId("linux_mdatp_managed_cloudservice_enabled")) is None
    assert PROVIDER.support(bare, setting("exclusions_item_path")) is None


def test_the_application_alone_is_the_product_without_its_program(tmp_path: Path) -> None:
    host = LocalHost(tmp_path)
    host.locate(APPLICATION).mkdir(parents=True)

    assert PROVIDER.product_version(host) == "programMissing"
    assert PROVIDER.support(host, setting("enabled")) is not None


def test_the_place_of_the_file_can_be_another(mac: Mac) -> None:
    path = PurePosixPath("/Library/Preferences/other.plist")
    provider = MacosDefenderProvider(CATALOG, path)

    assert provider.files() == (path,)
    assert set(provider.render({path: None}, choice("enabled", "true"), {}).files) == {path}
    mac.put(path, {})
    support = provider.support(mac.host, setting("enabled"))
    assert support is not None
    assert not support.applicable
