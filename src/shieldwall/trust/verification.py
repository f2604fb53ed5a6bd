"""What a device checks before it enforces anything, in this order; whatever fails, it keeps what it has.

Manifest: bounds → type → role key → strict JSON → tenant → incarnation → device and its key → version → expiry → items.
Policy: bounds → type → role key → length → digest → strict JSON → tenant → policy and revision.
Time: bounds → type → role key → strict JSON → tenant → the question asked.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from shieldwall.contract import strict_json
from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import DeviceId, KeyThumbprint, TenantId
from shieldwall.contract.messages import MAX_BODY_BYTES, Envelope, Manifest, ManifestItem, TimeStatement
from shieldwall.contract.settings import PolicyDocument
from shieldwall.contract.target import target_digest
from shieldwall.trust import moments, payload_types, refusals, strict_base64
from shieldwall.trust.dsse import BadEnvelopeError, TooFewSignaturesError, WrongPayloadTypeError, open_envelope
from shieldwall.trust.roots import Role, TrustRoot

MAX_MANIFEST_BYTES: Final = MAX_BODY_BYTES
MAX_MANIFEST_DEPTH: Final = 8
MAX_TIME_BYTES: Final = 1024
COUNTER_BITS: Final = 40
"""A manifest's version is ``incarnation << COUNTER_BITS`` plus a counter that never falls."""


def open_manifest(
    envelope: Envelope,
    root: TrustRoot,
    *,
    tenant_id: TenantId,
    device_id: DeviceId,
    device_key: KeyThumbprint,
    last_version: int,
    now: datetime,
) -> Manifest:
    """Return the manifest, once it is believed.

    Expiry speaks about a new manifest only: one that was taken in time stays in force until the next one.

    Raises:
        RefusedManifestError: Refused; each reason is a subclass with its own code.
    """
    manifest = _manifest(envelope, root)
    # 1. It was made for us: tenant, incarnation, device, key.
    if manifest.tenant_id != tenant_id or root.tenant_id != tenant_id:
        raise refusals.ManifestTenantError(f"The manifest is for the tenant {manifest.tenant_id}.")
    if manifest.incarnation < root.incarnation or manifest.manifest_version >> COUNTER_BITS != manifest.incarnation:
        raise refusals.ManifestIncarnationError(f"The manifest is of incarnation {manifest.incarnation}.")
    if manifest.device_id != device_id:
        raise refusals.ManifestDeviceError(f"The manifest is for the device {manifest.device_id}.")
    if manifest.device_key != device_key:
        raise refusals.ManifestKeyError("The manifest is for another key of this device.")
    # 2. It is news.
    if manifest.manifest_version <= last_version:
        raise refusals.ManifestNotNewerError(
            f"The manifest has version {manifest.manifest_version}, the device holds {last_version}."
        )
    if now >= _expiry(manifest):
        raise refusals.ManifestExpiredError(f"The manifest expired at {manifest.expires}.")
    # 3. It says one thing only.
    if len({item.policy_id for item in manifest.items}) != len(manifest.items):
        raise refusals.ManifestItemsError("The manifest names a policy twice.")
    target = target_digest(
        manifest.items,
        manifest.conflict_rules,
        manifest.protection,
        offboard=manifest.offboard,
        enrollment=manifest.enrollment,
    )
    if target != manifest.target:
        raise refusals.ManifestItemsError("The items and rules of the manifest do not make up the target it names.")
    return manifest


def open_policy(envelope: Envelope, root: TrustRoot, item: ManifestItem, tenant_id: TenantId) -> PolicyDocument:
    """Return the policy revision that a believed manifest names.

    Raises:
        RefusedPolicyError: Refused; each reason is a subclass with its own code.
    """
    try:
        payload = _signed_payload(envelope, root, Role.POLICY, payload_types.POLICY, MAX_BODY_BYTES)
    except WrongPayloadTypeError as error:
        raise refusals.PolicyTypeError(error.cause) from None
    except TooFewSignaturesError as error:
        raise refusals.PolicySignatureError(error.cause) from None
    except BadEnvelopeError as error:
        raise refusals.PolicyMalformedError(error.cause) from None
    if len(payload) != item.length:
        raise refusals.PolicyLengthError(f"The policy has {len(payload)} bytes, the manifest says {item.length}.")
    if strict_json.digest_of_bytes(payload) != item.digest:
        raise refusals.PolicyDigestError("The policy is not the one whose digest the manifest names.")
    try:
        document = strict_json.decode(payload, PolicyDocument)
    except InvalidJsonError as error:
        raise refusals.PolicyMalformedError(f"The policy cannot be read: {error.cause}") from None
    if document.tenant_id != tenant_id:
        raise refusals.PolicyTenantError(f"The policy belongs to the tenant {document.tenant_id}.")
    if (document.policy_id, document.revision) != (item.policy_id, item.revision):
        raise refusals.PolicyIdentityError(
            f"The policy is revision {document.revision} of {document.policy_id}, not the one the manifest names."
        )
    return document


def open_time(envelope: Envelope, root: TrustRoot, *, tenant_id: TenantId, nonce: str) -> datetime:
    """Return the time the server signed for ``nonce``. Raises: RefusedTimeError."""
    try:
        payload = _signed_payload(envelope, root, Role.TIME, payload_types.TIME, MAX_TIME_BYTES)
        statement = strict_json.decode(payload, TimeStatement, max_depth=1)
        time = moments.parse(statement.time)
    except (BadEnvelopeError, InvalidJsonError) as error:
        raise refusals.RefusedTimeError(error.cause) from None
    except ValueError as error:
        raise refusals.RefusedTimeError(str(error)) from None
    if (statement.tenant_id, statement.nonce) != (tenant_id, nonce):
        raise refusals.RefusedTimeError("The statement of time answers another question.")
    return time


def nonce_of(envelope: Envelope) -> str:
    """Read which question a statement of time answers, before anything is believed of it. Raises: RefusedTimeError."""
    try:
        payload = strict_base64.decode(envelope.payload[: 2 * MAX_TIME_BYTES])
        return strict_json.decode(payload, TimeStatement, max_depth=1).nonce
    except (ValueError, InvalidJsonError) as error:
        raise refusals.RefusedTimeError(f"The statement of time cannot be read: {error}") from None


def _manifest(envelope: Envelope, root: TrustRoot) -> Manifest:
    try:
        payload = _signed_payload(envelope, root, Role.MANIFEST, payload_types.MANIFEST, MAX_MANIFEST_BYTES)
        return strict_json.decode(payload, Manifest, max_depth=MAX_MANIFEST_DEPTH)
    except WrongPayloadTypeError as error:
        raise refusals.ManifestTypeError(error.cause) from None
    except TooFewSignaturesError as error:
        raise refusals.ManifestSignatureError(error.cause) from None
    except (BadEnvelopeError, InvalidJsonError) as error:
        raise refusals.ManifestMalformedError(f"The manifest cannot be read: {error.cause}") from None


def _signed_payload(envelope: Envelope, root: TrustRoot, role: Role, payload_type: str, max_bytes: int) -> bytes:
    return open_envelope(envelope, payload_type, root.keys(role), root.threshold(role), max_bytes=max_bytes)


def _expiry(manifest: Manifest) -> datetime:
    try:
        return moments.parse(manifest.expires)
    except ValueError as error:
        raise refusals.ManifestMalformedError(f"The manifest's expiry cannot be read: {error}") from None
