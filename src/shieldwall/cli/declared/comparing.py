"""When two documents mean the same.

The order of settings, annotations, nulls and references to templates, which follow from the definitions, make no
difference; neither does what a document does not speak about.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from shieldwall.cli.declared.objects import Json, Kind

_OPTIONAL: Final = frozenset({"assignments", "priority", "roleScopeTags", "mailNickname"})
"""What a document need not speak about: left out, it stays as it is."""

_FOLLOWS_FROM_DEFINITIONS: Final = frozenset(
    {"settingInstanceTemplateReference", "settingValueTemplateReference", "auditRuleInformation", "settingDefinitions"}
)
_PREFIX: Final = "#microsoft.graph.deviceManagementConfiguration"
_SAYING_NOTHING: Final = frozenset({f"{_PREFIX}Setting", f"{_PREFIX}ChoiceSettingValue", f"{_PREFIX}GroupSettingValue"})


def comparable(kind: Kind, document: Json) -> Json:
    """Put an authored document into the one form in which equal means the same."""
    return _COMPARABLE[kind](document)


def differing(kind: Kind, declared: Json, present: Json) -> tuple[str, ...]:
    """Name the members in which a present document is not what is declared; what is not declared does not differ."""
    wanted, found = comparable(kind, declared), comparable(kind, present)
    return tuple(
        name for name, value in wanted.items() if value != found.get(name) and not (name in _OPTIONAL and value is None)
    )


def _policy(document: Json) -> Json:
    reference, priority = document["templateReference"], document.get("priorityMetaData")
    return {
        "name": _text(document.get("name")),
        "description": _text(document.get("description")),
        "platforms": _flags(document["platforms"]),
        "technologies": _flags(document["technologies"]),
        "roleScopeTagIds": sorted(document.get("roleScopeTagIds") or ["0"]),
        "template": reference.get("templateId") if isinstance(reference, dict) else reference,
        "settings": _sorted(_setting(each) for each in document["settings"]),
        "priority": priority.get("priority") if isinstance(priority, dict) else priority,
        "assignments": _assignments(document["assignments"]) if "assignments" in document else None,
    }


def _group(document: Json) -> Json:
    return {
        "displayName": _text(document.get("displayName")),
        "description": _text(document.get("description")),
        "membershipRule": document.get("membershipRule") or None,
        "mailNickname": document.get("mailNickname"),
    }


def _filter(document: Json) -> Json:
    return {
        "displayName": _text(document.get("displayName")),
        "description": _text(document.get("description")),
        "platform": document["platform"],
        "rule": document["rule"],
        "roleScopeTags": sorted(document["roleScopeTags"]) if document.get("roleScopeTags") else None,
    }


def _reusable_setting(document: Json) -> Json:
    return {
        "displayName": _text(document.get("displayName")),
        "description": _text(document.get("description")),
        "settingInstance": _meaning(document["settingInstance"]),
    }


_COMPARABLE: Final[Mapping[Kind, Callable[[Json], Json]]] = {
    Kind.GROUP: _group,
    Kind.FILTER: _filter,
    Kind.REUSABLE_SETTING: _reusable_setting,
    Kind.POLICY: _policy,
}


def _text(value: object) -> object:
    return value.strip() if isinstance(value, str) else value or ""


def _flags(value: object) -> object:
    return sorted({word.strip() for word in value.split(",")}) if isinstance(value, str) else value


def _setting(setting: object) -> object:
    instance = setting.get("settingInstance") if isinstance(setting, dict) else setting
    return _meaning(instance)


def _meaning(value: object) -> Any:
    """Return what a setting instance means: without nulls, empty lists of children, and what follows anyway."""
    match value:
        case dict():
            members = {
                name: _meaning(member)
                for name, member in value.items()
                if name not in _FOLLOWS_FROM_DEFINITIONS and name not in {"valueState", "note"} and member is not None
            }
            if "children" in members:
                members["children"] = _sorted(members["children"])
            if members.get("@odata.type") in _SAYING_NOTHING:
                del members["@odata.type"]
            return {name: member for name, member in members.items() if (name, member) != ("children", [])}
        case list():
            return [_meaning(item) for item in value]
        case _:
            return value


def _sorted(instances: Any) -> list[Any]:
    return sorted(instances, key=_definition)


def _definition(instance: object) -> str:
    return str(instance.get("settingDefinitionId")) if isinstance(instance, dict) else ""


def _assignments(assignments: Any) -> list[tuple[str, str, str, str]]:
    return sorted({_assignment(each) for each in assignments or ()})


def _assignment(assignment: Json) -> tuple[str, str, str, str]:
    target = assignment["target"]
    chosen = target.get("deviceAndAppManagementAssignmentFilterId") or ""
    how = target.get("deviceAndAppManagementAssignmentFilterType") or "none"
    return (
        str(target["@odata.type"]),
        str(target.get("groupName") or target.get("groupId") or ""),
        str(chosen),
        str(how) if chosen else "none",
    )
