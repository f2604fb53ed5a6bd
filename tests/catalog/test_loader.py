"""A catalog that is broken is refused, whatever is broken about it."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import msgspec
import pytest
from tests.support import policies as p

from shieldwall.catalog.loader import BrokenCatalogError, load
from shieldwall.catalog.model import UnknownSettingError, UnknownTemplateError
from shieldwall.contract.ids import SettingId, TemplateId


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for entry in (resources.files("shieldwall.catalog") / "data").iterdir():
        (tmp_path / entry.name).write_bytes(entry.read_bytes())
    return tmp_path


def test_a_copy_is_the_same_catalog(folder: Path) -> None:
    assert load(folder) == load()


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "linux_edr.json").unlink()

    with pytest.raises(BrokenCatalogError, match="linux_edr"):
        load(folder)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"kind": "groupCollection"', b'"kind": "groupOfThings"'),
        (b'"definitions"', b'"definitons"'),
        (b'"maximumCount": 1', b'"maximumCount": "1"'),
        (
            b"{",
            b"[",
        ),
    ],
)
def test_a_file_of_another_shape_is_refused(folder: Path, old: bytes, new: bytes) -> None:
    path = folder / "linux_edr.json"
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))

    with pytest.raises(BrokenCatalogError, match="linux_edr"):
        load(folder)


def test_a_definition_may_stand_only_once(folder: Path) -> None:
    index = msgspec.json.decode((folder / "index.json").read_bytes())
    exclusions, antivirus = folder / "linux_antivirus_exclusions.json", folder / "linux_antivirus.json"
    profile = msgspec.json.decode(exclusions.read_bytes())
    profile["definitions"] = msgspec.json.decode(antivirus.read_bytes())["definitions"][:1]
    exclusions.write_bytes(msgspec.json.encode(profile))

    assert "linux_antivirus_exclusions" in [entry["name"] for entry in index["profiles"]]
    with pytest.raises(BrokenCatalogError, match="twice"):
        load(folder)


def test_a_template_may_stand_only_once(folder: Path) -> None:
    index = msgspec.json.decode((folder / "index.json").read_bytes())
    index["profiles"].append({"name": "linux_antivirus_exclusions", "platform": "linux"})
    (folder / "index.json").write_bytes(msgspec.json.encode(index))

    with pytest.raises(BrokenCatalogError, match="two files"):
        load(folder)


def test_what_is_not_in_the_catalog_is_named() -> None:
    with pytest.raises(UnknownSettingError, match="unheard_of"):
        p.catalog().definition(SettingId("unheard_of"))
    with pytest.raises(UnknownTemplateError, match="unheard_of"):
        p.catalog().template(TemplateId("unheard_of"))
