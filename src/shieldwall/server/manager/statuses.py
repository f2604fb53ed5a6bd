"""What is in effect: on one device, setting by setting, and of one policy, over all its devices.

Devices with the same target that sent the same report are in the same state, so states are computed once per distinct
pair and counted, never once per device.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from msgspec.structs import replace
from sqlalchemy import ColumnElement, Connection

from shieldwall.catalog.model import Catalog
from shieldwall.contract.conflicts import PUBLISHED
from shieldwall.contract.ids import DeviceId, Digest, PolicyId, SettingId, TenantId
from shieldwall.contract.messages import ManifestItem
from shieldwall.contract.settings import PolicyDocument
from shieldwall.contract.status import RefusedPolicy, SettingState, SettingStatus, StatusReport
from shieldwall.policy.applicability import Traits, traits_of
from shieldwall.policy.outcomes import Inapplicable, Reason, Resolution
from shieldwall.policy.prepared import PreparedPolicy, prepare
from shieldwall.policy.resolve import resolve
from shieldwall.server.directory.devices import get_device
from shieldwall.server.manager.policies import document_of, get_policy
from shieldwall.server.manager.reported import with_reports
from shieldwall.server.manager.states import Said, said
from shieldwall.server.storage.check_ins import check_ins, standings, statuses, targets
from shieldwall.server.storage.check_ins.standings import Counted, Standing
from shieldwall.server.storage.device_records import CheckInState
from shieldwall.server.storage.policies import revisions
from shieldwall.server.storage.records import Page

UNSEEN: Final = "a policy outside your scope"
"""The name of a policy that the caller does not see, where it has a part in what holds on a device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveSetting:
    """One setting of a device: what the policies came to, and what the device says is so."""

    setting: SettingId
    state: SettingState
    resolution: Resolution
    reported: SettingStatus | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyOnDevice:
    """One policy of a device."""

    item: ManifestItem
    document: PolicyDocument
    state: SettingState


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEffect:
    """Everything in effect on a device. ``strays`` are reported settings that no policy of the device speaks about."""

    check_in: CheckInState
    is_current: bool
    settings: tuple[EffectiveSetting, ...]
    policies: tuple[PolicyOnDevice, ...]
    strays: tuple[SettingStatus, ...]
    refused: tuple[RefusedPolicy, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyCounts:
    """How many devices a policy is in which state on, as a whole and setting by setting."""

    devices: Mapping[SettingState, int]
    settings: Mapping[SettingId, Mapping[SettingState, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceOfPolicy:
    """One device of a policy."""

    device_id: DeviceId
    display_name: str
    state: SettingState
    last_check_in: datetime | None
    status_at: datetime | None


def effective_of(
    connection: Connection,
    catalog: Catalog,
    tenant_id: TenantId,
    device_id: DeviceId,
    sees: Callable[[Collection[PolicyId]], Collection[PolicyId]] | None = None,
) -> DeviceEffect:
    """Return what is in effect on a device; ``sees`` chooses the policies whose names are shown.

    Raises:
        NotFoundError: There is no such device.
    """
    device = get_device(connection, tenant_id, device_id)
    check_in = check_ins.get(connection, device_id)
    report = None if check_in.status_digest is None else statuses.find(connection, tenant_id, check_in.status_digest)
    target = None if check_in.target_digest is None else targets.get(connection, tenant_id, check_in.target_digest)
    items, rules = (target.items, target.conflict_rules) if target else ((), PUBLISHED)
    documents = _documents(connection, items)
    if sees is not None:
        seen = frozenset(sees([item.policy_id for item in items]))
        documents = {
            digest: each if each.policy_id in seen else replace(each, name=UNSEEN) for digest, each in documents.items()
        }
    traits = traits_of(device.os_type, device.catalog_version)
    resolved = resolve(catalog, documents.values(), rules, traits).settings
    is_current = report is not None and report.target == check_in.target_digest
    words = Said() if check_in.target_digest is None else said(report, check_in.target_digest)
    return DeviceEffect(
        check_in=check_in,
        is_current=is_current,
        settings=tuple(
            EffectiveSetting(
                setting=setting,
                state=_state(resolution, words),
                resolution=resolution,
                reported=words.status(setting),
            )
            for setting, resolution in resolved.items()
        ),
        policies=tuple(
            PolicyOnDevice(
                item=item,
                document=documents[item.digest],
                state=words.policy(item, _applying(prepare(catalog, documents[item.digest]), traits)),
            )
            for item in items
        ),
        strays=() if report is None else tuple(_strays(report, resolved)),
        refused=() if report is None else report.refused,
    )


def _state(resolution: Resolution, words: Said) -> SettingState:
    """Return the state of a setting; what does not apply needs no report."""
    return SettingState.NOT_APPLICABLE if isinstance(resolution, Inapplicable) else words.state(resolution.setting)


def _applying(policy: PreparedPolicy, traits: Traits) -> list[SettingId]:
    """Return the settings of a policy that a device has something for."""
    return [setting for setting in policy.contenders if policy.reason_against(setting, traits) is None]


def _strays(report: StatusReport, resolved: Mapping[SettingId, Resolution]) -> Iterator[SettingStatus]:
    """Yield what is said about settings of no policy; parts of settings that do not apply are of one."""
    return (each for each in report.settings if each.setting not in resolved and each.code not in set(Reason))


def policy_counts(
    connection: Connection,
    catalog: Catalog,
    tenant_id: TenantId,
    policy_id: PolicyId,
    only: Sequence[ColumnElement[bool]] = (),
) -> PolicyCounts:
    """Count the devices of a policy by state; ``only`` are conditions on their check-ins. Raises: NotFoundError."""
    view = PolicyView(connection, catalog, tenant_id, policy_id)
    counted = standings.count_by_report(connection, tenant_id, view.items, only)
    devices: Counter[SettingState] = Counter()
    settings: dict[SettingId, Counter[SettingState]] = {setting: Counter() for setting in view.settings}
    for each, report in with_reports(connection, tenant_id, counted):
        words = said(report, each.target)
        applying = view.applying(each)
        devices[words.policy(view.items[each.target], applying)] += each.devices
        for setting, counts in settings.items():
            state = words.state(setting) if setting in applying else SettingState.NOT_APPLICABLE
            counts[state] += each.devices
    return PolicyCounts(devices=devices, settings=settings)


def policy_devices(
    connection: Connection, catalog: Catalog, tenant_id: TenantId, policy_id: PolicyId, page: Page
) -> tuple[DeviceOfPolicy, ...]:
    """Return one page of the devices of a policy, ordered by id. Raises: NotFoundError."""
    view = PolicyView(connection, catalog, tenant_id, policy_id)
    found = standings.list_devices(connection, tenant_id, view.items, page)
    states = {
        each.device_id: said(report, each.target).policy(view.items[each.target], view.applying(each))
        for each, report in with_reports(connection, tenant_id, found)
    }
    return tuple(
        DeviceOfPolicy(
            device_id=each.device_id,
            display_name=each.display_name,
            state=states[each.device_id],
            last_check_in=each.last_check_in,
            status_at=each.status_at,
        )
        for each in found
    )


class PolicyView:
    """A policy's settings, and the targets in use that hold it."""

    def __init__(self, connection: Connection, catalog: Catalog, tenant_id: TenantId, policy_id: PolicyId) -> None:
        policy = get_policy(connection, tenant_id, policy_id)
        self.policy = prepare(catalog, document_of(revisions.get(connection, policy_id, policy.revision)))
        self.settings = tuple(self.policy.contenders)
        self.items = {
            target: item
            for target, found in targets.get_many(
                connection, tenant_id, standings.targets_in_use(connection, tenant_id)
            ).items()
            for item in found.items
            if item.policy_id == policy_id
        }

    def applying(self, devices: Counted | Standing) -> list[SettingId]:
        """Return the settings that devices like these have something for."""
        return _applying(self.policy, traits_of(devices.os_type, devices.catalog_version))


def _documents(connection: Connection, items: tuple[ManifestItem, ...]) -> Mapping[Digest, PolicyDocument]:
    found = revisions.find_many(connection, [item.digest for item in items])
    return {digest: document_of(revision) for digest, revision in found.items()}
