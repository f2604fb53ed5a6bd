"""What reports about policies are made of: the states of alike devices, and counts over all policies of a tenant."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import PolicyId, SettingId, TenantId
from shieldwall.contract.status import SettingState
from shieldwall.policy.applicability import Traits, traits_of
from shieldwall.policy.prepared import prepare
from shieldwall.server.manager.policies import document_of
from shieldwall.server.manager.states import said
from shieldwall.server.manager.statuses import PolicyCounts, PolicyView
from shieldwall.server.storage import revisions, standings, statuses, targets
from shieldwall.server.storage.report_rows import Alike


@dataclass(frozen=True, slots=True)
class StateOfAlike:
    """The state of a policy on devices that are alike, and how many these are."""

    state: SettingState
    devices: int


def states_of_policy(
    connection: Connection, catalog: Catalog, tenant_id: TenantId, policy_id: PolicyId
) -> Mapping[Alike, StateOfAlike]:
    """Return the state of a policy on devices that are alike, for each such set. Raises: NotFoundError."""
    view = PolicyView(connection, catalog, tenant_id, policy_id)
    counted = standings.count_by_report(connection, tenant_id, view.items)
    reports = statuses.find_many(connection, tenant_id, {each.status for each in counted if each.status is not None})
    return {
        Alike(each.target, each.status, each.os_type, each.catalog_version): StateOfAlike(
            said(reports.get(each.status) if each.status is not None else None, each.target).policy(
                view.items[each.target], view.applying(each)
            ),
            each.devices,
        )
        for each in counted
    }


def counts_of_policies(
    connection: Connection, catalog: Catalog, tenant_id: TenantId
) -> Mapping[PolicyId, PolicyCounts]:
    """Count the devices of every policy by state, as a whole and setting by setting, in one pass."""
    in_use = targets.get_many(connection, tenant_id, standings.targets_in_use(connection, tenant_id))
    counted = standings.count_by_report(connection, tenant_id, in_use)
    reports = statuses.find_many(connection, tenant_id, {each.status for each in counted if each.status is not None})
    digests = {item.digest for target in in_use.values() for item in target.items}
    prepared = {
        digest: prepare(catalog, document_of(revision))
        for digest, revision in revisions.find_many(connection, sorted(digests)).items()
    }
    devices: defaultdict[PolicyId, Counter[SettingState]] = defaultdict(Counter)
    settings: defaultdict[PolicyId, defaultdict[SettingId, Counter[SettingState]]] = defaultdict(
        lambda: defaultdict(Counter)
    )
    applying: dict[tuple[str, Traits], frozenset[SettingId]] = {}
    for each in counted:
        words = said(reports.get(each.status) if each.status is not None else None, each.target)
        traits = traits_of(each.os_type, each.catalog_version)
        for item in in_use[each.target].items:
            policy = prepared.get(item.digest)
            if policy is None:
                continue
            if (item.digest, traits) not in applying:
                applying[item.digest, traits] = frozenset(
                    setting for setting in policy.contenders if policy.reason_against(setting, traits) is None
                )
            mine = applying[item.digest, traits]
            devices[item.policy_id][words.policy(item, mine)] += each.devices
            for setting in policy.contenders:
                state = words.state(setting) if setting in mine else SettingState.NOT_APPLICABLE
                settings[item.policy_id][setting][state] += each.devices
    return {policy: PolicyCounts(devices=counts, settings=settings[policy]) for policy, counts in devices.items()}


def total(counts: Mapping[SettingState, int], states: Iterable[SettingState]) -> int:
    """Add up some states."""
    return sum(counts.get(state, 0) for state in states)
