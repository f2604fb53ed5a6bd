"""Every profile is shown in a sample, every sample is valid, and comes back out as it went in."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from tests.support import policies as p

from shieldwall.catalog.validate import validate
from shieldwall.contract.ids import TemplateId
from shieldwall.contract.settings import walk
from shieldwall.server.graph.setting_reading import read_settings

FOLDER: Final = Path(__file__).parents[2] / "samples" / "policies"
SAMPLES: Final = sorted(path.name for path in FOLDER.glob("*.json"))


def sample(name: str) -> dict[str, Any]:
    read: dict[str, Any] = msgspec.json.decode((FOLDER / name).read_bytes())
    return read


def template_of(policy: dict[str, Any]) -> TemplateId:
    return TemplateId(policy["templateReference"]["templateId"])


def test_every_profile_that_is_supported_has_a_sample() -> None:
    supported = {template.id for template in p.catalog().templates.values() if template.supported}

    assert supported - {template_of(sample(name)) for name in SAMPLES} == set()


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_valid(name: str) -> None:
    policy = sample(name)

    found = validate(
        p.catalog(),
        template_of(policy),
        policy["platforms"],
        policy["technologies"],
        read_settings(policy["settings"]),
    )

    assert found == ()
    assert policy["settingCount"] == len(policy["settings"])


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_names_its_template_as_the_catalog_does(name: str) -> None:
    reference = sample(name)["templateReference"]
    template = p.catalog().template(template_of(sample(name)))

    assert (reference["templateFamily"], reference["templateDisplayName"]) == (template.family, template.display_name)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_shows_nothing_that_is_deprecated(name: str) -> None:
    used = [p.catalog().definition(instance.definition) for instance in walk(read_settings(sample(name)["settings"]))]

    assert [definition.id for definition in used if definition.deprecated] == []
