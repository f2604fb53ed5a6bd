"""References to reusable settings, and the addresses that devices get in their place. Pure.

A firewall rule names groups of addresses beside addresses; what is published names addresses alone. Devices never see a
group, and a rule whose groups came to nothing would mean every address: neither is ever published.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import msgspec

from shieldwall.catalog.findings import Finding
from shieldwall.catalog.model import Catalog, Syntax
from shieldwall.contract.ids import ReusableSettingId, SettingId
from shieldwall.contract.settings import (
    ChoiceSetting,
    SettingInstance,
    SimpleCollectionSetting,
    SimpleSetting,
    SimpleValue,
    walk,
)
from shieldwall.server.manager.rewriting import Settings, with_children

Addresses: TypeAlias = Mapping[ReusableSettingId, tuple[str, ...]]
"""What each reusable setting stands for."""

_ADDRESSES_BESIDE: Final = {
    "_remoteaddressgroups": "_remoteaddresses",
    "_localaddressgroups": "_localaddresses",
    "_remoteaddressdynamickeywords": "_remoteaddressranges",
}
"""From the end of a setting that names groups to that of the setting beside it that names addresses."""
_ADDRESS_SYNTAX: Final = frozenset({Syntax.ADDRESS_RANGE, Syntax.WINDOWS_ADDRESS_RANGE})
_RESOLVED_BY_THE_DEVICE: Final = "_autoresolve_true"


def is_reference(catalog: Catalog, setting: SettingId) -> bool:
    """Whether the values of a setting are ids of reusable settings."""
    definition = catalog.definitions.get(setting)
    return definition is not None and definition.limits.syntax is Syntax.REUSABLE_SETTING


def references_in(catalog: Catalog, settings: Settings) -> frozenset[ReusableSettingId]:
    """Return every reusable setting that settings refer to."""
    return frozenset(
        _referred(value)
        for instance in walk(settings)
        if isinstance(instance, SimpleCollectionSetting) and is_reference(catalog, instance.definition)
        for value in instance.values
    )


def expanded(catalog: Catalog, settings: Settings, addresses: Addresses) -> tuple[Settings, tuple[Finding, ...]]:
    """Put addresses in the places of references; what cannot be replaced is a finding."""
    expansion = _Expansion(catalog, addresses)
    return expansion.siblings(settings, "settings"), tuple(expansion.findings)


def addresses_of(catalog: Catalog, instance: SettingInstance) -> tuple[str, ...] | Finding:
    """Return the addresses that a reusable setting stands for, or say why there are none."""
    for part in walk((instance,)):
        if isinstance(part, ChoiceSetting) and part.value.value.endswith(_RESOLVED_BY_THE_DEVICE):
            message = "A name that each device resolves for itself cannot be put into a rule as addresses."
            return Finding("settingInstance", "notExpandable", message, "Addresses, networks and ranges.")
    found = tuple(address for part in walk((instance,)) for address in _named_by(catalog, part))
    if not found:
        message = "This stands for no address, and a rule without addresses would mean all of them."
        return Finding("settingInstance", "notExpandable", message, "At least one address.")
    return tuple(dict.fromkeys(found))


def _named_by(catalog: Catalog, instance: SettingInstance) -> tuple[str, ...]:
    definition = catalog.definitions.get(instance.definition)
    if definition is None or definition.limits.syntax not in _ADDRESS_SYNTAX:
        return ()
    match instance:
        case SimpleCollectionSetting(values=values):
            return tuple(str(value.value) for value in values)
        case SimpleSetting(value=value):
            return (str(value.value),)
        case _:
            return ()


def _referred(value: SimpleValue) -> ReusableSettingId:
    return ReusableSettingId(str(value.value).strip("{}").lower())


@dataclass(frozen=True, slots=True)
class _Expansion:
    """One pass over the settings of a policy."""

    catalog: Catalog
    addresses: Addresses
    findings: list[Finding] = field(default_factory=list)

    def siblings(self, settings: Settings, place: str) -> Settings:
        """Replace references among settings that stand together, and inside each of them."""
        kept: dict[SettingId, SettingInstance] = {}
        brought: dict[SettingId, list[str]] = {}
        for index, instance in enumerate(settings):
            path = f"{place}[{index}]"
            if isinstance(instance, SimpleCollectionSetting) and is_reference(self.catalog, instance.definition):
                beside = self._beside(instance, path)
                if beside is not None and (found := self._addresses(instance, path)):
                    brought.setdefault(beside, []).extend(found)
            else:
                kept[instance.definition] = with_children(instance, path, self.siblings)
        for beside, found in brought.items():
            kept[beside] = _with_addresses(kept.get(beside), beside, found)
        return tuple(kept.values())

    def _beside(self, instance: SimpleCollectionSetting, path: str) -> SettingId | None:
        for groups, addresses in _ADDRESSES_BESIDE.items():
            if instance.definition.endswith(groups):
                return SettingId(instance.definition.removesuffix(groups) + addresses)
        message = "Nothing can be put in the place of a reference here."
        self.findings.append(Finding(f"{path}.definition", "notExpandable", message))
        return None

    def _addresses(self, instance: SimpleCollectionSetting, path: str) -> list[str]:
        found: list[str] = []
        for index, value in enumerate(instance.values):
            addresses = self.addresses.get(_referred(value), ())
            found += addresses
            if not addresses:
                message = f"There is no reusable setting {str(value.value)[:64]!r}."
                self.findings.append(Finding(f"{path}.values[{index}]", "unknownReference", message))
        return found


def _with_addresses(
    present: SettingInstance | None, definition: SettingId, addresses: list[str]
) -> SimpleCollectionSetting:
    """Add addresses to those that stand there, each once."""
    written = present.values if isinstance(present, SimpleCollectionSetting) else ()
    known = {value.value for value in written}
    added = [SimpleValue(kind="string", value=text) for text in dict.fromkeys(addresses) if text not in known]
    if isinstance(present, SimpleCollectionSetting):
        return msgspec.structs.replace(present, values=(*written, *added))
    return SimpleCollectionSetting(definition=definition, values=tuple(added))
