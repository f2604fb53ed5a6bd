"""``/deviceManagement/reusablePolicySettings``: settings that several policies refer to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from litestar import Response, delete, get, patch, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import ReusableSettingId, parse_reusable_setting_id
from shieldwall.contract.strict_json import convert
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.authoring import reusing, signed_between
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import sight_of
from shieldwall.server.graph.describing import ETAG, IF_MATCH, REASON, changes, creates, lists, removes, shows
from shieldwall.server.graph.errors import InvalidRequestError
from shieldwall.server.graph.fields.policies import REUSABLE_FIELDS, policy_fields
from shieldwall.server.graph.policy_access import READ, WRITE, reason_of, resource_of
from shieldwall.server.graph.preconditions import require_match, shown, state_of
from shieldwall.server.graph.requests import (
    GraphRequest,
    Services,
    answer,
    empty,
    list_answer,
    members_of,
    page_answer,
    query_of,
)
from shieldwall.server.graph.resources import Json, moment
from shieldwall.server.graph.schemas.filters import NEW_REUSABLE, REUSABLE, REUSABLE_CHANGES
from shieldwall.server.graph.schemas.policies import POLICY
from shieldwall.server.graph.setting_reading import read_instance
from shieldwall.server.graph.setting_writing import write_instance
from shieldwall.server.manager import reusable_settings
from shieldwall.server.manager.reusable_settings import ReusableDraft, draft_of_setting
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.records import ReusableSetting

_PATH: Final = "/deviceManagement/reusablePolicySettings"
_ONE: Final = _PATH + "/{setting_id:str}"
_AUTHORED: Final = frozenset({"displayName", "description", "settingDefinitionId", "settingInstance"})
_READ_ONLY: Final = frozenset(
    {
        "id",
        "createdDateTime",
        "lastModifiedDateTime",
        "version",
        "referencingConfigurationPolicyCount",
        "settingDefinition",
    }
)


@get(_PATH, opt=READ | needs(ResourceAction.READ_POLICIES, Reach.OPEN) | lists(REUSABLE), sync_to_thread=True)
def list_reusable_settings(services: Services, request: GraphRequest) -> Response[bytes]:
    """List the reusable settings, in pages."""
    query = query_of(request)
    with services.database.read() as connection:
        found = reusable_settings.list_settings(connection, services.tenant.id, query.page_of(REUSABLE_FIELDS))
        counts = reusable_settings.reference_counts(connection, [each.id for each in found])
    rows = [(each.id, _resource(each, counts[each.id])) for each in found]
    return page_answer(services, request, query, rows, REUSABLE_FIELDS)


@post(
    _PATH,
    opt=WRITE | needs(ResourceAction.CREATE_POLICIES) | creates(REUSABLE, takes=NEW_REUSABLE, asks=[REASON]),
    sync_to_thread=True,
)
def create_reusable_setting(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Create a reusable setting."""
    draft = _draft(members_of(request, body), None)
    with services.database.write() as connection:
        acting = acting_for(services, request)
        made = reusing(services).create(connection, acting, draft, reason=reason_of(request))
    return answer(_resource(made, 0), status=201)


@get(
    _ONE,
    opt=READ | needs(ResourceAction.READ_POLICIES, Reach.OPEN) | shows(REUSABLE, headers=ETAG),
    sync_to_thread=True,
)
def get_reusable_setting(services: Services, request: GraphRequest, setting_id: FromPath[str]) -> Response[bytes]:
    """Return one reusable setting."""
    query, wanted = query_of(request), parse_reusable_setting_id(setting_id)
    with services.database.read() as connection:
        found = reusable_settings.get_setting(connection, services.tenant.id, wanted)
        resource = _counted(connection, found)
    return shown(request, query.shape(resource, REUSABLE_FIELDS), _state(resource))


@patch(
    _ONE,
    opt=WRITE
    | needs(ResourceAction.UPDATE_POLICIES)
    | changes(REUSABLE, takes=REUSABLE_CHANGES, headers=ETAG, asks=[IF_MATCH, REASON]),
    sync_to_thread=True,
)
@signed_between
def patch_reusable_setting(
    services: Services, request: GraphRequest, setting_id: FromPath[str], body: RawBody
) -> Response[bytes]:
    """Change the members given; every policy that refers to it is published anew."""
    members, wanted = members_of(request, body), parse_reusable_setting_id(setting_id)
    with services.database.write() as connection:
        before = _matching(services, request, connection, wanted)
        draft = _draft(members, draft_of_setting(before))
        acting = acting_for(services, request)
        changed = reusing(services).update(connection, acting, wanted, draft, reason=reason_of(request))
        resource = _counted(connection, changed)
    return answer(resource, etag=_state(resource))


@delete(
    _ONE,
    opt=WRITE | needs(ResourceAction.DELETE_POLICIES) | removes(asks=[IF_MATCH, REASON], fails=[409]),
    sync_to_thread=True,
)
def delete_reusable_setting(services: Services, request: GraphRequest, setting_id: FromPath[str]) -> Response[None]:
    """Delete a reusable setting that no policy refers to."""
    wanted = parse_reusable_setting_id(setting_id)
    with services.database.write() as connection:
        acting = acting_for(services, request)
        _matching(services, request, connection, wanted)
        reusing(services).delete(connection, acting, wanted, reason=reason_of(request))
    return empty()


@get(
    _ONE + "/referencingConfigurationPolicies",
    opt=READ | needs(ResourceAction.READ_POLICIES, Reach.LISTED) | lists(POLICY),
    sync_to_thread=True,
)
def list_referring_policies(services: Services, request: GraphRequest, setting_id: FromPath[str]) -> Response[bytes]:
    """List the policies that refer to a reusable setting."""
    query, wanted = query_of(request), parse_reusable_setting_id(setting_id)
    with services.database.read() as connection:
        found = reusable_settings.referring_policies(connection, services.tenant.id, wanted)
        sight = sight_of(request)
        found = tuple(each for each in found if sight.sees(ResourceAction.READ_POLICIES, each.role_scope_tag_ids))
        resources = [resource_of(services, connection, policy, frozenset()) for policy in found]
    return list_answer(services, request, query, resources, policy_fields(services.catalog))


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    list_reusable_settings,
    create_reusable_setting,
    get_reusable_setting,
    patch_reusable_setting,
    delete_reusable_setting,
    list_referring_policies,
)


def _draft(members: Mapping[str, Any], before: ReusableDraft | None) -> ReusableDraft:
    unknown = set(members) - _AUTHORED - _READ_ONLY
    if unknown:
        raise InvalidJsonError(f"The member {min(unknown)[:128]!r} is not one of a reusable setting.")
    if "settingInstance" in members:
        instance = read_instance(members["settingInstance"], "settingInstance")
    elif before is not None:
        instance = before.setting_instance
    else:
        raise InvalidJsonError("The member 'settingInstance' is missing.")
    if members.get("settingDefinitionId", instance.definition) != instance.definition:
        raise InvalidRequestError("settingDefinitionId: the setting instance is of another definition.")
    return ReusableDraft(
        display_name=_text(members, "displayName", before.display_name if before else None),
        description=_text(members, "description", before.description if before else ""),
        setting_instance=instance,
    )


def _text(members: Mapping[str, Any], name: str, otherwise: str | None) -> str:
    value = members.get(name)
    if value is None:
        value = otherwise
    if value is None:
        raise InvalidJsonError(f"The member {name!r} is missing.")
    try:
        return convert(value, str)
    except InvalidJsonError as error:
        raise InvalidJsonError(f"{name}: {error.cause}") from None


def _matching(
    services: AdminServices, request: GraphRequest, connection: Connection, setting_id: ReusableSettingId
) -> ReusableSetting:
    """Return the setting to be changed, as If-Match names it. Raises: NotFoundError, and as ``require_match``."""
    targets.lock(connection)
    found = reusable_settings.get_setting(connection, services.tenant.id, setting_id)
    require_match(services, request, _state(_resource(found, 0)))
    return found


def _state(resource: Json) -> str:
    """Name the state of a setting; how many policies refer to it is no part of that."""
    return state_of(resource, but=("referencingConfigurationPolicyCount",))


def _counted(connection: Connection, kept: ReusableSetting) -> Json:
    return _resource(kept, reusable_settings.reference_counts(connection, [kept.id])[kept.id])


def _resource(kept: ReusableSetting, references: int) -> Json:
    return {
        "id": kept.id,
        "displayName": kept.display_name,
        "description": kept.description,
        "settingDefinitionId": kept.setting_definition_id,
        "settingInstance": write_instance(kept.setting_instance),
        "version": kept.version,
        "createdDateTime": moment(kept.created_at),
        "lastModifiedDateTime": moment(kept.modified_at),
        "referencingConfigurationPolicyCount": references,
    }
