"""The reports there are, by the names of their actions and by those under which they are cached and exported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shieldwall.server.graph.errors import InvalidQueryError
from shieldwall.server.graph.reports.device_sources import devices_of_policy
from shieldwall.server.graph.reports.policy_sources import (
    policies_of_device,
    settings_of_policy,
    settings_on_device,
    summary_of_policy,
    troubled_policies,
    troubled_policies_summary,
    troubled_settings,
    troubled_settings_on_device,
)
from shieldwall.server.graph.reports.sources import Making

ACTIONS: Final[Mapping[str, Making]] = {
    "getConfigurationPolicyDevicesReport": devices_of_policy,
    "getConfigurationPolicyDeviceSummaryReport": summary_of_policy,
    "getConfigurationPolicySettingsDeviceSummaryReport": settings_of_policy,
    "getConfigurationPoliciesReportForDevice": policies_of_device,
    "getConfigurationSettingsReport": settings_on_device,
    "getConfigurationSettingDetailsReport": settings_on_device,
    "getConfigurationSettingNonComplianceReport": troubled_settings_on_device,
    "getConfigurationPolicyNonComplianceReport": troubled_policies,
    "getConfigurationPolicyNonComplianceSummaryReport": troubled_policies_summary,
    "getSettingNonComplianceReport": troubled_settings,
}
NAMED: Final[Mapping[str, Making]] = {
    "DeviceStatusesByConfigurationProfile": devices_of_policy,
    "DeviceAssignmentStatusByConfigurationPolicy": devices_of_policy,
    "ConfigurationPolicyAggregate": troubled_policies,
    "PolicyNonComplianceReport": troubled_policies,
    "PerSettingNonComplianceReport": troubled_settings,
    "SettingStatusesByConfigurationProfile": settings_of_policy,
}


def named(report: str) -> Making:
    """Return the report of a name. Raises: InvalidQueryError."""
    found = {name.lower(): making for name, making in NAMED.items()}.get(report.lower())
    if found is None:
        raise InvalidQueryError(f"There is no report {report[:64]!r}; there are {', '.join(NAMED)}.")
    return found
