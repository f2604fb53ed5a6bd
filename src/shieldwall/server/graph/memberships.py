"""Who belongs where and why: rules tried on devices, groups of a device, and the history of both."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId, parse_group_id
from shieldwall.contract.strict_json import encode
from shieldwall.policy.rule_predicates import Value
from shieldwall.policy.rule_verdicts import Verdict
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, allow, needs
from shieldwall.server.admin.gates import require_named
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.admin.sight import Sight, showing, sight_of
from shieldwall.server.directory import groups
from shieldwall.server.directory.assigned_members import RetiredDeviceError
from shieldwall.server.directory.devices import get_device
from shieldwall.server.directory.group_rules import checked_rule, evaluate
from shieldwall.server.graph.describing import does, lists
from shieldwall.server.graph.errors import InvalidRequestError
from shieldwall.server.graph.fields.directory import GROUP_FIELDS, MEMBERSHIP_EVENT_FIELDS
from shieldwall.server.graph.groups import READ
from shieldwall.server.graph.references import member_named
from shieldwall.server.graph.requests import GraphRequest, Services, answer, body_of, list_answer, page_answer, query_of
from shieldwall.server.graph.resources import Json, group_resource, moment
from shieldwall.server.graph.schemas.groups import EVALUATION, GROUP, MEMBERSHIP_EVENT
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.fleets import fleets
from shieldwall.server.storage.groups import groups as group_store
from shieldwall.server.storage.records import MembershipEvent

_READ_DEVICES: Final = allow("Device.Read.All", "Device.ReadWrite.All")
_RESULT: Final = "microsoft.graph.evaluateDynamicMembershipResult"


class EvaluationRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Which device is asked about, and by which rule."""

    member_id: str
    membership_rule: str | None = None


@post(
    "/groups/evaluateDynamicMembership",
    opt=_READ_DEVICES
    | needs(ResourceAction.READ_DIRECTORY, Reach.NAMED)
    | does(EVALUATION, takes=EvaluationRequest, fails=[404]),
    sync_to_thread=True,
    status_code=200,
)
def evaluate_rule(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Say whether a device would belong to a group with a rule, and what every part of the rule says of it."""
    asked = body_of(request, body, EvaluationRequest)
    if asked.membership_rule is None:
        raise InvalidRequestError("membershipRule is missing: without a group there is no other rule.")
    with services.database.read() as connection:
        require_named(connection, request, "member_id", [asked.member_id])
        return _evaluated(services, connection, request, asked.member_id, asked.membership_rule)


@post(
    "/groups/{group_id:str}/evaluateDynamicMembership",
    opt=READ | needs(ResourceAction.READ_GROUPS, Reach.OBJECT) | does(EVALUATION, takes=EvaluationRequest),
    sync_to_thread=True,
    status_code=200,
)
def evaluate_group(
    services: Services, request: GraphRequest, group_id: FromPath[str], body: RawBody
) -> Response[bytes]:
    """Say whether a device belongs to a dynamic group by its rule, or would by another, part by part."""
    asked = body_of(request, body, EvaluationRequest)
    with services.database.read() as connection:
        group = groups.get_group(connection, services.tenant.id, parse_group_id(group_id))
        rule = asked.membership_rule or group.membership_rule
        if rule is None:
            raise InvalidRequestError(f"{group.display_name} has no membership rule.")
        require_named(connection, request, "member_id", [asked.member_id])
        is_kept = rule == group.membership_rule
        return _evaluated(services, connection, request, asked.member_id, rule, is_kept=is_kept)


@get(
    "/groups/{group_id:str}/membershipHistory",
    opt=READ | needs(ResourceAction.READ_GROUPS, Reach.LISTED) | showing(Sight.moved_devices) | lists(MEMBERSHIP_EVENT),
    sync_to_thread=True,
)
def history_of_group(services: Services, request: GraphRequest, group_id: FromPath[str]) -> Response[bytes]:
    """List who joined and left a group, when and why, newest first (ours)."""
    query = query_of(request)
    with services.database.read() as connection:
        found = groups.history_of_group(
            connection, services.tenant.id, parse_group_id(group_id), query.page_of(MEMBERSHIP_EVENT_FIELDS)
        )
        rows = _history(connection, found)
    return page_answer(services, request, query, rows, MEMBERSHIP_EVENT_FIELDS)


@get(
    "/devices/{device_id:str}/membershipHistory",
    opt=_READ_DEVICES
    | needs(ResourceAction.READ_DIRECTORY, Reach.LISTED)
    | showing(Sight.moved_groups)
    | lists(MEMBERSHIP_EVENT),
    sync_to_thread=True,
)
def history_of_device(services: Services, request: GraphRequest, device_id: FromPath[str]) -> Response[bytes]:
    """List the groups a device joined and left, when and why, newest first (ours)."""
    query = query_of(request)
    with services.database.read() as connection:
        device = member_named(services, connection, device_id)
        page = query.page_of(MEMBERSHIP_EVENT_FIELDS)
        rows = _history(connection, groups.history_of_device(connection, services.tenant.id, device, page))
    return page_answer(services, request, query, rows, MEMBERSHIP_EVENT_FIELDS)


def list_groups_of_device(services: Services, request: GraphRequest, device_id: FromPath[str]) -> Response[bytes]:
    """List the groups a device belongs to; groups do not belong to groups."""
    query = query_of(request)
    with services.database.read() as connection:
        device = member_named(services, connection, device_id)
        found = groups.groups_of(connection, services.tenant.id, device)
        seen = sight_of(request).groups_among(connection, [group.id for group in found])
    found = tuple(group for group in found if group.id in seen)
    kind = {"@odata.type": "#microsoft.graph.group"}
    return list_answer(services, request, query, [kind | group_resource(group) for group in found], GROUP_FIELDS)


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    evaluate_rule,
    evaluate_group,
    history_of_group,
    history_of_device,
    *(
        get(
            f"/devices/{{device_id:str}}/{groups_of}",
            opt=_READ_DEVICES | needs(ResourceAction.READ_DIRECTORY, Reach.LISTED) | lists(GROUP),
            sync_to_thread=True,
        )(list_groups_of_device)
        for groups_of in ("memberOf", "memberOf/group", "transitiveMemberOf", "transitiveMemberOf/group")
    ),
)


def _evaluated(
    services: AdminServices,
    connection: Connection,
    request: GraphRequest,
    member: str,
    text: str,
    *,
    is_kept: bool = False,
) -> Response[bytes]:
    """Try a rule, which names no group that the caller does not see: unless it is kept by a group that they do."""
    sees = partial(sight_of(request).groups_among, connection)
    device_id: DeviceId = member_named(services, connection, member)
    device = get_device(connection, services.tenant.id, device_id)
    if device.state is DeviceState.RETIRED:
        raise RetiredDeviceError(f"{device.display_name} was retired and belongs to no group.")
    rule = checked_rule(connection, services.tenant.id, None, text, None if is_kept else sees)
    verdict = evaluate(connection, services.tenant.id, device_id, rule, sees)
    return answer(
        {
            "@odata.context": f"{services.settings.public_url}/beta/$metadata#{_RESULT}",
            "membershipRule": text,
            "membershipRuleEvaluationResult": verdict.holds,
            "membershipRuleEvaluationDetails": _details(verdict),
        }
    )


def _details(verdict: Verdict) -> Json:
    asked = {"propertyName": verdict.name, "propertyValue": _shown(verdict.found)}
    return {
        "expression": verdict.text,
        "expressionResult": verdict.holds,
        "expressionEvaluationDetails": [_details(part) for part in verdict.parts],
        "propertyToEvaluate": None if verdict.name is None else asked,
    }


def _shown(value: Value) -> str | None:
    """Write what was found as the text that Graph has for it: flags as words, collections as JSON."""
    match value:
        case None | str():
            return value
        case bool():
            return "true" if value else "false"
        case _:
            return encode(value).decode()


def _history(connection: Connection, events: Sequence[MembershipEvent]) -> list[tuple[str, Json]]:
    device_names = fleets.names(connection, {event.device_id for event in events})
    group_names = group_store.names(connection, {event.group_id for event in events})
    return [
        (
            event.id,
            {
                "id": event.id,
                "activityDateTime": moment(event.at),
                "activity": "joined" if event.joined else "left",
                "cause": event.cause,
                "initiatedBy": event.actor,
                "groupId": event.group_id,
                "groupDisplayName": group_names.get(event.group_id),
                "deviceId": event.device_id,
                "deviceDisplayName": device_names.get(event.device_id),
            },
        )
        for event in events
    ]
