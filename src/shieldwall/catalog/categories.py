"""Categories of settings: derived from what the definitions say, with ids that are the same on every installation.

A definition names its category and its platform. Every platform is a root; the categories its definitions name stand
below it. Ids are derived from platform and name, so a category keeps its id as long as it keeps its name.
"""

from __future__ import annotations

from collections import defaultdict
from types import MappingProxyType
from typing import Final, NewType
from uuid import UUID, uuid5

from msgspec import Struct

from shieldwall.catalog.model import Catalog, SettingDefinition

CategoryId = NewType("CategoryId", str)

NO_CATEGORY: Final = CategoryId("00000000-0000-0000-0000-000000000000")
"""The parent of a category that has none, as Graph writes it."""

_NAMESPACE: Final = UUID("8d1c7a52-3c0e-5f57-9a0b-6f3f5f0c2b91")
_PLATFORMS: Final = MappingProxyType({"linux": "Linux", "macOS": "macOS", "windows10": "Windows"})


class Category(Struct, frozen=True, kw_only=True):
    """Settings that belong together, or a platform with all of its categories."""

    id: CategoryId
    name: str
    platform: str
    parent: CategoryId
    root: CategoryId
    children: tuple[CategoryId, ...] = ()


def platform_category(platform: str) -> CategoryId:
    """Return the id of a platform's root."""
    return CategoryId(str(uuid5(_NAMESPACE, platform)))


def category_id(platform: str, name: str) -> CategoryId:
    """Return the id of a category. Pure: the same for ever."""
    return CategoryId(str(uuid5(_NAMESPACE, f"{platform}\n{name}")))


def category_of(definition: SettingDefinition) -> CategoryId:
    """Return the id of the category a definition belongs to."""
    return category_id(definition.platform, definition.category)


def categories(catalog: Catalog) -> dict[CategoryId, Category]:
    """Return every category that a definition names, and the root of every platform."""
    named: defaultdict[str, dict[CategoryId, str]] = defaultdict(dict)
    for definition in catalog.definitions.values():
        named[definition.platform][category_of(definition)] = definition.category
    found: dict[CategoryId, Category] = {}
    for platform, names in named.items():
        root = platform_category(platform)
        found[root] = Category(
            id=root,
            name=_PLATFORMS.get(platform, platform),
            platform=platform,
            parent=NO_CATEGORY,
            root=root,
            children=tuple(sorted(names)),
        )
        for own, name in names.items():
            found[own] = Category(id=own, name=name, platform=platform, parent=root, root=root)
    return found
