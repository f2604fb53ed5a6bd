"""Records as Graph resources: field names, types and read-only marks as published, nothing decided here."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from shieldwall.contract.enrollment import status_in_words
from shieldwall.policy.enrollment import Enrollment
from shieldwall.server.storage.records import Group, OnboardingPackageRecord, Tenant

Json = dict[str, Any]

MANAGEMENT_TYPE: Final = "MicrosoftSense"
"""``managementType`` of a device that this channel manages, as group rules expect it."""


def moment(at: datetime | None) -> str | None:
    """Write a time as Graph does: UTC, seven fractional digits, Z."""
    return None if at is None else f"{at.replace(tzinfo=None).isoformat(timespec='microseconds')}0Z"


def group_resource(group: Group) -> Json:
    """Shape a group."""
    return {
        "id": group.id,
        "displayName": group.display_name,
        "description": group.description,
        "mailEnabled": False,
        "mailNickname": group.mail_nickname,
        "securityEnabled": True,
        "groupTypes": ["DynamicMembership"] if group.is_dynamic else [],
        "membershipRule": group.membership_rule,
        "membershipRuleProcessingState": group.processing_state if group.is_dynamic else None,
        "createdDateTime": moment(group.created_at),
        "deletedDateTime": None,
    }


def processing_status(*, is_catching_up: bool) -> Json:
    """Shape how far a membership rule has got: whether devices may still join or leave by the latest change of it."""
    return {"status": "Running" if is_catching_up else "Succeeded", "lastMembershipUpdated": None, "errorMessage": None}


def enrollment_resource(enrollment: Enrollment) -> Json:
    """Shape how a device is enrolled (ours): the published code, and why in our own words."""
    return {
        "code": int(enrollment.code),
        "status": status_in_words(enrollment.code),
        "reason": enrollment.reason.value,
        "cause": enrollment.cause,
        "remedy": enrollment.remedy,
    }


def package_resource(package: OnboardingPackageRecord) -> Json:
    """Shape an onboarding package; its secret is never among the members."""
    return {
        "id": package.id,
        "displayName": package.display_name,
        "notBeforeDateTime": moment(package.not_before),
        "expirationDateTime": moment(package.not_after),
        "maxUses": package.max_uses,
        "uses": package.uses,
        "allowedPlatforms": list(package.platforms),
        "tags": list(package.tags),
        "approval": package.approval,
        "attestation": package.attestation,
        "joinType": package.join_type,
        "createdBy": package.created_by,
        "createdDateTime": moment(package.created_at),
        "revokedDateTime": moment(package.revoked_at),
    }


def organization_resource(tenant: Tenant) -> Json:
    """Shape the tenant as an organization."""
    return {
        "id": tenant.id,
        "displayName": tenant.display_name,
        "createdDateTime": moment(tenant.created_at),
        "verifiedDomains": [{"name": tenant.domain, "isDefault": True, "isInitial": True, "type": "Managed"}],
    }


def collection(context: str, values: Sequence[Json], next_link: str | None = None, *, count: int | None = None) -> Json:
    """Wrap one page of resources; ``nextLink`` stands only where more follows, ``count`` where it was asked for."""
    counted: Json = {} if count is None else {"@odata.count": count}
    body: Json = {"@odata.context": context, **counted, "value": list(values)}
    if next_link is not None:
        body["@odata.nextLink"] = next_link
    return body
