"""What stands in the paths of Graph: each parameter's meaning and form, and the resource that a path is about."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from shieldwall.server.openapi.shapes import ID, Schema, said, text

PARAMETERS: Final[Mapping[str, Schema]] = {
    "application_id": text("The object id of the application, or `appId='…'` in the form of OData."),
    "principal_id": text("The id of the service principal, or `appId='…'` in the form of OData."),
    "policy_id": said(ID, "The id of the policy."),
    "group_id": said(ID, "The id of the group."),
    "object_id": text("The id of an object of the directory: a device or a group."),
    "member_id": text("The object id of the device, or its device id."),
    "device_id": text("The id of the device; under `/devices` its object id, or `deviceId='…'` in the form of OData."),
    "named": text("The object id of the device, its device id, or `deviceId='…'` in the form of OData."),
    "filter_id": said(ID, "The id of the assignment filter."),
    "setting_id": text("The id of the reusable setting, or of the setting definition."),
    "template_id": text("The id of the template, its base id and version: `<base id>_1`."),
    "category_id": text("The id of the category."),
    "package_id": said(ID, "The id of the package."),
    "authority_id": text("The id of the authority."),
    "endorsement_id": text("The id of the endorsement."),
    "device_event_id": said(ID, "The id of the event."),
    "alert_id": text("The id of the alert."),
    "role_id": said(ID, "The id of the role."),
    "assignment_id": said(ID, "The id of the role assignment."),
    "tag_id": text("The id of the scope tag, a number."),
    "operation_id": text("The id of the action."),
    "scope_name": text("Passed over: what the caller may do is said of all scopes together."),
    "event_id": said(ID, "The id of the event."),
    "category": text("`category='…'` in the form of OData: one of the categories of audit events."),
    "connector_id": said(ID, "The id of the connector."),
    "report_id": text("The id of the cached report, which whoever made it chose."),
    "job_id": text("The id of the export job."),
    "platform": text("`platform='…'` in the form of OData: a platform of assignment filters."),
    "rule_id": text("The id of the rule, which is that of the tenant."),
    "part": text("The id of the part."),
    "revision": text("The number of the revision, counted from 1."),
    "webhook_id": said(ID, "The id of the webhook."),
    "subscription_id": said(ID, "The id of the subscription."),
    "user_id": text("The id of the person, or their user principal name."),
    "passkey_id": text("The id of the passkey."),
    "code_id": text("The id of the one-time code, which is not the code."),
    "provider_id": said(ID, "The id of the identity provider."),
    "tenant_id": said(ID, "The id of the tenant."),
    "tenant": text("The id of the tenant, or its domain."),
}
_NAMESPACES: Final = re.compile(
    r"^/(?:v1\.0|beta)/(?:deviceManagement/|shieldwall/|security/|tenantRelationships/managedTenants/)?"
)


def group_of(path: str) -> str:
    """Name the resource that a path is about: the first segment that is no namespace."""
    return _NAMESPACES.sub("", path, count=1).partition("/")[0]
