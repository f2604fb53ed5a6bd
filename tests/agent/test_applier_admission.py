"""What of the policies it is sent a device takes: by its catalog, its platform, its tenant's rules and its server."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests.support.policies import (
    EXCLUSIONS,
    FIREWALL_RULES,
    LEVEL,
    RETENTION,
    RULES,
    choice,
    document,
    excluded_path,
    firewall_rule,
    items,
    number,
    text,
    texts,
)
from tests.support.pretend_products import PretendDevice, PretendProvider
from tests.support.reports import only

from shieldwall.agent.applier.state import Terms
from shieldwall.contract.conflicts import ConflictFamily, ConflictRule
from shieldwall.contract.ids import SettingId, TemplateId
from shieldwall.contract.status import SettingState


@pytest.fixture
def device(tmp_path: Path) -> PretendDevice:
    product = PretendProvider("product", [LEVEL, RETENTION, EXCLUSIONS])
    return PretendDevice(directory=tmp_path / "state", providers=[product], files={})


def test_a_setting_of_a_newer_catalog_is_not_applicable_and_the_rest_applies(device: PretendDevice) -> None:
    newer = msgspec.structs.replace(
        document(1, choice("linux_from_the_future", "_1"), number(RETENTION, 90)), catalog_version="9999"
    )

    report = device.applier().enforce([newer])

    future = only(report, SettingId("linux_from_the_future"))
    assert (future.state, future.code) == (SettingState.NOT_APPLICABLE, "agentTooOld")
    assert only(report, RETENTION).state is SettingState.SUCCEEDED
    assert report.refused == ()


def test_an_unknown_setting_under_our_own_catalog_is_refused(device: PretendDevice) -> None:
    report = device.applier().enforce([document(1, choice("linux_from_the_future", "_1"))])

    assert [refused.code for refused in report.refused] == ["unknownSetting"]


def test_a_part_that_is_unknown_makes_its_whole_setting_unknown(device: PretendDevice) -> None:
    item = (*excluded_path("/srv/a"), text("linux_condition_from_the_future", "x"))
    newer = msgspec.structs.replace(document(1, items(EXCLUSIONS, item)), catalog_version="9999")

    status = only(device.applier().enforce([newer]), EXCLUSIONS)

    assert status.code == "agentTooOld"


def test_a_newer_template_is_not_applicable_and_no_error(device: PretendDevice) -> None:
    newer = msgspec.structs.replace(
        document(1, number(RETENTION, 90)), template_id=TemplateId("from-the-future_1"), catalog_version="9999"
    )

    report = device.applier().enforce([newer])

    assert (only(report, RETENTION).code, report.refused) == ("agentTooOld", ())


def test_a_newer_option_is_not_applicable_and_no_error(device: PretendDevice) -> None:
    newer = msgspec.structs.replace(
        document(1, choice(LEVEL, "_from_the_future"), number(RETENTION, 90)), catalog_version="9999"
    )

    report = device.applier().enforce([newer])

    assert (only(report, LEVEL).code, report.refused) == ("agentTooOld", ())
    assert only(report, RETENTION).state is SettingState.SUCCEEDED


def test_an_older_catalog_is_no_excuse_for_what_nobody_knows(device: PretendDevice) -> None:
    older = msgspec.structs.replace(document(1, choice("linux_from_the_past", "_1")), catalog_version="2026.1.1")

    assert [refused.code for refused in device.applier().enforce([older]).refused] == ["unknownSetting"]


def test_a_policy_for_another_platform_is_not_applicable_setting_by_setting(device: PretendDevice) -> None:
    setting = SettingId("device_vendor_msft_policy_config_defender_allowarchivescanning")
    foreign = msgspec.structs.replace(document(1, choice(setting, "_1")), platforms="windows10")

    report = device.applier().enforce([foreign, document(2, number(RETENTION, 90))])

    status = only(report, setting)
    assert (status.state, status.code) == (SettingState.NOT_APPLICABLE, "otherPlatform")
    assert only(report, RETENTION).state is SettingState.SUCCEEDED
    assert report.refused == ()


def test_the_rules_of_the_tenant_decide_and_drift_is_repaired_by_them(device: PretendDevice) -> None:
    policies = [
        document(1, number(RETENTION, 90)),
        document(2, number(RETENTION, 30), modified_at="2026-11-24T12:00:00Z"),
    ]
    terms = Terms(conflict_rules={ConflictFamily.ANTIVIRUS: ConflictRule.NOTHING})
    assert only(device.applier().enforce(policies), RETENTION).value == 90

    report = device.applier().enforce(policies, terms=terms)

    assert only(report, RETENTION).state is SettingState.CONFLICT
    assert device.applier().refresh() == report


def test_a_rule_that_would_cut_the_device_off_from_its_server_is_refused(device: PretendDevice) -> None:
    rule = firewall_rule(
        "No gateway",
        "block",
        choice(f"{RULES}_item_direction", "_out"),
        choice(f"{RULES}_item_protocol", "_tcp"),
        texts(f"{RULES}_item_remoteports", "8444"),
    )
    policy = document(1, items(RULES, rule), template=FIREWALL_RULES)
    terms = Terms(server_urls=("https://sdm.example:8444",))

    assert [refused.code for refused in device.applier().enforce([policy], terms=terms).refused] == ["blocksServer"]
    assert device.applier().enforce([policy]).refused == ()
