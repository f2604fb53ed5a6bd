"""What the pages show, made from what the domains say: frozen rows, nothing decided here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import GroupId, PolicyId, SettingId
from shieldwall.contract.settings import PolicyDocument
from shieldwall.contract.status import SEVERITY, ItemStatus, SettingState, SettingStatus
from shieldwall.policy.flatten import flatten
from shieldwall.policy.resolve import Conflict, Contender, Decided, Resolution
from shieldwall.policy.values import Item, SettingValue
from shieldwall.policy.words import category_of, lines_of, name_of
from shieldwall.server.inventory.machines import Machine
from shieldwall.server.manager.statuses import UNSEEN, EffectiveSetting
from shieldwall.server.manager.summaries import DeviceSummary
from shieldwall.server.portal.words import CONFLICTS, RULES, STATES, managed_by, plain, yes_no
from shieldwall.server.storage.device_records import Device
from shieldwall.server.storage.records import (
    Assignment,
    AssignmentKind,
    AuditEvent,
    Group,
    MembershipEvent,
    OnboardingPackageRecord,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRow:
    """One device in a list."""

    device: Device
    managed_by: str
    state: SettingState
    health: str
    exposure: int
    last_check_in: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingRow:
    """One setting of a policy: its name and value in words, a line per item."""

    setting: SettingId
    name: str
    category: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What one policy wants for a setting; without ``policy`` where it is not seen."""

    policy: PolicyId | None
    name: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What the device says it did and found. ``effective_reason`` says why it is not, or not known to be, in effect."""

    provider: str
    written: str
    read_back: tuple[str, ...]
    is_same: bool
    effective: str
    effective_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveRow:
    """One setting of a device: what shall be, what is, who set it, and what lost."""

    setting: SettingId
    name: str
    category: str
    lines: tuple[str, ...]
    state: SettingState
    code: str
    reason: str
    items: tuple[ItemStatus, ...]
    proof: Proof | None
    winners: tuple[Wish, ...]
    losers: tuple[Wish, ...]
    is_conflict: bool
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRow:
    """One group in a list."""

    group: Group
    member_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageRow:
    """One onboarding package in a list."""

    package: OnboardingPackageRecord
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRow:
    """Something that happened to a device."""

    at: datetime
    what: str
    actor: str


def counts_of(counts: Mapping[SettingState, int]) -> dict[SettingState, int]:
    """Put counts into the order in which they are shown."""
    return {state: counts.get(state, 0) for state in STATES}


def machine_row(machine: Machine, standing: DeviceSummary) -> DeviceRow:
    """Show a device in a list."""
    return DeviceRow(
        device=machine.device,
        managed_by=managed_by(machine.device),
        state=standing.state,
        health=machine.health.value,
        exposure=machine.standing.repaired + machine.standing.drifted,
        last_check_in=standing.check_in.last_check_in,
    )


def history_rows(
    events: Iterable[AuditEvent], moves: Iterable[MembershipEvent], groups: Mapping[GroupId, str]
) -> list[HistoryRow]:
    """Show what happened to a device, newest first."""
    acts = [HistoryRow(at=each.at, what=each.activity, actor=each.actor) for each in events]
    joined = [
        HistoryRow(
            at=each.at,
            what=f"{'joined' if each.joined else 'left'} {groups.get(each.group_id, 'a deleted group')}",
            actor=each.actor,
        )
        for each in moves
    ]
    return sorted([*acts, *joined], key=lambda row: row.at, reverse=True)


def setting_rows(catalog: Catalog, document: PolicyDocument) -> list[SettingRow]:
    """Show the settings of a policy."""
    return [
        SettingRow(
            setting=setting,
            name=name_of(catalog, setting),
            category=category_of(catalog, setting),
            lines=lines_of(catalog, setting, value),
        )
        for setting, value in flatten(catalog, document).items()
    ]


def effective_rows(catalog: Catalog, settings: Iterable[EffectiveSetting]) -> list[EffectiveRow]:
    """Show what is in effect on a device, what needs attention first."""
    rows = [effective_row(catalog, each) for each in settings]
    return sorted(rows, key=lambda row: (-SEVERITY.index(row.state), row.category, row.name, row.setting))


def effective_row(catalog: Catalog, effective: EffectiveSetting) -> EffectiveRow:
    """Show what is in effect for one setting of a device."""
    resolution, reported = effective.resolution, effective.reported
    decided = resolution if isinstance(resolution, Decided) else None
    winners, losers = _wishes(catalog, resolution)
    return EffectiveRow(
        setting=effective.setting,
        name=name_of(catalog, effective.setting),
        category=category_of(catalog, effective.setting),
        lines=lines_of(catalog, effective.setting, decided.value) if decided else (),
        state=effective.state,
        code=_code(reported),
        reason=_reason(reported),
        items=reported.items if reported else (),
        proof=_proof(catalog, effective),
        winners=winners,
        losers=losers,
        is_conflict=isinstance(resolution, Conflict),
        rule=(RULES if decided else CONFLICTS)[resolution.rule],
    )


def package_state(package: OnboardingPackageRecord, now: datetime) -> str:
    """Say whether devices can still onboard with a package, and if not, why."""
    if package.revoked_at is not None:
        return "revoked"
    if now >= package.not_after:
        return "expired"
    if now < package.not_before:
        return "not valid yet"
    return "used up" if package.uses >= package.max_uses else "usable"


def targets_in_words(assignments: Iterable[Assignment], names: Mapping[GroupId, str]) -> list[str]:
    """Say whom a policy is assigned to."""
    return [_target(each, names) for each in assignments]


def _target(assignment: Assignment, names: Mapping[GroupId, str]) -> str:
    if assignment.group_id is None:
        return "all devices"
    name = names.get(assignment.group_id, assignment.group_id)
    return f"not {name}" if assignment.kind is AssignmentKind.EXCLUDE else name


def _wishes(catalog: Catalog, resolution: Resolution) -> tuple[tuple[Wish, ...], tuple[Wish, ...]]:
    """Tell the policies that won from those that did not; in a conflict nobody won."""
    won = set(resolution.winners) if isinstance(resolution, Decided) else set()
    wishes = {each: _wish(catalog, resolution.setting, each) for each in resolution.contenders}
    return (
        tuple(wish for contender, wish in wishes.items() if contender.policy in won),
        tuple(wish for contender, wish in wishes.items() if contender.policy not in won),
    )


def _wish(catalog: Catalog, setting: SettingId, contender: Contender) -> Wish:
    policy = None if contender.policy_name == UNSEEN else contender.policy
    return Wish(policy=policy, name=contender.policy_name, lines=lines_of(catalog, setting, contender.value))


def _code(reported: SettingStatus | None) -> str:
    # A code that only repeats the state says nothing, and one about the effect belongs to the proof.
    if reported is None or reported.code == reported.state or _tells_of_effect(reported):
        return ""
    return reported.code or ""


def _reason(reported: SettingStatus | None) -> str:
    # The page says itself which values are in conflict, and beside the proof why an effect is not known.
    if reported is None or reported.state is SettingState.CONFLICT or _tells_of_effect(reported):
        return ""
    return reported.reason or ""


def _tells_of_effect(reported: SettingStatus) -> bool:
    return reported.state is SettingState.SUCCEEDED and reported.effective is None and reported.code != "repaired"


def _proof(catalog: Catalog, effective: EffectiveSetting) -> Proof | None:
    """Show what the device reported; nothing where it has not, or where nothing of it can carry out the setting."""
    reported = effective.reported
    if reported is None or reported.state in {SettingState.NOT_APPLICABLE, SettingState.CONFLICT}:
        return None
    why = (reported.reason or "") if _tells_of_effect(reported) else ""
    return Proof(
        provider=reported.provider or "",
        written=yes_no(reported.written),
        read_back=_read_back(catalog, effective.setting, reported.read_back),
        is_same=reported.read_back is not None and reported.read_back == reported.value,
        effective=yes_no(reported.effective),
        effective_reason=why or "the device did not say why",
    )


def _read_back(catalog: Catalog, setting: SettingId, value: Any) -> tuple[str, ...]:
    """Write what a device found: like a value of ours if it has that shape, else as it came."""
    if value is None:
        return ()
    read = _value(value)
    return (plain(value),) if read is None else lines_of(catalog, setting, read)


def _value(value: Any) -> SettingValue | None:
    match value:
        case bool() | float():
            return None
        case str() | int():
            return value
        case list():
            parts = [_value(part) for part in value]
            known = tuple(part for part in parts if part is not None)
            return known if len(known) == len(parts) else None
        case dict():
            members = {SettingId(name): _value(part) for name, part in value.items()}
            known_members = tuple((name, part) for name, part in sorted(members.items()) if part is not None)
            return Item(known_members) if len(known_members) == len(members) else None
        case _:
            return None
