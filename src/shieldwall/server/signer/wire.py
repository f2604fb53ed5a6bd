"""The protocol on the signer's socket: frames of a four-byte length and strict JSON, at most 1 MiB.

One request, one answer, any number of times on a connection. The types below are the whole vocabulary.
"""

from __future__ import annotations

import socket
import struct
import time
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from shieldwall.contract.conflicts import ConflictFamily, ConflictRule
from shieldwall.contract.ids import DeviceIdField, TenantIdField, ThumbprintField
from shieldwall.contract.messages import (
    MANAGED_CODE,
    MAX_MANIFEST_ITEMS,
    UNPROTECTED,
    EnrollmentField,
    InstanceId,
    ManifestItem,
    Protection,
)
from shieldwall.server.signer.errors import BadFrameError
from shieldwall.trust.offboarding import OffboardingPackage
from shieldwall.trust.onboarding import OnboardingPackage

MAX_FRAME_BYTES: Final = 1024 * 1024
FRAME_SECONDS: Final = 10.0
"""How long one frame may take from its first byte to its last."""

Base64 = Annotated[str, msgspec.Meta(max_length=MAX_FRAME_BYTES)]


class SignPolicy(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename="camel",
    tag_field="verb",
    tag="signPolicy",
):
    """Sign a policy's revision; the document in base64."""

    document: Base64


class SignManifest(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename="camel",
    tag_field="verb",
    tag="signManifest",
):
    """Sign what a device shall enforce."""

    tenant_id: TenantIdField
    device_id: DeviceIdField
    device_key: ThumbprintField
    items: Annotated[tuple[ManifestItem, ...], msgspec.Meta(max_length=MAX_MANIFEST_ITEMS)]
    conflict_rules: dict[ConflictFamily, ConflictRule] = {}
    protection: Protection = UNPROTECTED
    offboard: bool = False
    enrollment: EnrollmentField = MANAGED_CODE


class SignTime(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename="camel",
    tag_field="verb",
    tag="signTime",
):
    """Sign the present time."""

    nonce: InstanceId


class IssueCertificate(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename="camel",
    tag_field="verb",
    tag="issueCertificate",
):
    """Certify a device's key; the SubjectPublicKeyInfo in base64."""

    spki: Annotated[str, msgspec.Meta(max_length=1024)]
    tenant_id: TenantIdField
    device_id: DeviceIdField


class SealPackage(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename="camel",
    tag_field="verb",
    tag="sealPackage",
):
    """Sign an onboarding package."""

    package: OnboardingPackage


class SealOffboarding(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename="camel",
    tag_field="verb",
    tag="sealOffboarding",
):
    """Sign an offboarding package."""

    package: OffboardingPackage


class SignToken(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename="camel",
    tag_field="verb",
    tag="signToken",
):
    """Sign a token."""

    claims: dict[str, Any]


class RotateTokenKey(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename="camel",
    tag_field="verb",
    tag="rotateTokenKey",
):
    """Make the next key of tokens; the answer is its name, empty where none is due."""

    at_once: bool = False
    only_if_due: bool = False


class GetTrustRoot(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename="camel",
    tag_field="verb",
    tag="getTrustRoot",
):
    """Return the trust root."""


class GetTokenKeys(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename="camel",
    tag_field="verb",
    tag="getTokenKeys",
):
    """Return the JWK Set that verifies tokens."""


Request: TypeAlias = (
    SignPolicy
    | SignManifest
    | SignTime
    | IssueCertificate
    | SealPackage
    | SealOffboarding
    | SignToken
    | RotateTokenKey
    | GetTrustRoot
    | GetTokenKeys
)


class Question(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A request, and the tenant whose keys shall answer it; what the request itself says of a tenant must agree."""

    tenant_id: TenantIdField
    request: Request


class Granted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="answer", tag="granted"):
    """The result: an envelope, a trust root, a key set, or a text."""

    result: Any


class Refused(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="answer", tag="refused"):
    """Why not."""

    code: Annotated[str, msgspec.Meta(max_length=64)]
    cause: str
    remedy: str


Answer: TypeAlias = Granted | Refused


def write_frame(connection: socket.socket, data: bytes) -> None:
    """Send one frame. Raises: BadFrameError when it is too large, OSError."""
    if len(data) > MAX_FRAME_BYTES:
        raise BadFrameError(f"The message is larger than {MAX_FRAME_BYTES} bytes.")
    connection.settimeout(FRAME_SECONDS)
    connection.sendall(struct.pack(">I", len(data)) + data)


def read_frame(connection: socket.socket, *, wait_seconds: float | None) -> bytes | None:
    """Receive one frame, waiting that long for it to begin; ``None`` when the other side hung up in between.

    Raises:
        BadFrameError: It is too large, or ends half way.
        OSError: The connection failed, or a frame took too long.
    """
    connection.settimeout(wait_seconds)
    head = connection.recv(4)
    if not head:
        return None
    deadline = time.monotonic() + FRAME_SECONDS
    head += _receive(connection, 4 - len(head), deadline)
    (length,) = struct.unpack(">I", head)
    if length > MAX_FRAME_BYTES:
        raise BadFrameError(f"The message is larger than {MAX_FRAME_BYTES} bytes.")
    return _receive(connection, length, deadline)


def _receive(connection: socket.socket, count: int, deadline: float) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        connection.settimeout(max(deadline - time.monotonic(), 0.001))
        part = connection.recv(min(count - len(parts), 65_536))
        if not part:
            raise BadFrameError("The connection ended within a message.")
        parts += part
    return bytes(parts)
