"""Whatever somebody sends as a policy, for whatever platform: validation answers, and names the field."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tests.support import policies as p
from tests.support.any_settings import trees

from shieldwall.catalog.firewall import ServerEndpoints
from shieldwall.catalog.model import Catalog, PolicyTemplate
from shieldwall.catalog.validate import Finding, validate
from shieldwall.contract.settings import SettingInstance

SERVER: Final = ServerEndpoints.of(["https://gateway.contoso.example", "https://198.51.100.7:8443"])
TEMPLATES: Final = tuple(p.catalog().templates.values())
_STEP: Final = re.compile(r"\.?([a-zA-Z]+)(?:\[(\d+)\])?")


def findings(template: PolicyTemplate, tree: tuple[SettingInstance, ...]) -> tuple[Finding, ...]:
    return validate(p.catalog(), template.id, template.platforms, template.technologies, tree, server=SERVER)


def stands_at(tree: tuple[SettingInstance, ...], path: str) -> bool:
    """Follow a path as an administrator would, into the settings as they were sent."""
    place: Any = {"settings": tree}
    for name, index in _STEP.findall(path):
        place = place[name] if isinstance(place, dict) else _member(place, name)
        if place is None:
            return False
        if index:
            place = place[int(index)] if int(index) < len(place) else None
    return place is not None


def _member(place: Any, name: str) -> Any:
    if name == "children" and not hasattr(place, "children"):
        place = place.value  # the option of a choice, the content of a group
    return getattr(place, name, None)


@st.composite
def policies(draw: st.DrawFn) -> tuple[PolicyTemplate, tuple[SettingInstance, ...]]:
    template = draw(st.sampled_from(TEMPLATES))
    tops = [setting.definition for setting in template.settings]
    elsewhere = draw(st.sampled_from(sorted(p.catalog().definitions)))
    return template, draw(trees(p.catalog(), [*tops, elsewhere]))


@given(policies())
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_every_finding_names_its_field_and_says_what_is_wrong(
    policy: tuple[PolicyTemplate, tuple[SettingInstance, ...]],
) -> None:
    template, tree = policy

    for finding in findings(template, tree):
        assert finding.code
        assert finding.message
        assert finding.path in {"templateId", "settings"} or stands_at(tree, finding.path), finding


@given(policies())
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_what_is_wrong_stays_wrong_whatever_stands_beside_it(
    policy: tuple[PolicyTemplate, tuple[SettingInstance, ...]],
) -> None:
    template, tree = policy
    assume(tree)

    alone = {finding.code for finding in findings(template, tree[:1])}

    assert alone - {"missingSetting", "notTogether"} <= {finding.code for finding in findings(template, tree)}


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.id)
def test_a_policy_without_settings_is_valid_where_nothing_is_required(template: PolicyTemplate) -> None:
    codes = {finding.code for finding in findings(template, ())}

    required = any(setting.required for setting in template.settings)
    assert codes == ({"missingSetting"} if required else set()) | (
        set() if template.supported else {"unsupportedTemplate"}
    )


def test_every_default_of_the_catalog_is_a_value_that_it_takes() -> None:
    catalog: Catalog = p.catalog()
    refused = []
    for template in TEMPLATES:
        for offered in template.settings:
            definition = catalog.definition(offered.definition)
            if not definition.options or not isinstance(definition.default, str):
                continue
            option = definition.option(definition.default)
            assert option is not None
            if option.required_children or definition.kind != "choice":
                continue
            found = findings(template, (p.choice(definition.id, definition.default.removeprefix(definition.id)),))
            refused += [
                (definition.id, finding.code)
                for finding in found
                if finding.code not in {"unsupportedTemplate", "unsupportedSetting"}
            ]

    assert refused == []


def test_findings_can_be_written_as_json() -> None:
    (template,) = [template for template in TEMPLATES if template.id == p.ANTIVIRUS]

    assert msgspec.json.encode(findings(template, (p.text("unheard_of", "x"),)))
