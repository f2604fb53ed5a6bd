"""Enrollment: which devices this channel manages, and if not, why.

A tenant's *enforcement scope* says which devices may be taken, as the published page of that name does: per platform
off, on tagged devices, or on all; domain controllers only where they are switched on; Configuration Manager with or
without authority; all of it behind the switch of the tenant. What is known of a device is its *standing*. ``decide`` is
the one place where both meet; it has an answer for every device.

The order in which it asks: who else manages the device → can it be managed at all → may it be, by tenant, platform,
role and tag. Another manager comes first, because that is what an administrator must know even where nothing is taken.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Final, assert_never

import msgspec
from msgspec import Struct

from shieldwall.contract.enrollment import STATUSES, EnrollmentCode
from shieldwall.contract.errors import ShieldwallError
from shieldwall.policy.membership import MEMBER_OF, Attributes, MembershipRule, parse_rule

TAG: Final = "MDE-Management"
"""The tag that a device carries to be taken where a platform is on for tagged devices."""
MAX_TAG_RULES: Final = 32
NOT_ASKED_BY_TAG_RULES: Final = frozenset({"managementType", MEMBER_OF})
"""These follow from the enrollment, so that a rule about them would ask for its own answer."""


class Coverage(StrEnum):
    """Which devices of a platform are taken."""

    OFF = "off"
    TAGGED = "tagged"
    ALL = "all"


class TagRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A dynamic tag: devices that this membership rule names count as tagged. Their own tags stay as they are."""

    display_name: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    rule: Annotated[str, msgspec.Meta(max_length=3_072)]


class EnforcementScope(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """Which devices of a tenant this channel may manage. The defaults are those of a new tenant."""

    is_allowed: bool = True
    """Allow Microsoft Defender for Endpoint to enforce Endpoint Security Configurations: the switch of the tenant."""
    windows: Coverage = Coverage.ALL
    windows_server: Coverage = Coverage.ALL
    linux: Coverage = Coverage.ALL
    mac_os: Coverage = msgspec.field(default=Coverage.ALL, name="macOS")
    includes_domain_controllers: bool = False
    configuration_manager_authority: bool = True
    """Manage security settings using Configuration Manager: where it is, it stays in charge."""
    dynamic_tags: Annotated[tuple[TagRule, ...], msgspec.Meta(max_length=MAX_TAG_RULES)] = ()

    @property
    def coverages(self) -> frozenset[Coverage]:
        """What holds for one platform or another."""
        return frozenset((self.windows, self.windows_server, self.linux, self.mac_os))

    def coverage(self, os_type: str) -> Coverage | None:
        """Return what holds for an operating system, ``None`` for one that we do not know."""
        match os_type:
            case "Windows":
                return self.windows
            case "Windows Server":
                return self.windows_server
            case "Linux":
                return self.linux
            case "macOS":
                return self.mac_os
            case _:
                return None


class InvalidScopeError(ShieldwallError):
    """An enforcement scope contradicts itself."""

    code = "invalidScope"
    remedy = "Correct the part named and try again."


def check(scope: EnforcementScope) -> EnforcementScope:
    """Return a scope that makes sense.

    Raises:
        InvalidScopeError: Domain controllers are on where no platform is that has them.
        InvalidRuleError: A rule of a dynamic tag cannot be read, or asks for what follows from the enrollment.
    """
    if scope.includes_domain_controllers and {scope.windows_server, scope.linux} == {Coverage.OFF}:
        raise InvalidScopeError("Domain controllers are taken only where Windows Server or Linux is.")
    tag_rules(scope)
    return scope


def tag_rules(scope: EnforcementScope) -> tuple[MembershipRule, ...]:
    """Read the rules of dynamic tags. Raises: InvalidRuleError."""
    return tuple(parse_rule(each.rule, without=NOT_ASKED_BY_TAG_RULES) for each in scope.dynamic_tags)


def is_tagged(tags: Collection[str], rules: Collection[MembershipRule], attributes: Attributes) -> bool:
    """Say whether a device counts as tagged: by its own tags, or by a dynamic one."""
    return TAG in tags or any(rule.matches(attributes) for rule in rules)


class Standing(Struct, frozen=True, kw_only=True):
    """What is known of a device, as far as its enrollment depends on it."""

    os_type: str
    is_tagged: bool = False
    manager: str | None = None
    """Who else manages it (``contract.messages.ManagerKind``), as the device found out itself."""
    unsuitable: str | None = None
    """Why it cannot be managed (``contract.messages.Unsuitable``)."""
    is_domain_controller: bool = False
    is_waiting: bool = False
    """Nobody has approved its registration yet."""


class Reason(StrEnum):
    """Why a device is enrolled as it is: finer than the published codes."""

    MANAGED = "managed"
    MDM = "mdm"
    MICROSOFT_CHANNEL = "microsoftChannel"
    TWO_MANAGERS = "twoManagers"
    CONFIGURATION_MANAGER = "configurationManager"
    UNSUPPORTED_SYSTEM = "unsupportedOs"
    NON_PERSISTENT_DESKTOP = "nonPersistentDesktop"
    WAITS_FOR_APPROVAL = "waitsForApproval"
    TENANT_SWITCH_OFF = "tenantSwitchOff"
    PLATFORM_OFF = "platformOff"
    DOMAIN_CONTROLLERS_OFF = "domainControllersOff"
    TAG_MISSING = "tagMissing"


CODES: Final = MappingProxyType(
    {
        Reason.MANAGED: EnrollmentCode.MANAGED,
        Reason.MDM: EnrollmentCode.MANAGED_BY_MDM,
        Reason.MICROSOFT_CHANNEL: EnrollmentCode.MANAGED_BY_MDM,
        Reason.TWO_MANAGERS: EnrollmentCode.TWO_MANAGERS,
        Reason.CONFIGURATION_MANAGER: EnrollmentCode.MANAGED_BY_CONFIGURATION_MANAGER,
        Reason.UNSUPPORTED_SYSTEM: EnrollmentCode.UNSUPPORTED_SYSTEM,
        Reason.NON_PERSISTENT_DESKTOP: EnrollmentCode.NON_PERSISTENT_DESKTOP,
        Reason.WAITS_FOR_APPROVAL: EnrollmentCode.NOT_ENROLLED,
        Reason.TENANT_SWITCH_OFF: EnrollmentCode.TENANT_SWITCH_OFF,
        Reason.PLATFORM_OFF: EnrollmentCode.NOT_ENROLLED,
        Reason.DOMAIN_CONTROLLERS_OFF: EnrollmentCode.NOT_ENROLLED,
        Reason.TAG_MISSING: EnrollmentCode.NOT_ENROLLED,
    }
)
"""The code that each reason is published under."""

_WORDS: Final = MappingProxyType(
    {
        Reason.MDM: (
            "An MDM such as Intune manages the device; the agent stays passive.",
            "Use the policies of the MDM, or take the device out of it.",
        ),
        Reason.MICROSOFT_CHANNEL: (
            "Microsoft's own settings management manages the device; the agent stays passive.",
            "Take the device out of Microsoft's enforcement scope to manage it here.",
        ),
        Reason.WAITS_FOR_APPROVAL: (
            "Nobody has approved the registration of the device yet.",
            "Approve the device, or delete it.",
        ),
        Reason.PLATFORM_OFF: (
            "The enforcement scope is off for the platform of the device.",
            "Switch the platform on in the enforcement scope.",
        ),
        Reason.DOMAIN_CONTROLLERS_OFF: (
            "The device is a domain controller, and the enforcement scope takes none.",
            "Switch domain controllers on in the enforcement scope; they never get firewall policy.",
        ),
        Reason.TAG_MISSING: (
            f"The enforcement scope takes tagged devices of this platform alone, and the tag {TAG} is missing.",
            f"Give the device the tag {TAG}, or a dynamic tag a rule that names it.",
        ),
    }
)


class Enrollment(Struct, frozen=True):
    """How a device is enrolled."""

    reason: Reason

    @property
    def code(self) -> EnrollmentCode:
        """The published code."""
        return CODES[self.reason]

    @property
    def is_managed(self) -> bool:
        """Whether this channel manages the device."""
        return self.reason is Reason.MANAGED

    @property
    def cause(self) -> str:
        """Why, in words."""
        return _WORDS[self.reason][0] if self.reason in _WORDS else STATUSES[self.code].cause

    @property
    def remedy(self) -> str:
        """What can be done about it."""
        return _WORDS[self.reason][1] if self.reason in _WORDS else STATUSES[self.code].remedy


def decide(scope: EnforcementScope, standing: Standing) -> Enrollment:
    """Say how a device is enrolled."""
    return Enrollment(
        _manager(scope, standing) or _unfit(scope, standing) or _outside(scope, standing) or Reason.MANAGED
    )


def _manager(scope: EnforcementScope, standing: Standing) -> Reason | None:
    """Ask who else is in charge. An MDM beside Configuration Manager (co-management) counts as the MDM."""
    match standing.manager:
        case None:
            return None
        case "several":
            return Reason.TWO_MANAGERS
        case "configurationManager":
            return Reason.CONFIGURATION_MANAGER if scope.configuration_manager_authority else None
        case "microsoftChannel":
            return Reason.MICROSOFT_CHANNEL
        case _:  # also one that a newer agent knows: somebody else is in charge
            return Reason.MDM


def _unfit(scope: EnforcementScope, standing: Standing) -> Reason | None:
    """Ask whether the device can be managed at all."""
    if standing.unsuitable == "nonPersistentDesktop":
        return Reason.NON_PERSISTENT_DESKTOP
    if standing.unsuitable is not None or scope.coverage(standing.os_type) is None:
        return Reason.UNSUPPORTED_SYSTEM
    return None


def _outside(scope: EnforcementScope, standing: Standing) -> Reason | None:
    """Ask whether the tenant lets the device be managed."""
    if standing.is_waiting:
        return Reason.WAITS_FOR_APPROVAL
    if not scope.is_allowed:
        return Reason.TENANT_SWITCH_OFF
    match scope.coverage(standing.os_type):
        case None | Coverage.OFF:
            return Reason.PLATFORM_OFF
        case Coverage.TAGGED | Coverage.ALL if standing.is_domain_controller and not scope.includes_domain_controllers:
            return Reason.DOMAIN_CONTROLLERS_OFF
        case Coverage.TAGGED:
            return None if standing.is_tagged else Reason.TAG_MISSING
        case Coverage.ALL:
            return None
        case other:
            assert_never(other)
