"""The settings of an export while it is read: which of them are still in, and where in the export each stood.

A fault costs the setting it lies in and no more: of a choice the one setting that its option brings along, of a
collection of groups the one item. Members of a group and of an item stand or fall together; a firewall rule without its
addresses would be another rule.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from shieldwall.catalog.findings import Finding
from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.settings import ChoiceSetting, GroupCollectionSetting, GroupValue, SettingInstance
from shieldwall.server.graph.setting_reading import read_group, read_setting

_TOP: Final = re.compile(r"settings\[(\d+)\]")
_CHILD: Final = re.compile(r"\.children\[(\d+)\]")
_ITEM: Final = re.compile(r"\.values\[(\d+)\]")
_GROUPS: Final = "groupSettingCollectionValue"


@dataclass(slots=True, kw_only=True)
class _Item:
    """One item of a collection of groups, its place in the export, and whether it is left out."""

    place: str
    group: GroupValue
    out: bool = False


@dataclass(slots=True, kw_only=True)
class _Setting:
    """A setting, its place in the export, what can be left out of it alone, and whether it is left out itself."""

    place: str
    instance: SettingInstance
    children: list[_Setting] = field(default_factory=list)
    items: list[_Item] = field(default_factory=list)
    out: bool = False

    @classmethod
    def at(cls, place: str, instance: SettingInstance) -> _Setting:
        match instance:
            case ChoiceSetting(value=choice):
                children = [cls.at(f"{place}.children[{index}]", child) for index, child in enumerate(choice.children)]
                return cls(place=place, instance=instance, children=children)
            case GroupCollectionSetting(values=groups):
                items = [_Item(place=f"{place}.values[{index}]", group=group) for index, group in enumerate(groups)]
                return cls(place=place, instance=instance, items=items)
            case _:
                return cls(place=place, instance=instance)

    def remaining(self) -> SettingInstance:
        """Return the setting with what is still in of it."""
        match self.instance:
            case ChoiceSetting(value=choice):
                children = tuple(child.remaining() for child in self.children)
                return msgspec.structs.replace(self.instance, value=msgspec.structs.replace(choice, children=children))
            case GroupCollectionSetting():
                return msgspec.structs.replace(self.instance, values=tuple(item.group for item in self.items))
            case _:
                return self.instance

    def prune(self) -> None:
        """Let go of what is left out; a collection that loses all of its items goes with them."""
        for child in self.children:
            child.prune()
        self.children = [child for child in self.children if not child.out]
        items = [item for item in self.items if not item.out]
        self.out |= bool(self.items) and not items
        self.items = items


class ImportedSettings:
    """Reads what it can, and leaves out what it is told; both are added to the report, with places of the export."""

    def __init__(self, exported: Any, report: list[Finding]) -> None:
        self._report = report
        self._settings: list[_Setting] = []
        if not isinstance(exported, list):
            report.append(Finding("settings", "missingMember", "The policy has no list of settings.", "A list."))
            return
        for position, value in enumerate(exported):
            self._read(f"settings[{position}]", value)

    def instances(self) -> tuple[SettingInstance, ...]:
        """Return the settings that are in."""
        return tuple(setting.remaining() for setting in self._settings)

    def holds(self, finding: Finding) -> bool:
        """Tell whether a finding lies in one setting, which can be left out, and not in the policy as a whole."""
        return _TOP.match(finding.path) is not None

    def leave_out(self, findings: Sequence[Finding]) -> None:
        """Leave out everything in which a finding lies."""
        for finding in findings:
            part, end = self._part(finding.path)
            part.out = True
            self._report.append(replace(finding, path=part.place + finding.path[end:]))
        for setting in self._settings:
            setting.prune()
        self._settings = [setting for setting in self._settings if not setting.out]

    def _part(self, path: str) -> tuple[_Setting | _Item, int]:
        """Return the smallest part that can be left out and holds this place, and where in the path it ends."""
        place = _TOP.match(path)
        assert place is not None
        setting, end = self._settings[int(place[1])], place.end()
        while (inside := _CHILD.match(path, end)) and int(inside[1]) < len(setting.children):
            setting, end = setting.children[int(inside[1])], inside.end()
        if (inside := _ITEM.match(path, end)) and int(inside[1]) < len(setting.items):
            return setting.items[int(inside[1])], inside.end()
        return setting, end

    def _read(self, place: str, value: Any) -> None:
        try:
            self._settings.append(_Setting.at(place, read_setting(value, place)))
        except InvalidJsonError as error:
            exported = value.get("settingInstance") if isinstance(value, dict) else None
            items = exported.get(_GROUPS) if isinstance(exported, dict) else None
            if isinstance(exported, dict) and isinstance(items, list) and items:
                self._read_items(place, value | {"settingInstance": exported | {_GROUPS: []}}, items)
            else:
                self._refuse(place, error)

    def _read_items(self, place: str, frame: dict[str, Any], items: list[Any]) -> None:
        """Read item by item what cannot be read as a whole."""
        try:
            setting = _Setting(place=place, instance=read_setting(frame, place))
        except InvalidJsonError as error:
            self._refuse(place, error)
            return
        for number, item in enumerate(items):
            item_place = f"{place}.settingInstance.{_GROUPS}[{number}]"
            try:
                group = read_group(item, item_place)
            except InvalidJsonError as error:
                self._refuse(item_place, error)
            else:
                setting.items.append(_Item(place=f"{place}.values[{number}]", group=group))
        if setting.items:
            self._settings.append(setting)

    def _refuse(self, place: str, error: InvalidJsonError) -> None:
        path, separator, message = error.cause.partition(": ")
        if not separator or not path.startswith(place):
            path, message = place, error.cause
        self._report.append(Finding(path, "invalidShape", message, "A setting instance in Graph's shape."))
