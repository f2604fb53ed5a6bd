"""What clients send about policies: drafts and assignments, read from their Graph shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import AssignmentFilterId, GroupId, TemplateId, parse_assignment_filter_id, parse_group_id
from shieldwall.contract.strict_json import convert
from shieldwall.server.directory.names import is_name, is_text
from shieldwall.server.graph.errors import InvalidRequestError
from shieldwall.server.graph.requests import is_annotation
from shieldwall.server.graph.setting_reading import read_settings
from shieldwall.server.manager.assignments import Assigned
from shieldwall.server.manager.policies import MAX_NAME_LENGTH, PolicyDraft
from shieldwall.server.storage.records import AssignmentKind, FilterKind

T = TypeVar("T")

MAX_DESCRIPTION_LENGTH: Final = 1_000
MAX_SCOPE_TAGS: Final = 64
MAX_SCOPE_TAG_LENGTH: Final = 64
READ_ONLY: Final = frozenset(
    {
        "id",
        "createdDateTime",
        "lastModifiedDateTime",
        "settingCount",
        "isAssigned",
        "creationSource",
        "assignments",
        "supportsScopeTags",
        "disableEntraGroupPolicyAssignment",
        "shieldwall",
    }
)
"""Members that a client may send back as it read them, and that say nothing."""

TEMPLATE_MEMBERS: Final = frozenset({"templateId", "templateFamily", "templateDisplayName", "templateDisplayVersion"})
"""Members of a ``templateReference``; the id alone decides."""

_REQUIRED: Final = frozenset({"name", "platforms", "technologies", "templateReference", "settings"})
_KINDS: Final = {
    "#microsoft.graph.groupAssignmentTarget": AssignmentKind.INCLUDE,
    "#microsoft.graph.exclusionGroupAssignmentTarget": AssignmentKind.EXCLUDE,
    "#microsoft.graph.allDevicesAssignmentTarget": AssignmentKind.ALL_DEVICES,
}
_FILTER_ID: Final = "deviceAndAppManagementAssignmentFilterId"
_FILTER_KIND: Final = "deviceAndAppManagementAssignmentFilterType"
_TARGET: Final = frozenset({"@odata.type", "groupId", _FILTER_ID, _FILTER_KIND})


def read_draft(members: Mapping[str, Any], before: PolicyDraft | None = None) -> PolicyDraft:
    """Read what the author decides; members left out stay as they are in ``before``.

    Raises:
        InvalidJsonError: A member is missing, unknown or of another type.
        InvalidRequestError: A member says what cannot be.
    """
    unknown = set(members) - READ_ONLY - set(AUTHORED)
    if unknown:
        raise InvalidJsonError(f"The member {min(unknown)!r} is not one of a policy.")
    missing = _REQUIRED - set(members)
    if before is None and missing:
        raise InvalidJsonError(f"The member {min(missing)!r} is missing.")
    drafted: dict[str, Any] = {}
    for name, (field, read) in AUTHORED.items():
        if name in members:
            drafted[field] = read(name, members[name])
        elif before is not None:
            drafted[field] = getattr(before, field)
    return PolicyDraft(**drafted)


def read_assignments(members: Mapping[str, Any]) -> list[Assigned]:
    """Read whom a policy shall be assigned to. Raises: InvalidJsonError, InvalidRequestError, InvalidIdError."""
    if set(members) != {"assignments"}:
        raise InvalidJsonError('Expected {"assignments": [...]} and nothing else.')
    return read_assigned(members["assignments"], "assignments")


def read_assigned(value: Any, place: str) -> list[Assigned]:
    """Read a list of assignments. Raises: as ``read_assignments``."""
    if not isinstance(value, list):
        raise InvalidJsonError(f"{place}: expected a list.")
    return [_assigned(item, f"{place}[{index}]") for index, item in enumerate(value)]


def read_name(place: str, value: Any) -> str:
    """Read what a policy is called. Raises: InvalidJsonError, InvalidRequestError."""
    name = _typed(place, value, str).strip()
    if not is_name(name, MAX_NAME_LENGTH):
        raise InvalidRequestError(f"{place}: a policy's name has 1 to {MAX_NAME_LENGTH} plain characters.")
    return name


def read_description(place: str, value: Any) -> str:
    """Read a description; null is an empty one. Raises: InvalidJsonError, InvalidRequestError."""
    text = "" if value is None else _typed(place, value, str)
    if not is_text(text, MAX_DESCRIPTION_LENGTH):
        raise InvalidRequestError(f"{place}: a description has at most {MAX_DESCRIPTION_LENGTH} plain characters.")
    return text


def _flags(place: str, value: Any) -> str:
    return ",".join(sorted({word.strip() for word in _typed(place, value, str).split(",")}))


def _template(place: str, value: Any) -> TemplateId:
    if not isinstance(value, dict) or not isinstance(value.get("templateId"), str):
        raise InvalidJsonError(f"{place}.templateId: expected a string.")
    unknown = {name for name in value if not is_annotation(name)} - TEMPLATE_MEMBERS
    if unknown:
        raise InvalidJsonError(f"{place}: unknown member {min(unknown)!r}.")
    return TemplateId(value["templateId"])


def _priority(place: str, value: Any) -> int | None:
    if value is None:
        return None
    if not isinstance(value, dict) or {name for name in value if not is_annotation(name)} != {"priority"}:
        raise InvalidJsonError(f'{place}: expected {{"priority": number}}.')
    return _typed(f"{place}.priority", value["priority"], int)


def _scope_tags(place: str, value: Any) -> tuple[str, ...]:
    tags = _typed(place, value, tuple[str, ...]) or ("0",)
    if len(tags) > MAX_SCOPE_TAGS or not all(is_name(tag, MAX_SCOPE_TAG_LENGTH) for tag in tags):
        raise InvalidRequestError(f"{place}: at most {MAX_SCOPE_TAGS} ids of scope tags are possible.")
    return tags


def _typed(place: str, value: Any, kind: type[T]) -> T:
    try:
        return convert(value, kind)
    except InvalidJsonError as error:
        raise InvalidJsonError(f"{place}: {error.cause}") from None


AUTHORED: Final[Mapping[str, tuple[str, Callable[[str, Any], Any]]]] = {
    "name": ("name", read_name),
    "description": ("description", read_description),
    "platforms": ("platforms", _flags),
    "technologies": ("technologies", _flags),
    "templateReference": ("template_id", _template),
    "roleScopeTagIds": ("role_scope_tag_ids", _scope_tags),
    "priorityMetaData": ("priority", _priority),
    "settings": ("settings", lambda place, value: read_settings(value, place)),
}
"""Members that an author decides: the field of a draft each becomes, and how it is read."""


def _assigned(item: Any, place: str) -> Assigned:
    target = item.get("target") if isinstance(item, dict) else None
    if not isinstance(target, dict):
        raise InvalidJsonError(f"{place}.target: expected an object.")
    unknown = {name for name in target if name not in _TARGET and not is_annotation(name)}
    if unknown:
        raise InvalidJsonError(f"{place}.target: unknown member {min(unknown)!r}.")
    kind = _KINDS.get(str(target.get("@odata.type")))
    if kind is None:
        raise InvalidRequestError(
            f"{place}.target: {str(target.get('@odata.type'))[:128]!r} cannot be targeted on this channel.",
            remedy="Assign to groups of devices or to all devices; user targets do nothing here.",
        )
    filter_id, filter_kind = _filter(target, place)
    return Assigned(kind=kind, group_id=_group(target, kind, place), filter_id=filter_id, filter_kind=filter_kind)


def _filter(target: Mapping[str, Any], place: str) -> tuple[AssignmentFilterId | None, FilterKind]:
    named, kind = target.get(_FILTER_ID), target.get(_FILTER_KIND)
    if named is not None and not isinstance(named, str):
        raise InvalidJsonError(f"{place}.target.{_FILTER_ID}: expected a string or null.")
    if kind is not None and kind not in list(FilterKind):
        raise InvalidRequestError(f"{place}.target.{_FILTER_KIND}: {str(kind)[:64]!r} is not none, include or exclude.")
    return None if named is None else parse_assignment_filter_id(named), FilterKind(kind or FilterKind.NONE)


def _group(target: Mapping[str, Any], kind: AssignmentKind, place: str) -> GroupId | None:
    group = target.get("groupId")
    if kind is AssignmentKind.ALL_DEVICES:
        return None
    if not isinstance(group, str):
        raise InvalidJsonError(f"{place}.target.groupId: expected a string.")
    return parse_group_id(group)
