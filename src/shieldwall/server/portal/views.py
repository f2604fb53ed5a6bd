"""What the pages show, made from what the domains say: frozen rows, nothing decided here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import GroupId, PolicyId, SettingId
from shieldwall.contract.settings import PolicyDocument
from shieldwall.contract.status import SettingState
from shieldwall.policy.flatten import flatten
from shieldwall.policy.resolve import Decided, explain
from shieldwall.policy.words import in_words, name_of
from shieldwall.server.manager.statuses import EffectiveSetting, PolicyCounts
from shieldwall.server.manager.summaries import DeviceSummary
from shieldwall.server.portal.words import plain, yes_no
from shieldwall.server.storage.records import Assignment, AssignmentKind, Device, DeviceState, Group, Policy

SHOWN_STATES: tuple[SettingState, ...] = (
    SettingState.SUCCEEDED,
    SettingState.PENDING,
    SettingState.CONFLICT,
    SettingState.ERROR,
    SettingState.NOT_APPLICABLE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRow:
    """One policy in a list, with how many devices stand where."""

    policy: Policy
    profile: str
    is_assigned: bool
    counts: Mapping[SettingState, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRow:
    """One device in a list."""

    device: Device
    managed_by: str
    state: SettingState
    last_check_in: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingRow:
    """One setting of a policy: its name and value in words."""

    setting: SettingId
    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveRow:
    """One setting of a device: what shall be, what is, who set it and why."""

    setting: SettingId
    name: str
    value: str
    state: SettingState
    code: str
    reason: str
    written: str
    read_back: str
    effective: str
    provider: str
    policies: tuple[tuple[PolicyId, str], ...]
    explanation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRow:
    """One group in a list."""

    group: Group
    member_count: int


def counts_of(counts: PolicyCounts) -> dict[SettingState, int]:
    """Put the counts of a policy into the order in which they are shown."""
    return {state: counts.devices.get(state, 0) for state in SHOWN_STATES}


def managed_by(device: Device) -> str:
    """Say who manages a device."""
    if device.state is not DeviceState.ACTIVE:
        return str(device.state)
    return device.managed_elsewhere or "MDE"


def device_row(device: Device, standing: DeviceSummary) -> DeviceRow:
    """Show a device in a list."""
    return DeviceRow(
        device=device,
        managed_by=managed_by(device),
        state=standing.state,
        last_check_in=standing.check_in.last_check_in,
    )


def setting_rows(catalog: Catalog, document: PolicyDocument) -> list[SettingRow]:
    """Show the settings of a policy."""
    return [
        SettingRow(setting=setting, name=name_of(catalog, setting), value=in_words(catalog, setting, value))
        for setting, value in flatten(catalog, document).items()
    ]


def effective_row(catalog: Catalog, effective: EffectiveSetting) -> EffectiveRow:
    """Show what is in effect for one setting of a device."""
    resolution, reported = effective.resolution, effective.reported
    names = {contender.policy: contender.policy_name for contender in resolution.contenders}
    decided = resolution if isinstance(resolution, Decided) else None
    involved = decided.winners if decided else tuple(names)
    return EffectiveRow(
        setting=effective.setting,
        name=name_of(catalog, effective.setting),
        value=in_words(catalog, effective.setting, decided.value) if decided else "",
        state=effective.state,
        code=(reported.code or "") if reported else "",
        reason=(reported.reason or "") if reported else "",
        written=yes_no(reported.written) if reported else "",
        read_back=_read_back(catalog, effective),
        effective=yes_no(reported.effective) if reported else "",
        provider=(reported.provider or "") if reported else "",
        policies=tuple((policy, names[policy]) for policy in involved),
        explanation=explain(catalog, resolution),
    )


def targets_in_words(assignments: Iterable[Assignment], names: Mapping[GroupId, str]) -> list[str]:
    """Say whom a policy is assigned to."""
    return [_target(each, names) for each in assignments]


def _target(assignment: Assignment, names: Mapping[GroupId, str]) -> str:
    if assignment.group_id is None:
        return "all devices"
    name = names.get(assignment.group_id, assignment.group_id)
    return f"not {name}" if assignment.kind is AssignmentKind.EXCLUDE else name


def _read_back(catalog: Catalog, effective: EffectiveSetting) -> str:
    reported = effective.reported
    if reported is None or reported.read_back is None:
        return ""
    if reported.read_back == reported.value:
        return "same"  # what was found is what was wanted; the value stands beside it already
    value = reported.read_back
    return in_words(catalog, effective.setting, value) if isinstance(value, str | int) else plain(value)
