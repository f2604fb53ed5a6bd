"""Policies and what belongs to them as Graph resources."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from shieldwall.catalog.model import PolicyTemplate
from shieldwall.server.graph.resources import Json, moment
from shieldwall.server.graph.setting_writing import write_settings
from shieldwall.server.manager.policies import PolicyDraft
from shieldwall.server.manager.statuses import DeviceOfPolicy
from shieldwall.server.storage.records import Assignment, AssignmentKind, Policy

_TARGET_TYPES: Final = {
    AssignmentKind.INCLUDE: "#microsoft.graph.groupAssignmentTarget",
    AssignmentKind.EXCLUDE: "#microsoft.graph.exclusionGroupAssignmentTarget",
    AssignmentKind.ALL_DEVICES: "#microsoft.graph.allDevicesAssignmentTarget",
}


def policy_resource(policy: Policy, template: PolicyTemplate, *, is_assigned: bool) -> Json:
    """Shape a deviceManagementConfigurationPolicy, without its navigation properties."""
    return {
        "id": policy.id,
        "name": policy.name,
        "description": policy.description,
        "platforms": policy.platforms,
        "technologies": policy.technologies,
        "createdDateTime": moment(policy.created_at),
        "lastModifiedDateTime": moment(policy.modified_at),
        "settingCount": len(policy.settings),
        "isAssigned": is_assigned,
        "creationSource": None,
        "roleScopeTagIds": list(policy.role_scope_tag_ids),
        "priorityMetaData": None,
        "templateReference": _template_reference(template),
        "shieldwall": {"revision": policy.revision, "digest": policy.digest},
    }


def draft_resource(draft: PolicyDraft, template: PolicyTemplate) -> Json:
    """Shape a policy that is not there, as it would be created."""
    return {
        "name": draft.name,
        "description": draft.description,
        "platforms": draft.platforms,
        "technologies": draft.technologies,
        "settingCount": len(draft.settings),
        "roleScopeTagIds": list(draft.role_scope_tag_ids),
        "templateReference": _template_reference(template),
        "settings": write_settings(draft.settings),
    }


def settings_resource(policy: Policy) -> list[Json]:
    """Shape the settings of a policy."""
    return write_settings(policy.settings)


def assignments_resource(assignments: Iterable[Assignment]) -> list[Json]:
    """Shape the assignments of a policy."""
    return [
        {
            "id": f"{each.policy_id}_{each.group_id or 'allDevices'}",
            "source": "direct",
            "sourceId": each.policy_id,
            "target": {
                "@odata.type": _TARGET_TYPES[each.kind],
                "deviceAndAppManagementAssignmentFilterId": None,
                "deviceAndAppManagementAssignmentFilterType": "none",
                **({} if each.group_id is None else {"groupId": each.group_id}),
            },
        }
        for each in assignments
    ]


def policy_device_resource(device: DeviceOfPolicy) -> Json:
    """Shape how one device stands with a policy."""
    return {
        "deviceId": device.device_id,
        "deviceName": device.display_name,
        "state": device.state,
        "lastSyncDateTime": moment(device.last_check_in),
        "lastReportDateTime": moment(device.status_at),
    }


def _template_reference(template: PolicyTemplate) -> Json:
    return {
        "templateId": template.id,
        "templateFamily": template.family,
        "templateDisplayName": template.display_name,
        "templateDisplayVersion": template.display_version,
    }
