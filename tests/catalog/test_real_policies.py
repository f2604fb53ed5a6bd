"""Policies that administrators really have are taken as they are; those for other channels are refused by name."""

from __future__ import annotations

import copy
from typing import Any, Final

import pytest
from tests.support import policies as p
from tests.support.catalog_material import needs_material, real_policies

from shieldwall.catalog.validate import Finding, validate
from shieldwall.contract.ids import TemplateId
from shieldwall.server.graph.setting_reading import read_settings

pytestmark = needs_material

_UNSUPPORTED: Final = "win-devicecontrol--baseline-NEGATIVE-unsupported-channel.json"
_NO_TEMPLATE: Final = "mac-nontemplate--oib-mde-NEGATIVE-no-template.json"
LACKING: Final[dict[str, tuple[str, ...]]] = {
    "win-edr--sjkanon-edr-configuration.json": ("settings[2].definition",),
    "win-firewall--oib-firewall-configuration.json": ("settings[5].children[1].definition",),
}
"""Policies that hold settings which this channel is known not to deliver."""
NEGATIVE: Final = {_UNSUPPORTED: "unsupportedTemplate", _NO_TEMPLATE: "unknownTemplate"}


def findings(policy: dict[str, Any]) -> tuple[Finding, ...]:
    template = TemplateId((policy.get("templateReference") or {}).get("templateId") or "")
    settings = read_settings(policy["settings"])
    return validate(p.catalog(), template, policy["platforms"], policy["technologies"], settings)


def positive() -> list[tuple[str, dict[str, Any]]]:
    return [(name, policy) for name, policy in real_policies() if name not in NEGATIVE]


def test_there_is_a_policy_of_nearly_every_profile() -> None:
    templates = {policy["templateReference"]["templateId"] for _, policy in positive()}

    assert len(positive()) >= 20
    assert len(templates) >= 11


def test_every_policy_of_this_channel_is_valid_as_it_was_exported_but_for_what_the_channel_lacks() -> None:
    found = {name: [(finding.path, finding.code) for finding in findings(policy)] for name, policy in positive()}

    assert {name: refused for name, refused in found.items() if refused} == {
        name: [(path, "unsupportedSetting") for path in paths] for name, paths in LACKING.items()
    }


@pytest.mark.parametrize("name", sorted(NEGATIVE))
def test_a_policy_of_another_channel_is_refused(name: str) -> None:
    policy = dict(real_policies())[name]

    assert findings(policy)[0].code == NEGATIVE[name]


def test_a_policy_of_another_channel_has_nothing_else_wrong_with_it() -> None:
    policy = dict(real_policies())[_UNSUPPORTED]

    assert [finding.code for finding in findings(policy)] == ["unsupportedTemplate"]


def test_a_real_policy_with_one_option_misspelt_is_refused_at_that_field() -> None:
    policy = copy.deepcopy(dict(real_policies())["win-asr--oib-asr-audit-mode.json"])
    group = next(
        setting["settingInstance"]["groupSettingCollectionValue"]
        for setting in policy["settings"]
        if "groupSettingCollectionValue" in setting["settingInstance"]
    )
    rule = group[0]["children"][0]
    rule["choiceSettingValue"]["value"] += "_"

    (finding,) = findings(policy)

    assert finding.code == "unknownOption"
    assert finding.path.endswith(".values[0].children[0].value")
    assert rule["settingDefinitionId"] in finding.allowed
