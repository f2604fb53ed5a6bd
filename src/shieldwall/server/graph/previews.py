"""``…/preview`` (ours): what a change would do to the devices, before it is made. Nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from litestar import Response, post
from litestar.params import FromPath, RawBody
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import DeviceId, PolicyId, parse_assignment_filter_id, parse_group_id, parse_policy_id
from shieldwall.contract.strict_json import convert
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.access.authorization import needs
from shieldwall.server.admin.acting_callers import acting_for
from shieldwall.server.admin.authoring import server_of
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory import groups
from shieldwall.server.directory.assigned_members import DynamicGroupError
from shieldwall.server.directory.group_rules import checked_rule
from shieldwall.server.graph import assignment_filters, conflict_rules
from shieldwall.server.graph.change_set_bodies import read_change_set
from shieldwall.server.graph.conflict_rules import read_conflict_rules
from shieldwall.server.graph.describing import REASON, does
from shieldwall.server.graph.policy_access import ONE, PATH, WRITE, reason_of
from shieldwall.server.graph.policy_bodies import read_assigned, read_draft
from shieldwall.server.graph.preview_shapes import preview_resource
from shieldwall.server.graph.references import member_named
from shieldwall.server.graph.requests import GraphRequest, Services, answer, body_of, members_of
from shieldwall.server.graph.schemas.previews import (
    CONFLICT_RULES_SENT,
    GROUP_PREVIEW,
    NEW_POLICY_PREVIEW,
    POLICY_PREVIEW,
    PREVIEW,
)
from shieldwall.server.graph.schemas.revisions import CHANGE_SET
from shieldwall.server.manager import filters, preview
from shieldwall.server.manager.change_plans import Change, ChangeSet, Create, Delete, Update
from shieldwall.server.manager.drafts import PolicyDraft
from shieldwall.server.manager.preview import GroupProposal, Proposal
from shieldwall.server.storage.errors import StillReferencedError
from shieldwall.server.storage.policies import assignments


class GroupPreviewRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What somebody thinks of doing to a group: another rule, other members, or to delete it."""

    membership_rule: str | None = None
    add_members: tuple[str, ...] = ()
    remove_members: tuple[str, ...] = ()
    delete: bool = False


class FilterPreviewRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rule that a filter would have."""

    rule: str


@post(
    PATH + "/preview",
    opt=WRITE | needs(ResourceAction.CREATE_POLICIES) | does(PREVIEW, takes=NEW_POLICY_PREVIEW),
    sync_to_thread=True,
    status_code=200,
)
def preview_new_policy(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Say what a policy would do with these assignments, and create nothing (ours)."""
    members = members_of(request, body)
    assigned = read_assigned(members.get("assignments", []), "assignments")
    change = Create(draft=read_draft(members), assigned=assigned)
    return _answer(services, request, lambda _: Proposal(change_set=ChangeSet(changes=(change,))))


@post(
    PATH + "/changeSet/preview",
    opt=WRITE
    | needs(ResourceAction.UPDATE_POLICIES)
    | does(PREVIEW, takes=CHANGE_SET, asks=[REASON], fails=[404, 412]),
    sync_to_thread=True,
    status_code=200,
)
def preview_change_set(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Say what several changes would do together, and make none of them (ours)."""
    change_set = read_change_set(members_of(request, body), reason_of(request))
    return _answer(services, request, lambda _: Proposal(change_set=change_set))


@post(
    ONE + "/preview",
    opt=WRITE | needs(ResourceAction.UPDATE_POLICIES) | does(PREVIEW, takes=POLICY_PREVIEW),
    sync_to_thread=True,
    status_code=200,
)
def preview_policy(
    services: Services, request: GraphRequest, policy_id: FromPath[str], body: RawBody
) -> Response[bytes]:
    """Say what a change of a policy or its assignments, or ``{"delete": true}``, would do (ours)."""
    change = _change(members_of(request, body), parse_policy_id(policy_id))
    change_set = ChangeSet(changes=(change,), expected_deletes=int(isinstance(change, Delete)))
    return _answer(services, request, lambda _: Proposal(change_set=change_set))


@post(
    "/groups/{group_id:str}/preview",
    opt=WRITE | needs(ResourceAction.UPDATE_GROUPS) | does(PREVIEW, takes=GROUP_PREVIEW, fails=[409]),
    sync_to_thread=True,
    status_code=200,
)
def preview_group(services: Services, request: GraphRequest, group_id: FromPath[str], body: RawBody) -> Response[bytes]:
    """Say what another rule or other members of a group, or ``{"delete": true}``, would do (ours)."""
    asked, wanted = body_of(request, body, GroupPreviewRequest), parse_group_id(group_id)
    if sum((asked.membership_rule is not None, asked.delete, bool(asked.add_members or asked.remove_members))) != 1:
        raise InvalidJsonError("Expected one of membershipRule, delete, or addMembers and removeMembers.")

    def proposal(connection: Connection) -> Proposal:
        group = groups.get_group(connection, services.tenant.id, wanted)
        if asked.delete:
            if assignments.of_group(connection, wanted):
                raise StillReferencedError(f"A policy is assigned to the group {wanted}.")
            return Proposal()
        if group.is_dynamic and asked.membership_rule is None:
            raise DynamicGroupError(f"The members of {group.display_name} are decided by its rule.")
        if asked.membership_rule is not None:
            checked_rule(connection, services.tenant.id, wanted, asked.membership_rule)
        proposed = GroupProposal(
            group_id=wanted,
            rule=asked.membership_rule,
            add=_devices(services, connection, asked.add_members),
            remove=_devices(services, connection, asked.remove_members),
        )
        return Proposal(groups=(proposed,))

    return _answer(services, request, proposal)


@post(
    assignment_filters.ONE + "/preview",
    opt=WRITE | needs(ResourceAction.UPDATE_FILTERS) | does(PREVIEW, takes=FilterPreviewRequest),
    sync_to_thread=True,
    status_code=200,
)
def preview_filter(
    services: Services, request: GraphRequest, filter_id: FromPath[str], body: RawBody
) -> Response[bytes]:
    """Say what another rule of an assignment filter would do (ours)."""
    asked, wanted = body_of(request, body, FilterPreviewRequest), parse_assignment_filter_id(filter_id)

    def proposal(connection: Connection) -> Proposal:
        filters.get_filter(connection, services.tenant.id, wanted)
        return Proposal(filter_rules={wanted: asked.rule})

    return _answer(services, request, proposal)


@post(
    conflict_rules.PATH + "/preview",
    opt=WRITE | needs(ResourceAction.UPDATE_POLICIES) | does(PREVIEW, takes=CONFLICT_RULES_SENT),
    sync_to_thread=True,
    status_code=200,
)
def preview_conflict_rules(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Say what other conflict rules would do (ours)."""
    rules = read_conflict_rules(members_of(request, body))
    return _answer(services, request, lambda _: Proposal(conflict_rules=rules))


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    preview_new_policy,
    preview_change_set,
    preview_policy,
    preview_group,
    preview_filter,
    preview_conflict_rules,
)


def _answer(
    services: AdminServices, request: GraphRequest, proposal: Callable[[Connection], Proposal]
) -> Response[bytes]:
    with services.database.read() as connection:
        found = preview.preview(
            connection,
            services.catalog,
            acting_for(services, request),
            proposal(connection),
            server=server_of(services),
        )
    return answer(preview_resource(services.catalog, found))


def _change(members: Mapping[str, Any], policy_id: PolicyId) -> Change:
    if "delete" in members:
        if len(members) > 1 or not convert(members["delete"], bool):
            raise InvalidJsonError('Expected {"delete": true} and nothing else.')
        return Delete(policy_id=policy_id)
    assigned = read_assigned(members["assignments"], "assignments") if "assignments" in members else None

    def edit(before: PolicyDraft) -> PolicyDraft:
        return read_draft(members, before)

    says_more = any(name != "assignments" for name in members)
    return Update(policy=policy_id, draft=edit if says_more else None, assigned=assigned)


def _devices(services: AdminServices, connection: Connection, named: tuple[str, ...]) -> tuple[DeviceId, ...]:
    return tuple(member_named(services, connection, each) for each in named)
