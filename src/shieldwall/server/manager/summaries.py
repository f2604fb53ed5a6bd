"""How devices stand as a whole, for listings: one word each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId, Digest, TenantId
from shieldwall.contract.status import SettingState, StatusReport, gravest
from shieldwall.policy.enrollment import Enrollment
from shieldwall.server.directory.enrollment import enrollments
from shieldwall.server.storage.check_ins import check_ins, statuses
from shieldwall.server.storage.device_records import CheckInState, Device


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSummary:
    """How a device stands: check-ins, gravest state, whether that is about its present target, and its enrollment."""

    check_in: CheckInState
    state: SettingState
    is_current: bool
    enrollment: Enrollment


def summaries(connection: Connection, device_list: Collection[Device]) -> Mapping[DeviceId, DeviceSummary]:
    """Return how each of these devices stands."""
    found = check_ins.find_many(connection, [device.id for device in device_list])
    enrolled = enrollments(connection, device_list)
    senders: defaultdict[tuple[TenantId, Digest | None], list[DeviceId]] = defaultdict(list)
    for device, state in found.items():
        senders[state.tenant_id, state.status_digest].append(device)
    summed = {device: summary(state, None, enrolled[device]) for device, state in found.items()}
    for tenant in {tenant for tenant, _ in senders}:
        sent = [digest for of, digest in senders if of == tenant and digest is not None]
        for digest, report in statuses.read_each(connection, tenant, sent):
            summed |= {each: summary(found[each], report, enrolled[each]) for each in senders[tenant, digest]}
    return summed


def summary(check_in: CheckInState, report: StatusReport | None, enrollment: Enrollment) -> DeviceSummary:
    """Say how a device stands that sent this report last; one about an older target counts for nothing."""
    is_current = report is not None and report.target == check_in.target_digest
    return DeviceSummary(
        check_in=check_in,
        state=state_of(check_in.target_digest, report),
        is_current=is_current,
        enrollment=enrollment,
    )


def state_of(target: Digest | None, report: StatusReport | None) -> SettingState:
    """Return the gravest state of a device with this target that sent this report."""
    if report is None or report.target != target:
        return SettingState.PENDING
    return gravest([status.state for status in report.settings] + [SettingState.ERROR for _ in report.refused])
