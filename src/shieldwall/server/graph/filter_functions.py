"""What may be asked about assignment filters: what a rule can speak of, whether one can be read, whom it names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import TenantId, parse_assignment_filter_id
from shieldwall.contract.strict_json import convert, encode
from shieldwall.policy.device_sets import places
from shieldwall.policy.membership import MEMBER_OF, InvalidRuleError, MembershipRule
from shieldwall.policy.rule_tree import KINDS, Kind, Operator
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import Reach, needs
from shieldwall.server.admin.sight import sight_of
from shieldwall.server.directory.attributes import described_fleet
from shieldwall.server.directory.filter_rules import PLATFORMS, read_filter_rule, rule_for
from shieldwall.server.graph.assignment_filters import ONE, PATH
from shieldwall.server.graph.describing import answers, does
from shieldwall.server.graph.policy_access import READ, WRITE
from shieldwall.server.graph.reports.asking import ReportRequest, asked_in, check
from shieldwall.server.graph.reports.columns import text
from shieldwall.server.graph.reports.sources import InMemory
from shieldwall.server.graph.reports.tables import table
from shieldwall.server.graph.requests import GraphRequest, Services, answer, members_of
from shieldwall.server.graph.resources import Json
from shieldwall.server.graph.schemas.reports import (
    EVALUATION,
    FILTER_PAYLOADS,
    FILTER_PROPERTIES,
    FILTER_VERDICT,
    FILTERS_STATE,
    OCTETS,
    RULE_SENT,
    TABLE_ANSWER,
)
from shieldwall.server.manager import filters
from shieldwall.server.manager.filters import InvalidFilterError
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.fleets import fleets
from shieldwall.server.storage.fleets.fleets import Whose
from shieldwall.server.storage.policies import assignments

_EVALUATE: Final = "/deviceManagement/evaluateAssignmentFilter"
_PLATFORM: Final = "platform="
_COLUMNS: Final = {
    "DeviceId": "id",
    "DeviceName": "display_name",
    "OS": "os_type",
    "OSVersion": "os_version",
    "Manufacturer": "manufacturer",
    "Model": "model",
}
"""Columns of an evaluation, and those of the table of devices that each is."""
_OPERATORS: Final = {
    Operator.EQUAL: "equals",
    Operator.NOT_EQUAL: "notEquals",
    Operator.STARTS_WITH: "startsWith",
    Operator.NOT_STARTS_WITH: "notStartsWith",
    Operator.ENDS_WITH: "endsWith",
    Operator.NOT_ENDS_WITH: "notEndsWith",
    Operator.CONTAINS: "contains",
    Operator.NOT_CONTAINS: "notContains",
    Operator.IN: "in",
    Operator.NOT_IN: "notIn",
}
"""Operators of ours that have a published name; ``-match`` has none."""
_PAYLOAD_TYPE: Final = "deviceManagmentConfigurationAndCompliancePolicy"
"""As it is published, misspelt."""


class _Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A filter that need not be there: the members that decide, and others that say nothing here."""

    platform: str
    rule: Annotated[str, msgspec.Meta(max_length=3_072)]
    display_name: str | None = None
    description: str | None = None
    role_scope_tags: tuple[str, ...] | None = None
    assignment_filter_management_type: str | None = None


class _Evaluation(ReportRequest, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A rule, and which part of the devices it names is wanted."""

    platform: str
    rule: Annotated[str, msgspec.Meta(max_length=3_072)]


@get(
    PATH + "/getState",
    opt=READ | needs(ResourceAction.READ_FILTERS, Reach.OPEN) | does(FILTERS_STATE),
    sync_to_thread=False,
)
def get_filters_state() -> Response[bytes]:
    """Say that assignment filters are in use: they always are."""
    return answer({"enabled": True})


@get(
    PATH + "/getPlatformSupportedProperties/{platform:str}",
    opt=READ | needs(ResourceAction.READ_FILTERS, Reach.OPEN) | does(FILTER_PROPERTIES),
    sync_to_thread=False,
)
def list_platform_properties(platform: FromPath[str]) -> Response[bytes]:
    """List what a rule for a platform can speak of, and by which operators."""
    name = platform.removeprefix(_PLATFORM)
    if name not in PLATFORMS:
        raise NotFoundError(f"There are filters for {', '.join(sorted(PLATFORMS))}.")
    return answer({"value": _properties()})


@get(
    ONE + "/getSupportedProperties",
    opt=READ | needs(ResourceAction.READ_FILTERS, Reach.OBJECT) | does(FILTER_PROPERTIES),
    sync_to_thread=True,
)
def list_filter_properties(services: Services, filter_id: FromPath[str]) -> Response[bytes]:
    """List what the rule of a filter can speak of, and by which operators."""
    with services.database.read() as connection:
        filters.get_filter(connection, services.tenant.id, parse_assignment_filter_id(filter_id))
    return answer({"value": _properties()})


@get(
    ONE + "/payloads",
    opt=READ | needs(ResourceAction.READ_FILTERS, Reach.OBJECT) | does(FILTER_PAYLOADS),
    sync_to_thread=True,
)
def list_filter_payloads(services: Services, request: GraphRequest, filter_id: FromPath[str]) -> Response[bytes]:
    """List the policies whose assignments a filter narrows, each with the group that it is narrowed for.

    Those alone that the caller sees.
    """
    with services.database.read() as connection:
        kept = filters.get_filter(connection, services.tenant.id, parse_assignment_filter_id(filter_id))
        found = assignments.of_filter(connection, kept.id)
        seen = sight_of(request).policies_among(connection, {each.policy_id for each in found})
    return answer(
        {
            "value": [
                {
                    "payloadId": each.policy_id,
                    "payloadType": _PAYLOAD_TYPE,
                    "groupId": each.group_id,
                    "assignmentFilterType": each.filter_kind.value,
                }
                for each in found
                if each.policy_id in seen
            ]
        }
    )


@post(
    PATH + "/validateFilter",
    opt=WRITE | needs(ResourceAction.READ_FILTERS, Reach.OPEN) | does(FILTER_VERDICT, takes=RULE_SENT),
    sync_to_thread=False,
    status_code=200,
)
def validate_filter(request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Say whether a rule can be read."""
    asked = convert(_only(members_of(request, body), "deviceAndAppManagementAssignmentFilter"), _Rule)
    try:
        _read(asked.platform, asked.rule)
    except (InvalidRuleError, InvalidFilterError):
        return answer({"isValidRule": False})
    return answer({"isValidRule": True})


@post(
    _EVALUATE,
    opt=WRITE | needs(ResourceAction.READ_DEVICES) | answers(TABLE_ANSWER, takes=EVALUATION),
    sync_to_thread=True,
    status_code=200,
)
def evaluate_filter(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Say which managed devices a rule names, as a table."""
    evaluation = convert(_only(members_of(request, body), "data"), _Evaluation)
    rule, asked = _read(evaluation.platform, evaluation.rule), asked_in(evaluation)
    columns = text(*_COLUMNS)
    checked = check(asked, columns)
    with services.database.read() as connection:
        rows = _named(connection, services.tenant.id, rule)
    total, part = InMemory(columns=columns, rows=rows).read(asked, checked)
    return Response(encode(table(part, total, asked, checked)), media_type=OCTETS)


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    get_filters_state,
    list_platform_properties,
    list_filter_properties,
    list_filter_payloads,
    validate_filter,
    evaluate_filter,
)


def _named(connection: Connection, tenant_id: TenantId, rule: MembershipRule) -> list[Json]:
    fleet = described_fleet(connection, tenant_id, [rule], Whose.MANAGED)
    wanted = [fleet.ids[place] for place in places(fleet.columns.matching(rule))]
    others = [column for column in _COLUMNS.values() if column != "id"]
    ids, read = fleets.columns(connection, tenant_id, others, Whose.MANAGED, among=wanted)
    return [dict(zip(_COLUMNS, row, strict=True)) for row in zip(ids, *read, strict=True)]


def _read(platform: str, rule: str) -> MembershipRule:
    """Read a rule with what its platform asks for. Raises: InvalidRuleError, InvalidFilterError."""
    if platform not in PLATFORMS:
        raise InvalidFilterError(f"There are filters for {', '.join(sorted(PLATFORMS))}.", member="platform")
    return rule_for(platform, read_filter_rule(rule))


def _properties() -> list[Json]:
    return [
        {
            "name": name,
            "dataType": "Boolean" if kind is Kind.FLAG else "String",
            "isCollection": kind is Kind.COLLECTION,
            "propertyRegexConstraint": None,
            "supportedOperators": _operators(kind),
            "supportedValues": [],
        }
        for name, kind in KINDS.items()
        if name != MEMBER_OF
    ]


def _operators(kind: Kind) -> list[str]:
    if kind is Kind.FLAG:
        return [_OPERATORS[Operator.EQUAL], _OPERATORS[Operator.NOT_EQUAL]]
    return list(_OPERATORS.values())


def _only(members: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = members.get(name)
    if set(members) != {name} or not isinstance(value, dict):
        raise InvalidJsonError(f'Expected {{"{name}": {{…}}}} and nothing else.')
    return {key: member for key, member in value.items() if "@odata." not in key}
