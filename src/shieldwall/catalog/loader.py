"""Read the catalog out of the data files of this package.

``index.json`` names the catalog version and one file per profile; a profile holds its template and the definitions that
no profile before it holds. A composition root loads once and hands the catalog on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Final, TypeVar

import msgspec

from shieldwall.catalog.model import Catalog, Dependency, PolicyTemplate, SettingDefinition
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import SettingId, TemplateId
from shieldwall.contract.kinds import learned

T = TypeVar("T")

DATA: Final = Path(__file__).parent / "data"
"""Where the data files lie. A plain path: importlib.resources would cost every agent half a megabyte."""


class BrokenCatalogError(ShieldwallError):
    """A data file of the catalog is missing, unreadable or contradicts another."""

    code: ClassVar[str] = "brokenCatalog"
    remedy: ClassVar[str] = "Install Shieldwall again; its catalog files were changed or are incomplete."


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A profile: the name of its file, and the platform whose devices need it."""

    name: str
    platform: str


class Index(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The catalog version, and its profiles in the order in which they are read."""

    version: str
    profiles: tuple[Entry, ...]


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """One data file."""

    template: PolicyTemplate
    definitions: tuple[SettingDefinition, ...]


def load(directory: Path = DATA, *, platform: str | None = None) -> Catalog:
    """Read the catalog, by default the one that ships with this package, as a whole or what one platform needs.

    Raises:
        BrokenCatalogError: A file is not what it should be.
    """
    index = _read(directory, "index", Index)
    names = [entry.name for entry in index.profiles if platform in {None, entry.platform}]
    return assemble(index.version, [_read(directory, name, Profile) for name in names])


def assemble(version: str, profiles: list[Profile]) -> Catalog:
    """Put profiles together to a catalog. Pure. Raises: BrokenCatalogError."""
    definitions: dict[SettingId, SettingDefinition] = {}
    templates: dict[TemplateId, PolicyTemplate] = {}
    for profile in profiles:
        if profile.template.id in templates:
            raise BrokenCatalogError(f"The template {profile.template.id} stands in two files.")
        templates[profile.template.id] = profile.template
        for definition in profile.definitions:
            if definition.id in definitions:
                raise BrokenCatalogError(f"The setting {definition.id} is defined twice.")
            definitions[definition.id] = definition
    return Catalog(
        version=version,
        definitions=MappingProxyType(_with_dependencies(definitions)),
        templates=MappingProxyType(templates),
        families=MappingProxyType(_families(definitions, templates)),
    )


def _read(folder: Path, name: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode((folder / f"{name}.json").read_bytes(), type=learned(kind))
    except (OSError, msgspec.DecodeError) as error:
        raise BrokenCatalogError(f"{name}.json: {error}") from None


def _with_dependencies(definitions: Mapping[SettingId, SettingDefinition]) -> dict[SettingId, SettingDefinition]:
    parents: defaultdict[SettingId, list[Dependency]] = defaultdict(list)
    for definition in definitions.values():
        for child in definition.children:
            parents[child].append(Dependency(parent=definition.id))
        for option in definition.options:
            for child in option.children:
                parents[child].append(Dependency(parent=definition.id, option=option.item_id))
    return {
        setting: msgspec.structs.replace(definition, depends_on=tuple(parents[setting]))
        if setting in parents
        else definition
        for setting, definition in definitions.items()
    }


def _families(
    definitions: Mapping[SettingId, SettingDefinition], templates: Mapping[TemplateId, PolicyTemplate]
) -> dict[SettingId, str]:
    families: dict[SettingId, str] = {}
    for template in templates.values():
        waiting = [setting.definition for setting in template.settings]
        while waiting:
            definition = definitions.get(waiting.pop())
            if definition is not None and definition.id not in families:
                families[definition.id] = template.family
                waiting.extend(definition.nested())
    return families
