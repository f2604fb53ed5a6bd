"""``/deviceManagement/configurationPolicies``: authored, assigned, and how they stand on devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from litestar import Response, delete, get, patch, post, put
from sqlalchemy import Connection

from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import GroupId, TemplateId, parse_group_id, parse_policy_id
from shieldwall.contract.status import SettingState
from shieldwall.contract.strict_json import convert
from shieldwall.server.authorization import allow
from shieldwall.server.graph.errors import InvalidRequestError
from shieldwall.server.graph.requests import (
    GraphRequest,
    answer,
    caller,
    empty,
    is_annotation,
    members_of,
    page_answer,
    query_of,
)
from shieldwall.server.graph.resources import (
    Json,
    assignments_resource,
    policy_device_resource,
    policy_resource,
    settings_resource,
)
from shieldwall.server.graph.setting_shapes import read_settings
from shieldwall.server.manager import assignments, policies, statuses
from shieldwall.server.manager.assignments import Assigned
from shieldwall.server.manager.policies import Policies, PolicyDraft, PreconditionFailedError, draft_of
from shieldwall.server.services import AdminServices
from shieldwall.server.storage.records import AssignmentKind, Policy

READ: Final = allow("DeviceManagementConfiguration.Read.All", "DeviceManagementConfiguration.ReadWrite.All")
WRITE: Final = allow("DeviceManagementConfiguration.ReadWrite.All")

_PATH: Final = "/deviceManagement/configurationPolicies"
_EXPANDABLE: Final = frozenset({"settings", "assignments"})
_KINDS: Final = {
    "#microsoft.graph.groupAssignmentTarget": AssignmentKind.INCLUDE,
    "#microsoft.graph.exclusionGroupAssignmentTarget": AssignmentKind.EXCLUDE,
    "#microsoft.graph.allDevicesAssignmentTarget": AssignmentKind.ALL_DEVICES,
}
_READ_ONLY: Final = frozenset(
    {
        "id",
        "createdDateTime",
        "lastModifiedDateTime",
        "settingCount",
        "isAssigned",
        "creationSource",
        "priorityMetaData",
        "assignments",
        "supportsScopeTags",
        "disableEntraGroupPolicyAssignment",
        "shieldwall",
    }
)
"""Members that a client may send back as it read them, and that say nothing."""


@get(_PATH, opt=READ, sync_to_thread=True)
def list_policies(services: AdminServices, request: GraphRequest) -> Response[bytes]:
    """List policies, in pages."""
    query = query_of(request, expandable=_EXPANDABLE)
    with services.database.read() as connection:
        found = policies.list_policies(connection, services.tenant.id, query.page)
        resources = [_resource(services, connection, policy, query.expand) for policy in found]
    last = found[-1].id if found else None
    return page_answer(request, query, resources, base_url=services.settings.public_url, last=last)


@post(_PATH, opt=WRITE, sync_to_thread=True)
def create_policy(services: AdminServices, request: GraphRequest, body: bytes) -> Response[bytes]:
    """Create a policy."""
    draft = _draft(members_of(request, body))
    with services.database.write() as connection:
        policy = _authoring(services).create(connection, services.acting(caller(request).actor), draft)
        resource = _resource(services, connection, policy, _EXPANDABLE)
    return answer(resource, status=201, etag=str(policy.revision))


@get(_PATH + "/{policy_id:str}", opt=READ, sync_to_thread=True)
def get_policy(services: AdminServices, request: GraphRequest, policy_id: str) -> Response[bytes]:
    """Return one policy."""
    query = query_of(request, expandable=_EXPANDABLE)
    with services.database.read() as connection:
        policy = policies.get_policy(connection, services.tenant.id, parse_policy_id(policy_id))
        resource = _resource(services, connection, policy, query.expand)
    return answer(query.shape(resource), etag=str(policy.revision))


@patch(_PATH + "/{policy_id:str}", opt=WRITE, sync_to_thread=True)
def patch_policy(services: AdminServices, request: GraphRequest, policy_id: str, body: bytes) -> Response[bytes]:
    """Change the members given."""
    policy, resource = _save(services, request, policy_id, members_of(request, body))
    return answer(resource, etag=str(policy.revision))


@put(_PATH + "/{policy_id:str}", opt=WRITE, sync_to_thread=True)
def put_policy(services: AdminServices, request: GraphRequest, policy_id: str, body: bytes) -> Response[None]:
    """Replace a policy as a whole, as backup tools do."""
    members = members_of(request, body)
    _draft(members)
    _save(services, request, policy_id, members)
    return empty()


@delete(_PATH + "/{policy_id:str}", opt=WRITE, sync_to_thread=True, status_code=200)
def delete_policy(services: AdminServices, request: GraphRequest, policy_id: str) -> Response[bytes]:
    """Delete a policy; the devices return to what their other policies say."""
    with services.database.write() as connection:
        _authoring(services).delete(connection, services.acting(caller(request).actor), parse_policy_id(policy_id))
    return Response(b"", status_code=200, media_type="application/json")


@get(_PATH + "/{policy_id:str}/settings", opt=READ, sync_to_thread=True)
def list_settings(services: AdminServices, request: GraphRequest, policy_id: str) -> Response[bytes]:
    """List the settings of a policy; a policy holds few enough for one page."""
    query = query_of(request)
    with services.database.read() as connection:
        policy = policies.get_policy(connection, services.tenant.id, parse_policy_id(policy_id))
    shapes = settings_resource(policy)
    return page_answer(request, query, shapes, base_url=services.settings.public_url, last=None)


@get(_PATH + "/{policy_id:str}/assignments", opt=READ, sync_to_thread=True)
def list_assignments(services: AdminServices, request: GraphRequest, policy_id: str) -> Response[bytes]:
    """List whom a policy is assigned to."""
    query = query_of(request)
    with services.database.read() as connection:
        found = assignments.assignments_of(connection, services.tenant.id, parse_policy_id(policy_id))
    return page_answer(request, query, assignments_resource(found), base_url=services.settings.public_url, last=None)


@post(_PATH + "/{policy_id:str}/assign", opt=WRITE, sync_to_thread=True, status_code=200)
def assign_policy(services: AdminServices, request: GraphRequest, policy_id: str, body: bytes) -> Response[bytes]:
    """Replace the assignments of a policy."""
    wanted = _assignments(members_of(request, body))
    with services.database.write() as connection:
        acting = services.acting(caller(request).actor)
        found = assignments.assign(connection, acting, parse_policy_id(policy_id), wanted)
    return answer({"value": assignments_resource(found)})


@get(_PATH + "/{policy_id:str}/statusSummary", opt=READ, sync_to_thread=True)
def status_summary(services: AdminServices, policy_id: str) -> Response[bytes]:
    """Count the devices of a policy by state (ours)."""
    with services.database.read() as connection:
        policy = policies.get_policy(connection, services.tenant.id, parse_policy_id(policy_id))
        counts = statuses.policy_counts(connection, services.catalog, policy.tenant_id, policy.id)
    return answer({str(state): counts.devices.get(state, 0) for state in SettingState})


@get(_PATH + "/{policy_id:str}/deviceStates", opt=READ, sync_to_thread=True)
def device_states(services: AdminServices, request: GraphRequest, policy_id: str) -> Response[bytes]:
    """List the devices of a policy with their states (ours)."""
    query = query_of(request)
    with services.database.read() as connection:
        policy = policies.get_policy(connection, services.tenant.id, parse_policy_id(policy_id))
        found = statuses.policy_devices(connection, services.catalog, policy.tenant_id, policy.id, query.page)
    resources = [policy_device_resource(each) for each in found]
    last = found[-1].device_id if found else None
    return page_answer(request, query, resources, base_url=services.settings.public_url, last=last)


def _authoring(services: AdminServices) -> Policies:
    return Policies(catalog=services.catalog, signer=services.signer)


def _save(
    services: AdminServices, request: GraphRequest, policy_id: str, members: dict[str, Any]
) -> tuple[Policy, Json]:
    wanted = parse_policy_id(policy_id)
    with services.database.write() as connection:
        before = draft_of(policies.get_policy(connection, services.tenant.id, wanted))
        policy = _authoring(services).update(
            connection,
            services.acting(caller(request).actor),
            wanted,
            _draft(members, before),
            expected_revision=_expected_revision(request),
        )
        return policy, _resource(services, connection, policy, _EXPANDABLE)


def _expected_revision(request: GraphRequest) -> int | None:
    wanted = request.headers.get("if-match")
    if wanted is None or wanted == "*":
        return None
    number = wanted.removeprefix("W/").strip('"')
    if not number.isascii() or not number.isdigit():
        raise PreconditionFailedError("If-Match does not hold an ETag that we gave out.")
    return int(number[:10])


def _draft(members: dict[str, Any], before: PolicyDraft | None = None) -> PolicyDraft:
    """Read what the author decides; members left out stay as they are in ``before``."""
    unknown = set(members) - _READ_ONLY - _DECIDED
    if unknown:
        raise InvalidJsonError(f"The member {min(unknown)!r} is not one of a policy.")
    missing = {"name", "platforms", "technologies", "templateReference", "settings"} - set(members)
    if before is None and missing:
        raise InvalidJsonError(f"The member {min(missing)!r} is missing.")
    drafted: dict[str, Any] = {} if before is None else {name: getattr(before, name) for name in _DRAFTED.values()}
    for name, field in _DRAFTED.items():
        if name in members:
            drafted[field] = _READERS[name](members[name])
    return PolicyDraft(**drafted)


def _name(value: Any) -> str:
    name = convert(value, str).strip()
    if not 1 <= len(name) <= 200:
        raise InvalidRequestError("A policy's name has 1 to 200 characters.")
    return name


def _text(value: Any) -> str:
    text = "" if value is None else convert(value, str)
    if len(text) > 1000:
        raise InvalidRequestError("A description has at most 1000 characters.")
    return text


def _flags(value: Any) -> str:
    return ",".join(sorted(word.strip() for word in convert(value, str).split(",")))


def _template(value: Any) -> TemplateId:
    if not isinstance(value, dict) or not isinstance(value.get("templateId"), str):
        raise InvalidJsonError("templateReference.templateId: expected a string.")
    known = {"templateId", "templateFamily", "templateDisplayName", "templateDisplayVersion"}
    unknown = {name for name in value if not is_annotation(name)} - known
    if unknown:
        raise InvalidJsonError(f"templateReference: unknown member {min(unknown)!r}.")
    return TemplateId(value["templateId"])


def _scope_tags(value: Any) -> tuple[str, ...]:
    return convert(value, tuple[str, ...]) or ("0",)


_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "name": _name,
    "description": _text,
    "platforms": _flags,
    "technologies": _flags,
    "templateReference": _template,
    "roleScopeTagIds": _scope_tags,
    "settings": read_settings,
}
_DRAFTED: Final = {
    "name": "name",
    "description": "description",
    "platforms": "platforms",
    "technologies": "technologies",
    "templateReference": "template_id",
    "roleScopeTagIds": "role_scope_tag_ids",
    "settings": "settings",
}
_DECIDED: Final = frozenset(_DRAFTED)


def _assignments(members: dict[str, Any]) -> list[Assigned]:
    if set(members) != {"assignments"} or not isinstance(members["assignments"], list):
        raise InvalidJsonError('Expected {"assignments": [...]} and nothing else.')
    return [_assigned(item, f"assignments[{index}]") for index, item in enumerate(members["assignments"])]


def _assigned(item: Any, place: str) -> Assigned:
    target = item.get("target") if isinstance(item, dict) else None
    if not isinstance(target, dict):
        raise InvalidJsonError(f"{place}.target: expected an object.")
    kind = _KINDS.get(str(target.get("@odata.type")))
    if kind is None:
        raise InvalidRequestError(
            f"{place}.target: {str(target.get('@odata.type'))[:128]!r} cannot be targeted on this channel.",
            remedy="Assign to groups of devices or to all devices; user targets do nothing here.",
        )
    if target.get("deviceAndAppManagementAssignmentFilterId") is not None:
        raise InvalidRequestError(f"{place}.target: assignment filters are not there yet.")
    return Assigned(kind=kind, group_id=_group(target, kind, place))


def _group(target: dict[str, Any], kind: AssignmentKind, place: str) -> GroupId | None:
    group = target.get("groupId")
    if kind is AssignmentKind.ALL_DEVICES:
        return None
    if not isinstance(group, str):
        raise InvalidJsonError(f"{place}.target.groupId: expected a string.")
    return parse_group_id(group)


def _resource(services: AdminServices, connection: Connection, policy: Policy, expand: frozenset[str]) -> Json:
    assigned = assignments.assignments_of(connection, policy.tenant_id, policy.id)
    resource = policy_resource(policy, services.catalog.template(policy.template_id), is_assigned=bool(assigned))
    if "settings" in expand:
        resource["settings"] = settings_resource(policy)
    if "assignments" in expand:
        resource["assignments"] = assignments_resource(assigned)
    return resource
