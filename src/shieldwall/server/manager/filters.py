"""Assignment filters: rules by which the assignment of a policy is narrowed to some of the devices it names."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import AssignmentFilterId, TenantId
from shieldwall.server.access.actions import ResourceAction
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.filter_rules import PLATFORMS, read_filter_rule
from shieldwall.server.directory.holding import require_scope, require_tag_change, tags_for_new
from shieldwall.server.directory.names import is_name, is_text
from shieldwall.server.manager.reach import Reach
from shieldwall.server.storage.check_ins import targets
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.policies import filters
from shieldwall.server.storage.policies.aims import ChangeKind
from shieldwall.server.storage.records import AssignmentFilter, Page

_DEFAULT_SCOPE: Final = ("0",)
_MOST_SCOPE_TAGS: Final = 64
_LONGEST_SCOPE_TAG: Final = 64
_MOST_DESCRIPTION: Final = 1_024


class InvalidFilterError(ShieldwallError):
    """An assignment filter cannot be like that; ``member`` names the part that is wrong."""

    code = "invalidFilter"
    remedy = "Correct the part named and send the filter again."

    def __init__(self, cause: str, *, member: str) -> None:
        super().__init__(cause)
        self.member = member


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterDraft:
    """A filter as an administrator wants it.

    Raises:
        InvalidFilterError: A part is too long, missing or holds what it may not.
        InvalidRuleError: The rule cannot be read, or asks for what is not known of devices.
    """

    display_name: str
    description: str = ""
    platform: str
    rule: str
    role_scope_tag_ids: tuple[str, ...] = _DEFAULT_SCOPE

    def __post_init__(self) -> None:
        """Refuse to exist when wrong."""
        if not is_name(self.display_name):
            raise InvalidFilterError("A filter's name has 1 to 256 plain characters.", member="displayName")
        if not is_text(self.description, _MOST_DESCRIPTION):
            cause = f"A filter's description has at most {_MOST_DESCRIPTION} plain characters."
            raise InvalidFilterError(cause, member="description")
        if self.platform not in PLATFORMS:
            cause = f"{self.platform[:64]!r} is not one of the platforms {', '.join(sorted(PLATFORMS))}."
            raise InvalidFilterError(cause, member="platform")
        if not is_text(self.rule, len(self.rule)):
            raise InvalidFilterError("A filter's rule is plain text.", member="rule")
        tags = self.role_scope_tag_ids
        if len(tags) > _MOST_SCOPE_TAGS or not all(is_name(tag, _LONGEST_SCOPE_TAG) for tag in tags):
            raise InvalidFilterError(
                f"At most {_MOST_SCOPE_TAGS} ids of scope tags are possible.", member="roleScopeTags"
            )
        read_filter_rule(self.rule)


def list_filters(connection: Connection, tenant_id: TenantId, page: Page) -> tuple[AssignmentFilter, ...]:
    """Return one page of a tenant's filters, ordered by id."""
    return filters.list_filters(connection, tenant_id, page)


def get_filter(connection: Connection, tenant_id: TenantId, filter_id: AssignmentFilterId) -> AssignmentFilter:
    """Return a filter of this tenant. Raises: NotFoundError."""
    found = filters.find(connection, filter_id)
    if found is None or found.tenant_id != tenant_id:  # the same answer, so that nobody learns of others' filters
        raise NotFoundError(f"There is no assignment filter {filter_id}.")
    return found


def create_filter(connection: Connection, acting: Acting, draft: FilterDraft) -> AssignmentFilter:
    """Make a filter; it narrows nothing until an assignment names it.

    Raises:
        ScopeTagRefusedError: A scope tag is not its author's.
        UnknownScopeTagError: There is no such scope tag.
    """
    now = acting.clock.now()
    tags = tags_for_new(connection, acting, ResourceAction.CREATE_FILTERS, draft.role_scope_tag_ids)
    made = AssignmentFilter(
        id=AssignmentFilterId(acting.new_id()),
        tenant_id=acting.tenant_id,
        display_name=draft.display_name,
        description=draft.description,
        platform=draft.platform,
        rule=draft.rule,
        role_scope_tag_ids=tags,
        created_at=now,
        modified_at=now,
    )
    filters.add(connection, made)
    _record(connection, acting, "filter.created", made)
    return made


def update_filter(
    connection: Connection, acting: Acting, filter_id: AssignmentFilterId, draft: FilterDraft
) -> AssignmentFilter:
    """Change a filter, and retarget the devices of every policy that it narrows.

    Raises:
        NotFoundError: There is no such filter.
        OutOfScopeError: It lies beyond the scope of who changes it.
        ScopeTagRefusedError: A scope tag that changes is not theirs.
        UnknownScopeTagError: There is no such scope tag.
    """
    targets.lock(connection)
    before = get_filter(connection, acting.tenant_id, filter_id)
    require_scope(acting, ResourceAction.UPDATE_FILTERS, before.role_scope_tag_ids, f"the filter {before.display_name}")
    if draft == draft_of_filter(before):
        return before
    require_tag_change(
        connection, acting, ResourceAction.UPDATE_FILTERS, before.role_scope_tag_ids, draft.role_scope_tag_ids
    )
    after = replace(
        before,
        display_name=draft.display_name,
        description=draft.description,
        platform=draft.platform,
        rule=draft.rule,
        role_scope_tag_ids=draft.role_scope_tag_ids,
        modified_at=acting.clock.now(),
    )
    filters.put(connection, after)
    _record(connection, acting, "filter.changed", after)
    if (after.platform, after.rule) != (before.platform, before.rule):
        reach = Reach(connection, acting)
        reach.filter(filter_id)
        reach.aim(ChangeKind.FILTER, filter_id)
    return after


def delete_filter(connection: Connection, acting: Acting, filter_id: AssignmentFilterId) -> None:
    """Remove a filter.

    Raises:
        NotFoundError: There is no such filter.
        OutOfScopeError: It lies beyond the scope of who deletes it.
        StillReferencedError: An assignment is narrowed by it; it would reach more devices, or fewer, unasked.
    """
    targets.lock(connection)  # nobody names it in the meantime
    removed = get_filter(connection, acting.tenant_id, filter_id)
    require_scope(
        acting, ResourceAction.DELETE_FILTERS, removed.role_scope_tag_ids, f"the filter {removed.display_name}"
    )
    filters.remove(connection, filter_id)
    _record(connection, acting, "filter.deleted", removed)


def draft_of_filter(kept: AssignmentFilter) -> FilterDraft:
    """Return what an administrator decided about a filter, to be changed and saved."""
    return FilterDraft(
        display_name=kept.display_name,
        description=kept.description,
        platform=kept.platform,
        rule=kept.rule,
        role_scope_tag_ids=kept.role_scope_tag_ids,
    )


def _record(connection: Connection, acting: Acting, activity: str, kept: AssignmentFilter) -> None:
    acting.record(connection, activity, "assignmentFilter", kept.id, name=kept.display_name, rule=kept.rule)
