"""The sample policies: valid, one at least for every Linux profile, and between them every kind of setting instance."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support import policies as p
from tests.support.graph_bodies import SAMPLES, sample

from shieldwall.catalog.validate import validate
from shieldwall.contract.ids import TemplateId
from shieldwall.contract.settings import (
    ChoiceCollectionSetting,
    ChoiceSetting,
    GroupCollectionSetting,
    GroupSetting,
    SettingInstance,
    SimpleCollectionSetting,
    SimpleSetting,
    walk,
)
from shieldwall.server.graph.setting_reading import read_settings

NAMES = [file.stem for file in SAMPLES]
LINUX = [name for name in NAMES if name.startswith("linux-")]


def settings_of(body: dict[str, Any]) -> tuple[SettingInstance, ...]:
    return read_settings(body["settings"])


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_is_valid_and_says_of_itself_what_its_template_says(name: str) -> None:
    body = sample(name)
    reference, settings = body["templateReference"], settings_of(body)
    template = p.catalog().template(TemplateId(reference["templateId"]))

    assert validate(p.catalog(), template.id, body["platforms"], body["technologies"], settings) == ()
    assert body["settingCount"] == len(settings)
    assert reference["templateFamily"] == template.family
    assert reference["templateDisplayName"] == template.display_name


def test_every_linux_profile_has_a_sample() -> None:
    shown = {sample(name)["templateReference"]["templateId"] for name in LINUX}

    assert shown == {template.id for template in p.catalog().templates.values() if template.platforms == "linux"}


def test_the_samples_for_linux_hold_every_kind_of_setting_instance() -> None:
    kinds = {type(instance) for name in LINUX for instance in walk(settings_of(sample(name)))}

    assert kinds == {
        ChoiceSetting,
        ChoiceCollectionSetting,
        SimpleSetting,
        SimpleCollectionSetting,
        GroupSetting,
        GroupCollectionSetting,
    }
