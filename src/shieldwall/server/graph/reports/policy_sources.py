"""Reports over policies and settings: counted over all devices, or as they are on one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import PolicyId, parse_device_id
from shieldwall.contract.status import SettingState
from shieldwall.contract.strict_json import encode
from shieldwall.policy.words import name_of
from shieldwall.server.directory.devices import get_device
from shieldwall.server.graph.reports import columns
from shieldwall.server.graph.reports.asking import Asked
from shieldwall.server.graph.reports.columns import Column, count, moment, status, text
from shieldwall.server.graph.reports.sources import (
    NOBODY,
    POLICY_COLUMNS,
    InMemory,
    Reading,
    Source,
    all_policies,
    policy_of,
    policy_row,
)
from shieldwall.server.graph.reports.tables import Row
from shieldwall.server.graph.resources import moment as written
from shieldwall.server.manager.policy_reports import counts_of_policies, total
from shieldwall.server.manager.statuses import EffectiveSetting, PolicyCounts, effective_of
from shieldwall.server.storage.records import PolicyHead

_BY_STATE: Final = {
    "NumberOfSucceededDevices": SettingState.SUCCEEDED,
    "NumberOfErrorDevices": SettingState.ERROR,
    "NumberOfConflictDevices": SettingState.CONFLICT,
    "NumberOfNotApplicableDevices": SettingState.NOT_APPLICABLE,
    "NumberOfPendingDevices": SettingState.PENDING,
}
_ALL: Final = "NumberOfDevices"
COUNTS: Final = (*_BY_STATE, _ALL)
"""Columns of counts: devices in each state, and in any."""
_TROUBLED: Final = frozenset({SettingState.ERROR, SettingState.CONFLICT})
_NOTHING: Final = PolicyCounts(devices={}, settings={})


def summary_of_policy(reading: Reading, asked: Asked) -> Source:
    """How many devices the policy that the filter names is in which state on: one row."""
    policy = policy_of(reading, asked)
    row = policy_row(reading, policy) | counted(_counts(reading, policy).devices)
    return InMemory(columns=POLICY_COUNTS, rows=[row])


def settings_of_policy(reading: Reading, asked: Asked) -> Source:
    """The settings of the policy that the filter names, with how many devices each is in which state on."""
    policy = policy_of(reading, asked)
    return settings_of(reading, [policy], {policy.id: _counts(reading, policy)})


def troubled_policies(reading: Reading, _asked: Asked) -> Source:
    """The policies that are not as they should be on some device, with how many these are."""
    counts = _all_counts(reading)
    rows = [
        policy_row(reading, policy) | counted(counts[policy.id].devices)
        for policy in all_policies(reading)
        if policy.id in counts and total(counts[policy.id].devices, _TROUBLED)
    ]
    return InMemory(columns=POLICY_COUNTS, rows=rows)


def troubled_policies_summary(reading: Reading, _asked: Asked) -> Source:
    """How many policies there are, and how many are not as they should be on some device: one row."""
    counts = _all_counts(reading)
    troubled = [total(each.devices, _TROUBLED) for each in counts.values()]
    row: Row = {
        "NumberOfPolicies": len(all_policies(reading)),
        "NumberOfNonCompliantPolicies": sum(number > 0 for number in troubled),
        "NumberOfNonCompliantAssignments": sum(troubled),
    }
    return InMemory(columns=count(*row), rows=[row])


def troubled_settings(reading: Reading, asked: Asked) -> Source:
    """The settings that are not as they should be on some device; of one policy where the filter names one."""
    wanted = asked.fixed("PolicyId")
    policies = [policy for policy in all_policies(reading) if wanted in {None, policy.id}]
    found = settings_of(reading, policies, _all_counts(reading))
    rows = [row for row in found.rows if row["NumberOfErrorDevices"] or row["NumberOfConflictDevices"]]
    return replace(found, rows=rows)


def policies_of_device(reading: Reading, asked: Asked) -> Source:
    """The policies of the device that the filter names, with the state of each."""
    wanted = parse_device_id(asked.fixed("DeviceId") or asked.required("IntuneDeviceId"))
    device = get_device(reading.connection, reading.tenant_id, wanted)
    effect = effective_of(reading.connection, reading.catalog, reading.tenant_id, wanted)
    known = {policy.id: policy for policy in all_policies(reading)}
    rows = [
        {
            **policy_row(reading, known[each.item.policy_id]),
            **NOBODY,
            "IntuneDeviceId": device.id,
            "DeviceId": device.id,
            "DeviceName": device.display_name,
            "PolicyStatus": columns.STATUS_NUMBERS[each.state],
            "PspdpuLastModifiedTimeUtc": written(effect.check_in.status_at),
            "AssignmentFilterIds": "",
        }
        for each in effect.policies
        if each.item.policy_id in known
    ]
    return InMemory(
        columns=(
            *text("IntuneDeviceId", "DeviceId", "DeviceName"),
            *POLICY_COLUMNS,
            status("PolicyStatus"),
            moment("PspdpuLastModifiedTimeUtc"),
            *text(*NOBODY, "AssignmentFilterIds"),
        ),
        rows=rows,
    )


def settings_on_device(reading: Reading, asked: Asked) -> Source:
    """The settings of the policy and on the device that the filter names, with the state of each."""
    return InMemory(columns=_SETTINGS, rows=list(_settings(reading, asked)))


def troubled_settings_on_device(reading: Reading, asked: Asked) -> Source:
    """Those of them that are not as they should be."""
    rows = [row for row in _settings(reading, asked) if row["SettingStatus"] in columns.TROUBLED]
    return InMemory(columns=_SETTINGS, rows=rows)


_SETTING: Final = (*text("SettingId"), Column(name="SettingName", localized=True), *text("SettingInstanceId"))
_SETTINGS: Final = (
    *_SETTING,
    status("SettingStatus"),
    *count("ErrorCode"),
    *text("CurrentValue", "DeviceId", "IntuneDeviceId", "DeviceName"),
    *POLICY_COLUMNS,
    *text(*NOBODY),
)
POLICY_COUNTS: Final = (*POLICY_COLUMNS, *count(*COUNTS))
SETTING_COUNTS: Final = (*_SETTING, *POLICY_COUNTS)


def _counts(reading: Reading, policy: PolicyHead) -> PolicyCounts:
    if reading.fleet is not None:
        return reading.fleet.counts_of_policy(policy.id)
    return _all_counts(reading).get(policy.id, _NOTHING)


def _all_counts(reading: Reading) -> Mapping[PolicyId, PolicyCounts]:
    if reading.fleet is not None:
        return reading.fleet.counts_of_policies()
    return counts_of_policies(reading.connection, reading.catalog, reading.tenant_id)


def counted(states: Mapping[SettingState, int]) -> Row:
    """Return devices by state as the columns of ``COUNTS``."""
    return {name: states.get(state, 0) for name, state in _BY_STATE.items()} | {_ALL: sum(states.values())}


def settings_of(reading: Reading, policies: Iterable[PolicyHead], counts: Mapping[PolicyId, PolicyCounts]) -> InMemory:
    """Return the settings of policies, with how many devices each is in which state on."""
    counted_policies = [policy for policy in policies if policy.id in counts]
    shared: Row = policy_row(reading, counted_policies[0]) if len(counted_policies) == 1 else {}
    rows = [
        mine | row
        for policy in counted_policies
        for mine in ({} if shared else policy_row(reading, policy),)
        for row in _setting_rows(reading.catalog, counts[policy.id])
    ]
    return InMemory(columns=SETTING_COUNTS, rows=rows, shared=shared)


def _setting_rows(catalog: Catalog, counts: PolicyCounts) -> Iterator[Row]:
    for setting, states in counts.settings.items():
        yield {
            "SettingId": setting,
            "SettingName": name_of(catalog, setting),
            "SettingInstanceId": setting,
            **counted(states),
        }


def _settings(reading: Reading, asked: Asked) -> Iterator[Row]:
    policy = policy_of(reading, asked)
    device_id = parse_device_id(asked.fixed("IntuneDeviceId") or asked.required("DeviceId"))
    device = get_device(reading.connection, reading.tenant_id, device_id)
    effect = effective_of(reading.connection, reading.catalog, reading.tenant_id, device_id)
    for each in effect.settings:
        if any(contender.policy == policy.id for contender in each.resolution.contenders):
            yield {
                "SettingId": each.setting,
                "SettingName": name_of(reading.catalog, each.setting),
                "SettingInstanceId": each.setting,
                "SettingStatus": columns.setting_status(each.state, each.reported),
                "ErrorCode": columns.error_code(each.state),
                "CurrentValue": _read_back(each),
                "DeviceId": device.id,
                "IntuneDeviceId": device.id,
                "DeviceName": device.display_name,
                **policy_row(reading, policy),
                **NOBODY,
            }


def _read_back(setting: EffectiveSetting) -> str | None:
    """Return what the device found afterwards, as text."""
    found = setting.reported.read_back if setting.reported else None
    return found if found is None or isinstance(found, str) else encode(found).decode()
