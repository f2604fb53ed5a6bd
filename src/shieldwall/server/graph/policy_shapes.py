"""Policies and what belongs to them as Graph resources."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from shieldwall.catalog.model import Catalog, PolicyTemplate
from shieldwall.contract.ids import SettingId
from shieldwall.policy.values import SettingValue
from shieldwall.policy.words import in_words, name_of
from shieldwall.server.graph.resources import Json, moment
from shieldwall.server.graph.setting_writing import write_settings
from shieldwall.server.manager.policies import PolicyDraft
from shieldwall.server.manager.revision_changes import RevisionChange
from shieldwall.server.manager.revisions import RevisionContent
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
        "disableEntraGroupPolicyAssignment": False,
        "roleScopeTagIds": list(policy.role_scope_tag_ids),
        "priorityMetaData": _priority(policy.priority),
        "templateReference": _template_reference(template),
    }


def standing_resource(policy: Policy) -> Json:
    """Shape what is ours about a policy: its newest revision.

    It is shown to those who ask for it: tools that keep policies in files take every member for the author's work.
    """
    return {"revision": policy.revision, "digest": policy.digest}


def draft_resource(draft: PolicyDraft, template: PolicyTemplate | None) -> Json:
    """Shape a policy that is not there, as it would be created."""
    return {
        "name": draft.name,
        "description": draft.description,
        "platforms": draft.platforms,
        "technologies": draft.technologies,
        "settingCount": len(draft.settings),
        "roleScopeTagIds": list(draft.role_scope_tag_ids),
        "priorityMetaData": _priority(draft.priority),
        "templateReference": _template_reference(template) if template else {"templateId": draft.template_id},
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
                "deviceAndAppManagementAssignmentFilterId": each.filter_id,
                "deviceAndAppManagementAssignmentFilterType": each.filter_kind,
                **({} if each.group_id is None else {"groupId": each.group_id}),
            },
        }
        for each in assignments
    ]


def revision_resource(content: RevisionContent, change_class: str | None) -> Json:
    """Shape one revision of a policy; ``class`` says what it did to the protection, the first one has none."""
    return {
        "id": str(content.revision.revision),
        "revision": content.revision.revision,
        "createdDateTime": moment(content.revision.created_at),
        "createdBy": content.revision.created_by,
        "reason": content.revision.reason,
        "digest": content.revision.digest,
        "name": content.document.name,
        "settingCount": len(content.document.settings),
        "class": change_class,
    }


def revision_content_resource(content: RevisionContent, template: PolicyTemplate | None) -> Json:
    """Shape a policy as it was in one revision. Scope tags and assignments are no part of a revision."""
    shape = draft_resource(content.draft, template)
    shape.pop("roleScopeTagIds")
    revision = content.revision
    return shape | {
        "id": revision.policy_id,
        "shieldwall": {
            "revision": revision.revision,
            "digest": revision.digest,
            "createdDateTime": moment(revision.created_at),
            "createdBy": revision.created_by,
            "reason": revision.reason,
            "catalogVersion": content.document.catalog_version,
        },
    }


def change_resource(catalog: Catalog, change: RevisionChange) -> Json:
    """Shape what one setting was and became, in words."""
    return {
        "settingDefinitionId": change.setting,
        "displayName": name_of(catalog, change.setting),
        "before": _in_words(catalog, change.setting, change.before),
        "after": _in_words(catalog, change.setting, change.after),
        "class": change.change_class,
    }


def policy_device_resource(device: DeviceOfPolicy) -> Json:
    """Shape how one device stands with a policy."""
    return {
        "deviceId": device.device_id,
        "deviceName": device.display_name,
        "state": device.state,
        "lastSyncDateTime": moment(device.last_check_in),
        "lastReportDateTime": moment(device.status_at),
    }


def _in_words(catalog: Catalog, setting: SettingId, value: SettingValue | None) -> str | None:
    if value is None:
        return None
    return in_words(catalog, setting, value) if setting in catalog.definitions else "a value that is not known here"


def _priority(priority: int | None) -> Json | None:
    return None if priority is None else {"priority": priority}


def _template_reference(template: PolicyTemplate) -> Json:
    return {
        "templateId": template.id,
        "templateFamily": template.family,
        "templateDisplayName": template.display_name,
        "templateDisplayVersion": template.display_version,
    }
