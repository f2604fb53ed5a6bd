"""What a change would do, before it is made: nothing here writes, signs or locks.

A proposal is laid over what the database holds, and ``policy.compare`` compares both. Only policies that share a
setting with one that changes are looked at. Drafts are checked as if they were saved: what cannot be saved has no
preview.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection

from shieldwall.catalog.model import Catalog
from shieldwall.catalog.validate import ServerEndpoints
from shieldwall.contract.conflicts import ConflictRules
from shieldwall.contract.ids import (
    AssignmentFilterId,
    DeviceId,
    GroupId,
    PolicyId,
    ReusableSettingId,
    SettingId,
    TenantId,
)
from shieldwall.contract.settings import SettingInstance
from shieldwall.policy.compare import Comparison, compare
from shieldwall.policy.device_sets import DeviceSet, places
from shieldwall.policy.fleet import Situation, Standing
from shieldwall.policy.membership import parse_rule
from shieldwall.policy.prepared import PreparedPolicy, prepare
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.membership import groups_asking_for
from shieldwall.server.manager.assignments import assignment, check_assignments
from shieldwall.server.manager.change_plans import ChangeSet, Planned, at, plan
from shieldwall.server.manager.drafts import draft_of
from shieldwall.server.manager.fleet_view import FleetView, Reaching
from shieldwall.server.manager.lasting import irreversible, restarting
from shieldwall.server.manager.publishing import body_of, document, published
from shieldwall.server.manager.revisions import document_of
from shieldwall.server.storage.fleets import fleets
from shieldwall.server.storage.policies import assignments, revisions
from shieldwall.server.storage.records import Assignment, Policy, ProcessingState
from shieldwall.server.storage.tenants import tenants

MOST_EXAMPLES: Final = 5
"""Devices named for each finding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupProposal:
    """A group as it would be: decided by another rule, or with other members."""

    group_id: GroupId
    rule: str | None = None
    add: tuple[DeviceId, ...] = ()
    remove: tuple[DeviceId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What somebody thinks of changing."""

    change_set: ChangeSet | None = None
    groups: tuple[GroupProposal, ...] = ()
    filter_rules: Mapping[AssignmentFilterId, str] = field(default_factory=dict)
    conflict_rules: ConflictRules | None = None
    reusable: Mapping[ReusableSettingId, SettingInstance] = field(default_factory=dict)
    """Reusable settings as they would be; the change set names the policies that refer to them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What it would do. A device is its place in ``ids``; those given as examples are in ``device_names``."""

    comparison: Comparison
    ids: tuple[DeviceId, ...]
    device_names: Mapping[DeviceId, str]
    policy_names: Mapping[PolicyId, str]
    restart: Mapping[SettingId, DeviceSet]
    """Settings that change and may take effect only after a restart of these devices."""
    irreversible: Mapping[SettingId, DeviceSet]
    """Settings that come out as something that these devices do not take back before their next restart."""
    seen: DeviceSet
    """The devices that it speaks of: all, or those that somebody sees."""
    made: frozenset[PolicyId]
    """Policies that are named and do not exist yet."""

    def examples(self, devices: DeviceSet) -> tuple[str, ...]:
        """Name the first few devices of a finding."""
        return tuple(self.device_names.get(self.ids[place], "") for place in places(devices, MOST_EXAMPLES))


def preview(
    connection: Connection,
    catalog: Catalog,
    acting: Acting,
    proposal: Proposal,
    *,
    server: ServerEndpoints | None = None,
) -> Preview:
    """Say what a proposal would do.

    Raises:
        ShieldwallError: As making the change would raise it.
    """
    at_once = acting.at_once()
    previewing = _Previewing(
        connection=connection, catalog=catalog, acting=at_once, server=server, reusable=proposal.reusable
    )
    return previewing.preview(proposal)


@dataclass(slots=True, kw_only=True)
class _Policy:
    """A policy before or after: what it says, and to whom."""

    prepared: PreparedPolicy
    assignments: tuple[Assignment, ...]


@dataclass(slots=True, kw_only=True)
class _Previewing:
    connection: Connection
    catalog: Catalog
    acting: Acting
    server: ServerEndpoints | None
    reusable: Mapping[ReusableSettingId, SettingInstance]

    def preview(self, proposal: Proposal) -> Preview:
        tenant = self.acting.tenant_id
        rules = tenants.conflict_rules(self.connection, tenant)
        wanted_rules = rules if proposal.conflict_rules is None else proposal.conflict_rules
        before = self._present()
        planned = () if proposal.change_set is None else plan(self.connection, tenant, proposal.change_set).policies
        after = self._proposed(before, planned)
        view = FleetView(self.connection, tenant)
        groups = {each.group_id: _group(view, each) for each in proposal.groups}
        groups |= _following(self.connection, tenant, view, groups)
        moved = groups.keys() | proposal.filter_rules.keys()
        everything = before.keys() | after.keys()
        changed = _changed(before, after, frozenset(moved)) if rules == wanted_rules else everything
        former, later = Reaching(view), Reaching(view, groups, proposal.filter_rules)
        comparison = compare(
            self.catalog,
            view.fleet,
            Situation(policies=_standing(before, after, changed, former), rules=rules),
            Situation(policies=_standing(after, before, changed, later), rules=wanted_rules),
        )
        return Preview(
            comparison=comparison,
            ids=view.ids,
            device_names=fleets.names(self.connection, examples_of(view.ids, comparison)),
            policy_names={
                policy: each.prepared.name for policies in (before, after) for policy, each in policies.items()
            },
            restart=restarting(self.catalog, comparison.changes),
            irreversible=irreversible(self.catalog, comparison.changes),
            seen=view.everybody,
            made=frozenset(after) - before.keys() - {each.before.id for each in planned if each.before is not None},
        )

    def _present(self) -> dict[PolicyId, _Policy]:
        """Read every policy that is assigned to anybody."""
        items = assignments.items_of_tenant(self.connection, self.acting.tenant_id)
        found = revisions.find_many(self.connection, {each.item.digest for each in items})
        named: defaultdict[PolicyId, list[Assignment]] = defaultdict(list)
        for each in items:
            named[each.assignment.policy_id].append(each.assignment)
        documents = [document_of(revision) for revision in found.values()]
        return {
            read.policy_id: _Policy(prepared=prepare(self.catalog, read), assignments=tuple(named[read.policy_id]))
            for read in documents
        }

    def _proposed(self, before: Mapping[PolicyId, _Policy], planned: Iterable[Planned]) -> dict[PolicyId, _Policy]:
        after = dict(before)
        for each in planned:
            policy_id = PolicyId(self.acting.new_id()) if each.before is None else each.before.id
            if each.is_deleted:
                after.pop(policy_id, None)
                continue
            named = before[policy_id].assignments if policy_id in before else ()
            if each.assigned is not None:
                with at(each.assigned_by):
                    check_assignments(self.connection, self.acting, policy_id, each.assigned)
                named = tuple(assignment(policy_id, wanted) for wanted in each.assigned)
            prepared = self._prepared(each, policy_id, before.get(policy_id))
            if named:
                after[policy_id] = _Policy(prepared=prepared, assignments=named)
            else:
                after.pop(policy_id, None)
        return after

    def _prepared(self, planned: Planned, policy_id: PolicyId, present: _Policy | None) -> PreparedPolicy:
        """Prepare what devices would get; what they would not notice stays the revision they have."""
        if planned.before is not None and not planned.is_edited:  # saved once, and looked at by nobody again
            return present.prepared if present else self._sent(planned.before)
        with at(planned.drafted_by):
            found = published(
                self.connection,
                self.catalog,
                self.acting.tenant_id,
                planned.draft,
                server=self.server,
                reusable=self.reusable,
            )
        revision = 1
        if planned.before is not None:
            sent = document_of(revisions.get(self.connection, policy_id, planned.before.revision))
            same = planned.draft.enforced() == draft_of(planned.before).enforced() and found.settings == sent.settings
            if same:
                return present.prepared if present else prepare(self.catalog, sent)
            revision = planned.before.revision + 1
        wanted = document(
            self.catalog,
            planned.draft,
            found.settings,
            tenant_id=self.acting.tenant_id,
            policy_id=policy_id,
            revision=revision,
            now=self.acting.clock.now(),
        )
        with at(planned.drafted_by):
            body_of(wanted)
        return prepare(self.catalog, wanted)

    def _sent(self, policy: Policy) -> PreparedPolicy:
        return prepare(self.catalog, document_of(revisions.get(self.connection, policy.id, policy.revision)))


def _group(view: FleetView, proposed: GroupProposal) -> DeviceSet:
    if proposed.rule is not None:
        return view.matching(parse_rule(proposed.rule))
    return (view.of_group(proposed.group_id) | view.of_ids(proposed.add)) & ~view.of_ids(proposed.remove)


def _following(
    connection: Connection, tenant_id: TenantId, view: FleetView, groups: Mapping[GroupId, DeviceSet]
) -> dict[GroupId, DeviceSet]:
    """Return the groups whose rules ask for the members of those that would change, as they would be."""
    asking = {
        each.id: each.membership_rule
        for group in groups
        for each in groups_asking_for(connection, tenant_id, group)
        if each.processing_state is ProcessingState.ON
    }
    return {group: view.matching(parse_rule(rule), groups) for group, rule in asking.items() if rule is not None}


def _changed(
    before: Mapping[PolicyId, _Policy],
    after: Mapping[PolicyId, _Policy],
    moved: frozenset[GroupId | AssignmentFilterId],
) -> frozenset[PolicyId]:
    """Return the policies that say something else, or may reach others than before."""
    return frozenset(
        policy
        for policy in before.keys() | after.keys()
        if before.get(policy) != after.get(policy)
        or any(each.group_id in moved or each.filter_id in moved for each in after[policy].assignments)
    )


def _standing(
    policies: Mapping[PolicyId, _Policy],
    others: Mapping[PolicyId, _Policy],
    changed: AbstractSet[PolicyId],
    reaching: Reaching,
) -> dict[PolicyId, Standing]:
    """Find whom the policies reach that change, or share a setting with one that does."""
    settings = {
        setting
        for policy in changed
        for situation in (policies, others)
        if policy in situation
        for setting in situation[policy].prepared.contenders
    }
    return {
        policy: Standing(policy=each.prepared, devices=reaching.devices(each.prepared.template_id, each.assignments))
        for policy, each in policies.items()
        if policy in changed or not settings.isdisjoint(each.prepared.contenders)
    }


def examples_of(ids: Sequence[DeviceId], comparison: Comparison) -> frozenset[DeviceId]:
    """Return the first few devices of every finding, which is told with their names."""
    sets = (
        finding.devices
        for findings in (
            comparison.changes,
            comparison.conflicts_made,
            comparison.conflicts_solved,
            comparison.lapses,
        )
        for finding in findings
    )
    return frozenset(ids[place] for devices in sets for place in places(devices, MOST_EXAMPLES))
