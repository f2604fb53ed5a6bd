"""What the author of an object decides: its document without what a server says about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shieldwall.cli.declared.objects import NAMED_BY, InvalidDeclarationError, Json, Kind
from shieldwall.cli.declared.references import with_names

_AUTHORED: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.GROUP: ("displayName", "description", "mailNickname", "membershipRule"),
    Kind.FILTER: ("displayName", "description", "platform", "rule", "roleScopeTags"),
    Kind.REUSABLE_SETTING: ("displayName", "description", "settingDefinitionId", "settingInstance"),
    Kind.POLICY: (
        "name",
        "description",
        "platforms",
        "technologies",
        "roleScopeTagIds",
        "templateReference",
        "priorityMetaData",
        "settings",
        "assignments",
    ),
}
_SAID_BY_SERVERS: Final[Mapping[Kind, frozenset[str]]] = {
    Kind.GROUP: frozenset(
        {
            "id",
            "createdDateTime",
            "deletedDateTime",
            "mailEnabled",
            "securityEnabled",
            "groupTypes",
            "visibility",
            "membershipRuleProcessingState",
        }
    ),
    Kind.FILTER: frozenset(
        {
            "id",
            "createdDateTime",
            "lastModifiedDateTime",
            "assignmentFilterManagementType",
            "payloads",
            "shieldwall",
        }
    ),
    Kind.REUSABLE_SETTING: frozenset(
        {
            "id",
            "createdDateTime",
            "lastModifiedDateTime",
            "version",
            "referencingConfigurationPolicyCount",
            "settingDefinition",
            "shieldwall",
        }
    ),
    Kind.POLICY: frozenset(
        {
            "id",
            "createdDateTime",
            "lastModifiedDateTime",
            "settingCount",
            "isAssigned",
            "creationSource",
            "supportsScopeTags",
            "disableEntraGroupPolicyAssignment",
            "shieldwall",
            "version",
        }
    ),
}
_REQUIRED: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.GROUP: ("displayName",),
    Kind.FILTER: ("displayName", "platform", "rule"),
    Kind.REUSABLE_SETTING: ("displayName", "settingInstance"),
    Kind.POLICY: ("name", "platforms", "technologies", "templateReference", "settings"),
}
_UNSAID: Final[Mapping[str, Any]] = {"description": "", "roleScopeTagIds": ["0"]}
"""What left out means; sent as well, as a server keeps what it is not told about."""

_SHAPES: Final[Mapping[str, type[Any]]] = {
    "platforms": str,
    "technologies": str,
    "description": str,
    "platform": str,
    "rule": str,
    "membershipRule": str,
    "settings": list,
    "assignments": list,
    "roleScopeTagIds": list,
    "roleScopeTags": list,
    "templateReference": dict,
    "settingInstance": dict,
}
_SHAPE_WORDS: Final[Mapping[type[Any], str]] = {str: "a string", list: "a list", dict: "an object"}


def authored(kind: Kind, document: object) -> Json:
    """Keep what the author decides, and spell out what goes without saying.

    Raises:
        InvalidDeclarationError: The document is not one of this kind: a member is missing, unknown or no name.
    """
    if not isinstance(document, dict):
        raise InvalidDeclarationError(f"A {kind} is a JSON object.")
    missing = [name for name in _REQUIRED[kind] if name not in document]
    if missing:
        raise InvalidDeclarationError(f"A {kind} needs the member {missing[0]!r}.")
    known = {*_AUTHORED[kind], *_SAID_BY_SERVERS[kind]}
    unknown = [name for name in document if name not in known and not is_annotation(name)]
    if unknown:
        raise InvalidDeclarationError(f"The member {unknown[0][:64]!r} is not one of a {kind}.")
    named_by = NAMED_BY[kind]
    if not isinstance(document[named_by], str) or not document[named_by].strip():
        raise InvalidDeclarationError(f"The member {named_by!r} is not a name.")
    _check_shape(document)
    return decided(kind, document)


def decided(kind: Kind, document: Json) -> Json:
    """Keep of a resource, as a server of whatever version describes it, what its author decided."""
    said = {
        name: without_annotations(document[name])
        for name in _AUTHORED[kind]
        if document.get(name) is not None or (name in document and name == "assignments")
    }
    said[NAMED_BY[kind]] = said[NAMED_BY[kind]].strip()
    whole = {name: said.get(name, _UNSAID.get(name)) for name in _AUTHORED[kind] if name in said or name in _UNSAID}
    return with_names(whole, {}) if kind is Kind.POLICY else whole


def _check_shape(document: Json) -> None:
    """Look at what comparing relies on; the rest is the server's to validate."""
    for name, kind in _SHAPES.items():
        if not isinstance(document.get(name, kind()), kind | None):
            raise InvalidDeclarationError(f"The member {name!r} is not {_SHAPE_WORDS[kind]}.")
    for index, each in enumerate(document.get("settings") or ()):
        if not isinstance(each, dict) or not isinstance(each.get("settingInstance"), dict):
            raise InvalidDeclarationError(f"settings[{index}] has no settingInstance.")
    for index, each in enumerate(document.get("assignments") or ()):
        target = each.get("target") if isinstance(each, dict) else None
        if not isinstance(target, dict) or not isinstance(target.get("@odata.type"), str):
            raise InvalidDeclarationError(f"assignments[{index}] has no target with an @odata.type.")


def authored_policy(document: object) -> Json:
    """Keep what the author of a policy decides. Raises: InvalidDeclarationError."""
    return authored(Kind.POLICY, document)


def is_annotation(name: str) -> bool:
    """Tell whether a member is an OData annotation, which says nothing that is not known."""
    return "@odata." in name or name.startswith("#")


def without_annotations(value: Any) -> Any:
    """Take every annotation but the types out of a value."""
    match value:
        case dict():
            return {
                name: without_annotations(member)
                for name, member in value.items()
                if name == "@odata.type" or not is_annotation(name)
            }
        case list():
            return [without_annotations(item) for item in value]
        case _:
            return value
