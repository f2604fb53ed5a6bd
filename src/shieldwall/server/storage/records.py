"""Records: frozen rows as the domains see them. Times are aware UTC; lists and maps are parsed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement

from shieldwall.contract.ids import (
    AssignmentFilterId,
    DeviceId,
    Digest,
    GroupId,
    PackageId,
    PolicyId,
    ReusableSettingId,
    SettingId,
    TemplateId,
    TenantId,
)
from shieldwall.contract.settings import SettingInstance
from shieldwall.server.storage.order_terms import OrderTerm, Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """One organisation."""

    id: TenantId
    display_name: str
    domain: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OnboardingPackageRecord:
    """An onboarding package as the server keeps it. ``key`` is the secret behind the device's proof."""

    id: PackageId
    tenant_id: TenantId
    display_name: str
    key: bytes = field(repr=False)
    not_before: datetime
    not_after: datetime
    max_uses: int
    uses: int
    platforms: tuple[str, ...]
    tags: tuple[str, ...]
    created_at: datetime
    revoked_at: datetime | None
    approval: str = "auto"
    """``manual``: whoever comes with it is pending until an administrator approves."""
    attestation: str = "optional"
    """``none``, ``optional`` or ``tpm-required``."""
    join_type: str = "synthetic"
    """``full``: it may also make full registrations."""
    created_by: str = ""


class ProcessingState(StrEnum):
    """Whether the rule of a dynamic group is followed."""

    ON = "On"
    PAUSED = "Paused"
    """It is not looked at; the members stay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A set of devices: assigned members, or dynamic by ``membership_rule``."""

    id: GroupId
    tenant_id: TenantId
    display_name: str
    description: str
    mail_nickname: str
    membership_rule: str | None
    created_at: datetime
    processing_state: ProcessingState = ProcessingState.ON

    @property
    def is_dynamic(self) -> bool:
        """Whether a rule decides who belongs."""
        return self.membership_rule is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A policy as it stands now; ``digest`` names its newest signed revision.

    ``settings`` are as authored: references and tokens of secrets stand in them, not what devices get in their place.
    """

    id: PolicyId
    tenant_id: TenantId
    name: str
    description: str
    platforms: str
    technologies: str
    template_id: TemplateId
    role_scope_tag_ids: tuple[str, ...]
    settings: tuple[SettingInstance, ...]
    revision: int
    digest: Digest
    created_at: datetime
    modified_at: datetime
    priority: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyHead:
    """What there is to say of a policy without its settings, which are most of it and take long to read."""

    id: PolicyId
    name: str
    platforms: str
    template_id: TemplateId
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRevision:
    """One immutable publish of a policy: the canonical bytes of its DSSE envelope, named by its payload's digest.

    ``authored`` are the settings as the author wrote them, absent where devices got them just so.
    """

    digest: Digest
    policy_id: PolicyId
    revision: int
    length: int
    envelope: bytes
    created_at: datetime
    created_by: str
    tenant_id: TenantId
    reason: str = ""
    description: str = ""
    authored: tuple[SettingInstance, ...] | None = None


class AssignmentKind(StrEnum):
    """Whom an assignment names."""

    INCLUDE = "include"
    EXCLUDE = "exclude"
    ALL_DEVICES = "allDevices"


class FilterKind(StrEnum):
    """What an assignment does with the devices that match its filter."""

    NONE = "none"
    """There is no filter."""
    INCLUDE = "include"
    EXCLUDE = "exclude"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """One target of a policy. ``group_id`` is absent for all devices, ``filter_id`` where nothing is filtered."""

    policy_id: PolicyId
    kind: AssignmentKind
    group_id: GroupId | None
    filter_id: AssignmentFilterId | None = None
    filter_kind: FilterKind = FilterKind.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignmentFilter:
    """A rule over devices of one platform that assignments may narrow themselves by."""

    id: AssignmentFilterId
    tenant_id: TenantId
    display_name: str
    description: str
    platform: str
    rule: str
    role_scope_tag_ids: tuple[str, ...]
    created_at: datetime
    modified_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ReusableSetting:
    """A setting that policies refer to by its id; ``version`` counts its changes from 1."""

    id: ReusableSettingId
    tenant_id: TenantId
    display_name: str
    description: str
    setting_definition_id: SettingId
    setting_instance: SettingInstance
    version: int
    created_at: datetime
    modified_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """Who did what to what, when; ``actor_id`` and what follows only where somebody came over the network."""

    id: str
    tenant_id: TenantId
    at: datetime
    actor: str
    activity: str
    object_kind: str
    object_id: str
    details: str
    actor_id: str | None = None
    ip_address: str | None = None
    correlation_id: str | None = None
    """What all that one request did has in common: a UUID."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which part of a listing: at most ``size`` rows after the row named ``after``, the last of the page before.

    ``statements.paging`` reads it. ``where`` are conditions beside those of the listing itself, ``order`` what it is
    ordered by before the names of its rows, ``place`` the values of the row ``after`` in that order, one a term.
    ``skip`` leaves out so many rows, and ``tally`` is where the number of all rows is asked for.
    """

    size: int = 100
    after: str | None = None
    where: tuple[ColumnElement[bool], ...] = ()
    order: tuple[OrderTerm, ...] = ()
    place: tuple[Any, ...] = ()
    skip: int = 0
    tally: Tally | None = None


class MembershipCause(StrEnum):
    """Why a device joined or left a group."""

    ADDED = "added"
    REMOVED = "removed"
    RULE_CHANGED = "ruleChanged"
    PROCESSING_RESUMED = "processingResumed"
    DEVICE_REGISTERED = "deviceRegistered"
    DEVICE_CHANGED = "deviceChanged"
    DEVICE_RETIRED = "deviceRetired"
    GROUP_DELETED = "groupDeleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipEvent:
    """A device joined a group or left it. ``actor`` is whoever did what brought it about, empty for a device itself."""

    id: str
    tenant_id: TenantId
    group_id: GroupId
    device_id: DeviceId
    at: datetime
    joined: bool
    cause: MembershipCause
    actor: str
