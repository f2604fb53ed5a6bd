"""Fragments of policies: settings, or items of a group setting, kept apart from the policy that they belong to.

Some tools keep exclusions like this: a base policy, and a file of named fragments to be put into it.
"""

from __future__ import annotations

import copy
from typing import Any, Final

from shieldwall.cli.exports import InvalidExportError, Json, is_fragments

_COLLECTIONS: Final = ("simpleSettingCollectionValue", "choiceSettingCollectionValue", "groupSettingCollectionValue")
_GROUP: Final = "groupSettingCollectionValue"


def merged(policy: Json, fragments: object) -> Json:
    """Put named fragments into a policy and return it; the policy given stays as it is.

    A fragment that is a whole setting becomes a setting of the policy; where the policy has that setting as a
    collection, its values are added to it. A fragment that is an item goes into the group setting it belongs to.

    Raises:
        InvalidExportError: The document holds no fragments, or one has no place in this policy.
    """
    if not is_fragments(fragments):
        raise InvalidExportError('These are no fragments: expected {"name": setting or item of a group, …}.')
    assert isinstance(fragments, dict)
    whole = copy.deepcopy(policy)
    for name, fragment in fragments.items():
        if "settingInstance" in fragment:
            _add_setting(whole["settings"], copy.deepcopy(fragment), name)
        else:
            _add_item(whole["settings"], copy.deepcopy(fragment), name)
    return whole


def _add_setting(settings: list[Any], fragment: Json, name: str) -> None:
    added = fragment["settingInstance"]
    definition = added.get("settingDefinitionId")
    present = next((each for each in _instances(settings) if each.get("settingDefinitionId") == definition), None)
    if present is None:
        settings.append(fragment)
        return
    member = next((each for each in _COLLECTIONS if isinstance(added.get(each), list)), None)
    if member is None or not isinstance(present.get(member), list):
        raise InvalidExportError(f"The fragment {name!r} sets {definition}, which the policy sets already.")
    present[member] += [value for value in added[member] if value not in present[member]]


def _add_item(settings: list[Any], item: Json, name: str) -> None:
    groups = [each for each in _instances(settings) if isinstance(each.get(_GROUP), list)]
    fitting = groups if len(groups) == 1 else [each for each in groups if _belongs(item, each)]
    if len(fitting) != 1:
        raise InvalidExportError(
            f"The fragment {name!r} is an item of a group, and the policy has {len(fitting)} group settings for it."
        )
    fitting[0][_GROUP].append(item)


def _instances(settings: list[Any]) -> list[Json]:
    return [
        each["settingInstance"]
        for each in settings
        if isinstance(each, dict) and isinstance(each.get("settingInstance"), dict)
    ]


def _belongs(item: Json, group: Json) -> bool:
    """Tell by the ids: a member's definition begins with that of its group."""
    return all(
        isinstance(child, dict)
        and str(child.get("settingDefinitionId", "")).startswith(f"{group.get('settingDefinitionId')}_")
        for child in item["children"]
    )
