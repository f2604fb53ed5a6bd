"""The facts that the catalog was made of, where they lie beside the project: not ours to ship, but ours to hold to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

FOLDER: Final = Path(__file__).parents[3] / "shared" / "design" / "catalog"

needs_material = pytest.mark.skipif(
    not (FOLDER / "catalog.yaml").is_file(), reason="needs the material that the catalog was made of beside the project"
)


@cache
def material() -> dict[str, Any]:
    """Return the facts as one document."""
    read: dict[str, Any] = yaml.load((FOLDER / "catalog.yaml").read_bytes(), Loader=yaml.CSafeLoader)
    return read


def exported(name: str) -> Any:
    """Read an exported policy, in whatever encoding it was found."""
    data = (FOLDER / "real-policies" / name).read_bytes()
    encoding = "utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
    return json.loads(data.decode(encoding))


def real_policies() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every exported policy; one that comes as parts is put together, one inside another document taken out."""
    names = sorted(path.name for path in (FOLDER / "real-policies").glob("*.json"))
    for name in names:
        policy = exported(name)
        if "JSON" in policy:
            policy = json.loads(json.loads(policy["JSON"])["RAWJson"])
        if not name.endswith("-exclusions.json"):
            yield name, policy
            continue
        for key, part in policy.items():
            yield f"{name} {key}", _put_together(exported(name.replace("-exclusions.json", "-base.json")), part)


def _put_together(base: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    if "settingInstance" in part:
        return {**base, "settings": [part]}
    first = base["settings"][0]
    instance = {**first["settingInstance"], "groupSettingCollectionValue": [part]}
    return {**base, "settings": [{**first, "settingInstance": instance}]}
