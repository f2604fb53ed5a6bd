"""Ids, each its own type, parsed where text comes in.

A plain ``str`` never passes as an id: it goes through the ``parse`` function of its kind, or is decoded by a message
type that carries the same pattern.
"""

from __future__ import annotations

import re
from typing import Annotated, Final, NewType

import msgspec

from shieldwall.contract.errors import InvalidIdError

UUID_PATTERN: Final = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z"
DIGEST_PATTERN: Final = r"^[0-9a-f]{64}\Z"

TenantId = NewType("TenantId", str)
"""A tenant: one organisation on this server."""
DeviceId = NewType("DeviceId", str)
"""A device's registration in the directory (``deviceId`` in Graph)."""
GroupId = NewType("GroupId", str)
"""A group of devices."""
PolicyId = NewType("PolicyId", str)
"""A policy through all its revisions."""
AssignmentFilterId = NewType("AssignmentFilterId", str)
"""A rule that narrows whom an assignment reaches."""
ReusableSettingId = NewType("ReusableSettingId", str)
"""A setting that several policies refer to."""
PackageId = NewType("PackageId", str)
"""An onboarding package."""
SettingId = NewType("SettingId", str)
"""A ``settingDefinitionId`` exactly as published."""
TemplateId = NewType("TemplateId", str)
"""A policy template with its version, ``<baseId>_<version>``."""
Digest = NewType("Digest", str)
"""A SHA-256 as 64 lower-case hexadecimal digits; the name of content-addressed bytes."""
KeyThumbprint = NewType("KeyThumbprint", str)
"""RFC 7638 thumbprint of a public key, base64url without padding."""

# The same types as they stand in a message: decoding refuses what does not match.
TenantIdField = Annotated[TenantId, msgspec.Meta(pattern=UUID_PATTERN)]
DeviceIdField = Annotated[DeviceId, msgspec.Meta(pattern=UUID_PATTERN)]
PolicyIdField = Annotated[PolicyId, msgspec.Meta(pattern=UUID_PATTERN)]
PackageIdField = Annotated[PackageId, msgspec.Meta(pattern=UUID_PATTERN)]
DigestField = Annotated[Digest, msgspec.Meta(pattern=DIGEST_PATTERN)]
SettingIdField = Annotated[SettingId, msgspec.Meta(min_length=1, max_length=512)]
ThumbprintField = Annotated[KeyThumbprint, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{43}\Z")]

_UUID: Final = re.compile(UUID_PATTERN)
_DIGEST: Final = re.compile(DIGEST_PATTERN)


def _uuid(text: str, kind: str) -> str:
    lowered = text.lower()
    if not _UUID.match(lowered):
        raise InvalidIdError(f"{text[:64]!r} is not the id of a {kind}.")
    return lowered


def parse_tenant_id(text: str) -> TenantId:
    """Read a tenant id. Raises: InvalidIdError."""
    return TenantId(_uuid(text, "tenant"))


def parse_device_id(text: str) -> DeviceId:
    """Read a device id. Raises: InvalidIdError."""
    return DeviceId(_uuid(text, "device"))


def parse_group_id(text: str) -> GroupId:
    """Read a group id. Raises: InvalidIdError."""
    return GroupId(_uuid(text, "group"))


def parse_policy_id(text: str) -> PolicyId:
    """Read a policy id. Raises: InvalidIdError."""
    return PolicyId(_uuid(text, "policy"))


def parse_assignment_filter_id(text: str) -> AssignmentFilterId:
    """Read an assignment filter's id. Raises: InvalidIdError."""
    return AssignmentFilterId(_uuid(text, "assignment filter"))


def parse_reusable_setting_id(text: str) -> ReusableSettingId:
    """Read a reusable setting's id. Raises: InvalidIdError."""
    return ReusableSettingId(_uuid(text, "reusable setting"))


def parse_package_id(text: str) -> PackageId:
    """Read an onboarding package's id. Raises: InvalidIdError."""
    return PackageId(_uuid(text, "package"))


def parse_digest(text: str) -> Digest:
    """Read a SHA-256 in hexadecimal. Raises: InvalidIdError."""
    if not _DIGEST.match(text):
        raise InvalidIdError(f"{text[:64]!r} is not a SHA-256 digest.", remedy="A digest is 64 hexadecimal digits.")
    return Digest(text)
