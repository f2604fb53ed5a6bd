"""Where in the forms of a policy the findings of validation belong: each beside the field it is about. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from shieldwall.catalog.findings import Finding
from shieldwall.catalog.model import Catalog, SettingDefinition
from shieldwall.contract.ids import SettingId
from shieldwall.contract.settings import (
    ChoiceCollectionSetting,
    ChoiceSetting,
    GroupCollectionSetting,
    GroupSetting,
    SettingInstance,
    SimpleCollectionSetting,
    nested,
)
from shieldwall.server.portal.policies.wizard.form_fields import Control, Settings, control_of

_STEP: Final = re.compile(r"(settings|values|children)\[(\d+)\]")
_MISSING: Final = "missingSetting"
_APART: Final = "notTogether"


@dataclass(frozen=True, slots=True)
class Place:
    """A field: its setting, and the item it stands in where that has a form of its own; no setting is all of it."""

    setting: SettingId | None = None
    collection: SettingId | None = None
    item: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something wrong: in words, with what is allowed instead, and the line of a list where it is about one.

    ``is_missing`` says that the field is to be filled in.
    """

    message: str
    allowed: str = ""
    line: int | None = None
    is_missing: bool = False


@dataclass(frozen=True, slots=True)
class Faults:
    """Everything that is wrong with the settings of a policy, by place."""

    found: tuple[tuple[Place, Fault], ...] = ()

    def of(
        self, setting: SettingId | None, collection: SettingId | None = None, item: int | None = None
    ) -> tuple[Fault, ...]:
        """Return what is wrong at one field."""
        wanted = Place(setting, collection, item)
        return tuple(fault for place, fault in self.found if place == wanted)

    def inside(self, collection: SettingId, item: int | None = None) -> tuple[tuple[Place, Fault], ...]:
        """Return what is wrong inside the items of a list, or inside one of them."""
        return tuple(
            (place, fault)
            for place, fault in self.found
            if place.collection == collection and (item is None or place.item == item)
        )

    @property
    def settings(self) -> frozenset[SettingId]:
        """The settings of the first form at which anything is wrong, or inside whose items."""
        named = (place.collection or place.setting for place, _ in self.found)
        return frozenset(setting for setting in named if setting is not None)


def located(catalog: Catalog, settings: Settings, findings: Iterable[Finding]) -> Faults:
    """Bring findings to their fields. What is missing stands at the field that is to be filled in."""
    found: list[tuple[Place, Fault]] = []
    for finding in findings:
        walk = _walked(catalog, settings, finding.path)
        missing = _missing(catalog, walk, finding)
        if missing:
            found += [
                (Place(setting, walk.collection, walk.item), Fault(message=finding.message, is_missing=True))
                for setting in missing
            ]
        else:
            # What goes with what is said beside the field, in other words than ids.
            fault = Fault(message=finding.message) if finding.code == _APART else _fault(finding, walk.line)
            found.append((Place(walk.setting, walk.collection, walk.item), fault))
    return Faults(tuple(dict.fromkeys(found)))


def _fault(finding: Finding, line: int | None = None) -> Fault:
    return Fault(message=finding.message, allowed=finding.allowed, line=line)


@dataclass(slots=True)
class _Walk:
    """Where a path of a finding has come to."""

    around: Sequence[SettingInstance]
    at: SettingInstance | None = None
    collection: SettingId | None = None
    item: int | None = None
    line: int | None = None

    @property
    def setting(self) -> SettingId | None:
        return None if self.at is None else self.at.definition


def _walked(catalog: Catalog, settings: Settings, path: str) -> _Walk:
    walk = _Walk(around=settings)
    for step, number in _STEP.findall(path):
        index = int(number)
        if step == "values":
            _enter(catalog, walk, index)
        elif index < len(walk.around):
            walk.at, walk.line = walk.around[index], None
            walk.around = nested(walk.at)
    return walk


def _enter(catalog: Catalog, walk: _Walk, index: int) -> None:
    """Go on inside one value of a list."""
    match walk.at:
        case GroupCollectionSetting(values=values) if index < len(values):
            definition = catalog.definitions.get(walk.at.definition)
            if definition is not None and control_of(definition, walk.at) is Control.ITEMS:
                walk.collection, walk.item = walk.at.definition, index
                walk.at = None
            walk.around = values[index].children
        case ChoiceCollectionSetting(values=values) if index < len(values):
            walk.around = values[index].children
        case SimpleCollectionSetting():
            walk.line = index
        case _:
            pass


def _missing(catalog: Catalog, walk: _Walk, finding: Finding) -> tuple[SettingId, ...]:
    """Return the settings whose absence a finding is about; its words name the one by its id."""
    if finding.code != _MISSING:
        return ()
    named = finding.allowed.partition(" ")[0]
    definition = catalog.definitions.get(SettingId(named))
    return () if definition is None or not _may_hold(catalog, walk, definition) else (definition.id,)


def _may_hold(catalog: Catalog, walk: _Walk, definition: SettingDefinition) -> bool:
    """Whether the form shows a field for a setting that is missing here."""
    if walk.at is None:  # the top of a policy, or of an item
        return True
    holder = catalog.definitions.get(walk.at.definition)
    match walk.at:
        case ChoiceSetting(value=choice) if holder is not None:
            option = holder.option(choice.value)
            return option is not None and definition.id in option.children
        case GroupSetting() | GroupCollectionSetting() if holder is not None:
            return definition.id in holder.children
        case _:
            return False
