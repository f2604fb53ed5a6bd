"""Fields of policies and of what belongs to them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Text, cast, exists, false, func

from shieldwall.catalog.model import Catalog, PolicyTemplate
from shieldwall.server.graph.fields.described import described
from shieldwall.server.graph.fields.words import PLATFORMS, TECHNOLOGIES, TEMPLATE_FAMILIES, always, in_words, never
from shieldwall.server.graph.odata import fields
from shieldwall.server.graph.odata.fields import FieldMap, Property
from shieldwall.server.graph.schemas.filters import FILTER, REUSABLE
from shieldwall.server.graph.schemas.policies import ASSIGNMENT, POLICY, POLICY_DEVICE
from shieldwall.server.graph.schemas.revisions import CHANGE, REVISION
from shieldwall.server.graph.schemas.settings import SETTING
from shieldwall.server.storage.tables.digests import InHex
from shieldwall.server.storage.tables.schema import (
    assignment_filters,
    assignments,
    check_ins,
    devices,
    policies,
    policy_revisions,
    reusable_settings,
)

_policy, _filter, _setting, _revision = policies.c, assignment_filters.c, reusable_settings.c, policy_revisions.c
_FOUND: Final[tuple[Property, ...]] = (
    fields.guid("id", _policy.id),
    fields.text("name", _policy.name),
    fields.text("description", _policy.description),
    fields.flags("platforms", PLATFORMS, _policy.platforms),
    fields.flags("technologies", TECHNOLOGIES, _policy.technologies),
    fields.moment("createdDateTime", _policy.created_at),
    fields.moment("lastModifiedDateTime", _policy.modified_at),
    fields.boolean("isAssigned", func.coalesce(exists().where(assignments.c.policy_id == _policy.id), false())),
    never("creationSource"),
    fields.texts("roleScopeTagIds", _policy.role_scope_tag_ids),
    fields.within("priorityMetaData", fields.number("priority", _policy.priority, nullable=True)),
    fields.within(
        "shieldwall", fields.number("revision", _policy.revision), fields.text("digest", InHex(_policy.digest))
    ),
    *fields.shown("settingCount", "disableEntraGroupPolicyAssignment", "settings", "assignments"),
)
_SEARCHED: Final = {"name": "name", "displayName": "name", "description": "description"}


def policy_fields(catalog: Catalog) -> FieldMap:
    """Return the fields of policies; what is known of their templates stands in the catalog alone."""
    templates: list[tuple[str, PolicyTemplate]] = [(str(key), each) for key, each in catalog.templates.items()]
    names = {key: each.display_name for key, each in templates}
    versions = {key: each.display_version for key, each in templates}
    families = {key: str(each.family) for key, each in templates}
    about = fields.within(
        "templateReference",
        fields.text("templateId", _policy.template_id),
        fields.choice("templateFamily", TEMPLATE_FAMILIES, in_words(families, _policy.template_id, "none")),
        fields.text("templateDisplayName", in_words(names, _policy.template_id, "")),
        fields.text("templateDisplayVersion", in_words(versions, _policy.template_id, "")),
    )
    return described(POLICY, *_FOUND, about, searched=_SEARCHED)


ASSIGNMENT_FIELDS: Final = described(
    ASSIGNMENT,
    fields.within(
        "target",
        fields.guid("groupId"),
        fields.guid("deviceAndAppManagementAssignmentFilterId"),
        fields.text("deviceAndAppManagementAssignmentFilterType"),
    ),
)
SETTING_FIELDS: Final = described(SETTING, *fields.shown("settingDefinitions"))
CHANGE_FIELDS: Final = described(CHANGE)
REVISION_FIELDS: Final = described(
    REVISION,
    fields.guid("id", cast(_revision.revision, Text())),
    fields.number("revision", _revision.revision),
    fields.moment("createdDateTime", _revision.created_at),
    fields.text("createdBy", _revision.created_by),
    fields.text("reason", _revision.reason),
    fields.text("digest", InHex(_revision.digest)),
)
POLICY_DEVICE_FIELDS: Final = described(
    POLICY_DEVICE,
    fields.guid("deviceId", check_ins.c.device_id),
    fields.text("deviceName", devices.c.display_name),
    fields.moment("lastSyncDateTime", check_ins.c.last_check_in, nullable=True),
    fields.moment("lastReportDateTime", check_ins.c.status_at, nullable=True),
)
FILTER_FIELDS: Final = described(
    FILTER,
    fields.guid("id", _filter.id),
    fields.text("displayName", _filter.display_name),
    fields.text("description", _filter.description),
    fields.text("platform", _filter.platform),
    fields.text("rule", _filter.rule),
    fields.texts("roleScopeTags", _filter.role_scope_tag_ids),
    always("assignmentFilterManagementType", "devices", ("devices", "apps")),
    fields.moment("createdDateTime", _filter.created_at),
    fields.moment("lastModifiedDateTime", _filter.modified_at),
    searched={"displayName": "displayName"},
)
REUSABLE_FIELDS: Final = described(
    REUSABLE,
    fields.guid("id", _setting.id),
    fields.text("displayName", _setting.display_name),
    fields.text("description", _setting.description),
    fields.text("settingDefinitionId", _setting.setting_definition_id),
    fields.number("version", _setting.version),
    fields.moment("createdDateTime", _setting.created_at),
    fields.moment("lastModifiedDateTime", _setting.modified_at),
    searched={"displayName": "displayName"},
)
