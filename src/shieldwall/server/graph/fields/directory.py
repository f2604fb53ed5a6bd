"""Fields of the directory's resources: devices and the registrations among them, groups, and who belongs where."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import ColumnElement, Text, case, cast, false, literal, null

from shieldwall.server.graph.fields.words import never, unless_empty
from shieldwall.server.graph.odata import fields
from shieldwall.server.graph.odata.fields import FieldMap, Kind, Property
from shieldwall.server.graph.resources import MANAGEMENT_TYPE
from shieldwall.server.storage.device_records import SPEAKING, DeviceState, Registration
from shieldwall.server.storage.tables.device_schema import registrations
from shieldwall.server.storage.tables.schema import check_ins, devices, groups, inventory, membership_events

_row, _device, _known, _group = inventory.c, devices.c, registrations.c, groups.c
_SEARCHED: Final = {"displayName": "displayName"}
_SHOWN: Final = fields.shown(
    "isCompliant",
    "complianceExpirationDateTime",
    "deviceMetadata",
    "deviceVersion",
    "isManagementRestricted",
    "alternativeSecurityIds",
    "extensionAttributes",
    "onPremisesSyncEnabled",
    "onPremisesLastSyncDateTime",
    "onPremisesSecurityIdentifier",
    "deletedDateTime",
    "hostnames",
    "kind",
    "name",
    "platform",
    "status",
    "memberOf",
    "transitiveMemberOf",
    "registeredOwners",
    "registeredUsers",
)


def _is_managed() -> ColumnElement[bool]:
    return _row.state.in_(sorted(state.value for state in SPEAKING)) & (_row.enrollment_code == 1)


def _text_where(condition: ColumnElement[bool], text: str) -> ColumnElement[Any]:
    return case((condition, literal(text, Text())), else_=cast(null(), Text()))


_EMPTY_LIST: Final = literal("[]", Text())
DEVICE_FIELDS: Final = FieldMap(
    (
        fields.guid("id", _device.object_id),
        fields.guid("deviceId", _row.device_id),
        fields.text("displayName", _row.name_folded, folded=True),
        fields.boolean("accountEnabled", _row.state == DeviceState.ACTIVE.value),
        fields.text("operatingSystem", _row.os_folded, nullable=True, folded=True),
        fields.text("operatingSystemVersion", _row.os_version, nullable=True),
        fields.text("trustType", _device.trust_type, nullable=True),
        fields.boolean("isManaged", _is_managed()),
        fields.text("managementType", _text_where(_is_managed(), MANAGEMENT_TYPE), nullable=True),
        fields.text("profileType", _device.profile_type),
        fields.text("deviceOwnership", _device.device_ownership, nullable=True),
        fields.text("deviceCategory", unless_empty(_device.device_category), nullable=True),
        fields.text("enrollmentProfileName", unless_empty(_device.enrollment_profile_name), nullable=True),
        never("enrollmentType"),
        fields.guid("mdmAppId", _device.mdm_app_id, nullable=True),
        fields.text("manufacturer", _device.manufacturer, nullable=True),
        fields.text("model", _device.model, nullable=True),
        fields.boolean("isRooted", _device.is_rooted, nullable=True),
        fields.moment("registrationDateTime", _row.registered_at),
        fields.moment("approximateLastSignInDateTime", check_ins.c.last_check_in, nullable=True),
        fields.texts("physicalIds", _device.physical_ids),
        fields.texts("systemLabels", _device.system_labels),
        fields.within(
            "shieldwall",
            fields.text("registration", _device.registration),
            fields.text("deviceState", _row.state, nullable=True),
            fields.text("stateReason", _device.state_reason, nullable=True),
            never("source"),
            never("certificateExpirationDateTime", Kind.MOMENT),
        ),
        *_SHOWN,
    ),
    searched=_SEARCHED,
)
"""Of devices that have come."""
REGISTRATION_FIELDS: Final = FieldMap(
    (
        fields.guid("id", _known.object_id),
        fields.guid("deviceId", _known.device_id),
        fields.text("displayName", _known.display_name),
        fields.boolean("accountEnabled", _known.is_enabled),
        fields.text("operatingSystem", unless_empty(_known.os_type), nullable=True),
        fields.text("operatingSystemVersion", unless_empty(_known.os_version), nullable=True),
        fields.text("trustType", _known.trust_type, nullable=True),
        fields.boolean("isManaged", _known.manager.is_not(None)),
        fields.text("managementType", _known.manager, nullable=True),
        fields.text("profileType", literal("RegisteredDevice", Text())),
        never("deviceOwnership"),
        never("deviceCategory"),
        never("enrollmentProfileName"),
        never("enrollmentType"),
        never("mdmAppId", Kind.GUID),
        never("manufacturer"),
        never("model"),
        never("isRooted", Kind.BOOLEAN),
        fields.moment("registrationDateTime", _known.created_at),
        never("approximateLastSignInDateTime", Kind.MOMENT),
        fields.texts("physicalIds", _EMPTY_LIST),
        fields.texts("systemLabels", _EMPTY_LIST),
        fields.within(
            "shieldwall",
            fields.text("registration", literal(Registration.FULL.value, Text())),
            never("deviceState"),
            never("stateReason"),
            fields.text("source", _known.source, nullable=True),
            fields.moment("certificateExpirationDateTime", _known.expires_at, nullable=True),
        ),
        *_SHOWN,
    ),
    searched=_SEARCHED,
)
"""Of registrations that no device uses yet: the same names, found elsewhere."""

_GROUP: Final[tuple[Property, ...]] = (
    fields.guid("id", _group.id),
    fields.text("displayName", _group.display_name),
    fields.text("description", _group.description),
    fields.text("mailNickname", _group.mail_nickname),
    fields.boolean("mailEnabled", false()),
    fields.boolean("securityEnabled", ~false()),
    fields.texts("groupTypes", items=(("DynamicMembership", _group.membership_rule.is_not(None)),)),
    fields.text("membershipRule", _group.membership_rule, nullable=True),
    fields.text(
        "membershipRuleProcessingState",
        case((_group.membership_rule.is_not(None), _group.processing_state), else_=cast(null(), Text())),
        nullable=True,
    ),
    *fields.shown("membershipRuleProcessingStatus"),
    fields.moment("createdDateTime", _group.created_at),
    never("deletedDateTime", Kind.MOMENT),
    never("mail"),
    never("visibility"),
    never("securityIdentifier"),
    never("onPremisesSyncEnabled", Kind.BOOLEAN),
    *fields.shown(
        "isAssignableToRole",
        "classification",
        "expirationDateTime",
        "renewedDateTime",
        "onPremisesLastSyncDateTime",
        "onPremisesSecurityIdentifier",
        "onPremisesDomainName",
        "onPremisesNetBiosName",
        "onPremisesSamAccountName",
        "onPremisesProvisioningErrors",
        "preferredDataLocation",
        "preferredLanguage",
        "proxyAddresses",
        "resourceProvisioningOptions",
        "resourceBehaviorOptions",
        "creationOptions",
        "theme",
        "uniqueName",
        "members",
        "owners",
        "memberOf",
        "transitiveMembers",
        "transitiveMemberOf",
    ),
)
GROUP_FIELDS: Final = FieldMap(
    _GROUP, searched={**_SEARCHED, "description": "description", "mailNickname": "mailNickname"}
)
_event = membership_events.c
MEMBERSHIP_EVENT_FIELDS: Final = FieldMap(
    (
        fields.guid("id", _event.id),
        fields.moment("activityDateTime", _event.at),
        fields.text("activity", case((_event.joined, literal("joined")), else_=literal("left"))),
        fields.guid("groupId", _event.group_id),
        fields.guid("deviceId", _event.device_id),
        *fields.shown("cause", "initiatedBy", "groupDisplayName", "deviceDisplayName"),
    )
)
"""Who joined and left; why and by whom is one column, which nobody asks about."""
