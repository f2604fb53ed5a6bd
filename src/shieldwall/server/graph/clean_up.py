"""``/deviceManagement/managedDeviceCleanupRules``: when silent devices retire, and how long what is left is kept.

Graph has a rule per platform. Here there is one rule of a tenant for all of them, under the tenant's own id; what Graph
has no member for stands under ``shieldwall``.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

import msgspec
from litestar import Response, get, patch, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler

from shieldwall.contract.strict_json import convert
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, allow, needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.graph.describing import changes, does, lists, shows
from shieldwall.server.graph.fields.security import CLEAN_UP_RULE_FIELDS
from shieldwall.server.graph.requests import (
    GraphRequest,
    Services,
    answer,
    list_answer,
    members_of,
    query_of,
)
from shieldwall.server.graph.resources import Json
from shieldwall.server.graph.schemas.protection import CLEAN_UP, CLEAN_UP_RULE
from shieldwall.server.inventory import cleaning
from shieldwall.server.inventory.cleaning import CleanUp, CleanUpRules, HistoryDays, RetiredDays
from shieldwall.server.storage.errors import NotFoundError

PATH: Final = "/deviceManagement/managedDeviceCleanupRules"
_READ: Final = allow("DeviceManagementManagedDevices.Read.All", "DeviceManagementManagedDevices.ReadWrite.All")
_WRITE: Final = allow("DeviceManagementManagedDevices.ReadWrite.All")
_OFF: Final = 0
_Silence: TypeAlias = Annotated[
    int,
    msgspec.Meta(
        ge=_OFF,
        le=cleaning.LONGEST_SILENCE,
        extra_json_schema={"anyOf": [{"const": _OFF}, {"minimum": cleaning.SHORTEST_SILENCE}]},
    ),
]
"""Days, or none at all; ``CleanUpRules`` refuses what lies between."""


class OursRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The members of a rule that are ours."""

    remove_retired_after_days: RetiredDays | msgspec.UnsetType = msgspec.UNSET
    history_days: HistoryDays | msgspec.UnsetType = msgspec.UNSET
    auto_replace: bool | msgspec.UnsetType = msgspec.UNSET


class RuleRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What changes of a rule; 0 days of inactivity turn it off."""

    device_inactivity_before_retirement_in_days: _Silence | msgspec.UnsetType | None = msgspec.UNSET
    shieldwall: OursRequest = OursRequest()
    id: str | None = None
    display_name: str | None = None
    description: str | None = None
    device_cleanup_rule_platform_type: str | None = None
    last_modified_date_time: str | None = None


@get(PATH, opt=_READ | needs(ResourceAction.READ_DEVICES, Reach.OPEN) | lists(CLEAN_UP_RULE), sync_to_thread=True)
def list_clean_up_rules(services: Services, request: GraphRequest) -> Response[bytes]:
    """List the rules of cleaning up: there is one, for all platforms."""
    with services.database.read() as connection:
        rules = cleaning.get_rules(connection, services.tenant.id)
    return list_answer(
        services, request, query_of(request), [rule_resource(services.tenant.id, rules)], CLEAN_UP_RULE_FIELDS
    )


@get(
    PATH + "/{rule_id:str}",
    opt=_READ | needs(ResourceAction.READ_DEVICES, Reach.OPEN) | shows(CLEAN_UP_RULE),
    sync_to_thread=True,
)
def get_clean_up_rule(services: Services, request: GraphRequest, rule_id: FromPath[str]) -> Response[bytes]:
    """Return the rule of cleaning up; its id is the tenant's."""
    query = query_of(request)
    _require(services, rule_id)
    with services.database.read() as connection:
        rules = cleaning.get_rules(connection, services.tenant.id)
    return answer(query.shape(rule_resource(services.tenant.id, rules)))


@patch(
    PATH + "/{rule_id:str}",
    opt=_WRITE | needs(ResourceAction.DELETE_DEVICES) | changes(CLEAN_UP_RULE, takes=RuleRequest),
    sync_to_thread=True,
)
def update_clean_up_rule(
    services: Services, request: GraphRequest, rule_id: FromPath[str], body: RawBody
) -> Response[bytes]:
    """Change the members given; the next hourly round follows them. 0 days of inactivity retire nobody."""
    _require(services, rule_id)
    members = members_of(request, body)
    with services.database.write() as connection:
        rules = _changed(cleaning.get_rules(connection, services.tenant.id), members)
        cleaning.put_rules(connection, acting_for(services, request), rules)
    return answer(rule_resource(services.tenant.id, rules))


@post(
    PATH + "/preview",
    opt=_WRITE | needs(ResourceAction.DELETE_DEVICES) | does(CLEAN_UP, takes=RuleRequest),
    sync_to_thread=True,
    status_code=200,
)
def preview_clean_up(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Say how many devices and rows a rule would clean up now; nothing is changed (ours)."""
    members = members_of(request, body)
    with services.database.read() as connection:
        rules = _changed(cleaning.get_rules(connection, services.tenant.id), members)
        effect = cleaning.preview(connection, services.tenant.id, rules, services.clock.now())
    return answer(effect_resource(effect))


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    list_clean_up_rules,
    get_clean_up_rule,
    update_clean_up_rule,
    preview_clean_up,
)


def rule_resource(tenant_id: str, rules: CleanUpRules) -> Json:
    """Shape the rules as Graph's one rule for all platforms."""
    return {
        "id": tenant_id,
        "displayName": "Clean-up",
        "description": "",
        "deviceCleanupRulePlatformType": "all",
        "deviceInactivityBeforeRetirementInDays": rules.retire_inactive_after_days or _OFF,
        "shieldwall": {
            "removeRetiredAfterDays": rules.remove_retired_after_days,
            "historyDays": rules.history_days,
            "autoReplace": rules.auto_replace,
        },
    }


def effect_resource(effect: CleanUp) -> Json:
    """Shape what is cleaned up."""
    return {
        "devicesReplaced": effect.replaced,
        "devicesRetired": effect.retired,
        "devicesRemoved": effect.removed,
        "rowsRemoved": dict(effect.rows),
    }


def _changed(rules: CleanUpRules, members: dict[str, Any]) -> CleanUpRules:
    asked = convert(members, RuleRequest)
    days, ours = asked.device_inactivity_before_retirement_in_days, asked.shieldwall
    changed = msgspec.to_builtins(rules) | msgspec.to_builtins(ours)
    if days is not msgspec.UNSET:
        changed["retireInactiveAfterDays"] = days or None
    return convert(changed, CleanUpRules)


def _require(services: AdminServices, rule_id: str) -> None:
    if rule_id.lower() != services.tenant.id:
        raise NotFoundError(f"There is no clean-up rule {rule_id[:64]!r}.")
