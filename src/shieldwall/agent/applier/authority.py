"""What the applier believes, and why: signatures, floors and proofs against what is pinned. Pure, but for its pin.

A manifest is believed when ``trust.verification`` believes it for the tenant pinned, for this device and its key or for
a successor that has proven its key, and when it is newer than the newest one seen. The very same one again is no step
back. Its policies are believed by its own word about their digests, and by the tenant's policy key.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from shieldwall.agent.applier.pin import Authority, Device, Floor, Pin
from shieldwall.agent.applier.refusals import DeviceProofError, NotPinnedError
from shieldwall.contract.ids import DeviceId, DeviceIdField, Digest, KeyThumbprint, TenantId
from shieldwall.contract.messages import Envelope, InstanceId, Manifest, ManifestItem
from shieldwall.contract.settings import PolicyDocument
from shieldwall.contract.strict_json import digest_of_bytes, encode
from shieldwall.trust import moments, refusals, strict_base64
from shieldwall.trust.device_key import BadDeviceKeyError, is_signed_by, public_key_from_bytes, thumbprint
from shieldwall.trust.offboarding import OffboardingPackage, open_offboarding
from shieldwall.trust.verification import open_manifest, open_policy

BEFORE_ALL_EXPIRY: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CONTEXT: Final = b"shieldwall applier: this device is\n"
"""Keeps this signature from being taken for one of a request, whose text begins otherwise."""


class Claim(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A device's word about who it is: its public key (an uncompressed point) and a signature over our nonce."""

    id: DeviceIdField
    public_key: str
    nonce: InstanceId
    signature: str


class Believed(Struct, frozen=True, kw_only=True):
    """A manifest, and for which of the pinned identities it was made."""

    manifest: Manifest
    device: Device
    floor: Floor

    def upon(self, pin: Pin) -> Pin:
        """Return the pin once this manifest is the newest: identity, floors and protection follow it."""
        return replace(
            pin,
            device=self.device,
            successor=None if self.device == pin.successor else pin.successor,
            floor=self.floor,
            time_floor=max(pin.time_floor, self.manifest.issued, key=_moment),
            protected=self.manifest.protection.tamper,
        )


def claim_text(tenant_id: TenantId, device_id: DeviceId, key: KeyThumbprint, nonce: str) -> bytes:
    """Return what a device signs to say who it is."""
    return _CONTEXT + encode({"deviceId": device_id, "key": key, "nonce": nonce, "tenantId": tenant_id})


def proven(claim: Claim, tenant_id: TenantId) -> Device:
    """Return who a claim says this is, once the key itself has said so. Raises: DeviceProofError."""
    try:
        key = public_key_from_bytes(strict_base64.decode(claim.public_key))
        signature = strict_base64.decode(claim.signature)
    except (ValueError, BadDeviceKeyError):
        raise DeviceProofError("The key or the signature of the claim cannot be read.") from None
    device = Device(id=claim.id, key=thumbprint(key))
    if not is_signed_by(key, signature, claim_text(tenant_id, device.id, device.key, claim.nonce)):
        raise DeviceProofError(f"The claim to be {claim.id} is not signed by the key it names.")
    return device


def believed(pin: Pin, envelope: Envelope, now: datetime) -> Believed:
    """Open a manifest: of the tenant pinned, for this device, no step back, and in time where it is news.

    Raises:
        NotPinnedError: Nobody knows who this device is.
        RefusedManifestError: As ``open_manifest``.
    """
    manifest, device = _opened(pin, envelope, BEFORE_ALL_EXPIRY)
    floor = Floor(version=manifest.manifest_version, digest=payload_digest(envelope))
    if floor != pin.floor:
        if pin.floor is not None and floor.version == pin.floor.version:
            raise refusals.ManifestNotNewerError(f"Another manifest of version {floor.version} is held already.")
        manifest, device = _opened(pin, envelope, now)
    return Believed(manifest=manifest, device=device, floor=floor)


def policy(pin: Pin, envelope: Envelope, item: ManifestItem) -> PolicyDocument:
    """Open a policy that a believed manifest names. Raises: RefusedPolicyError."""
    authority = pin.authority
    return open_policy(envelope, authority.trust_root, item, authority.tenant_id)


def leave(pin: Pin, envelope: Envelope, platform: str, now: datetime) -> OffboardingPackage:
    """Open an offboarding package for this device. Raises: NotPinnedError, InvalidPackageError."""
    refusal: Exception = NotPinnedError("Nobody has said who this device is.")
    for device in pin.devices:
        if is_another(pin, device) and pin.protected:
            continue  # whoever owns the agent and a device without protection must not leave under its name
        try:
            return open_offboarding(
                encode(envelope),
                pin.authority.trust_root,
                tenant_id=pin.authority.tenant_id,
                device_id=device.id,
                platform=platform,
                now=now,
            )
        except Exception as error:  # noqa: BLE001 - kept, and raised where no identity is let go
            refusal = error
    raise refusal


def is_another(pin: Pin, device: Device) -> bool:
    """Say whether somebody is another device than this one is so far, and not the same with another key.

    That is what a promotion looks like, and what whoever owns the agent and the key of any other device can do.
    """
    return pin.device is not None and pin.device.id != device.id


def trusted_now(pin: Pin | None, local: datetime) -> datetime:
    """Return the time to judge signed documents by: never before what they have shown already."""
    if pin is None:
        return local
    moment = local + timedelta(seconds=pin.offset_seconds)
    return max(moment, _moment(pin.time_floor)) if pin.time_floor else moment


def payload_digest(envelope: Envelope) -> Digest:
    """Name what an envelope holds, by the bytes that were signed. Raises: RefusedManifestError."""
    try:
        return digest_of_bytes(strict_base64.decode(envelope.payload))
    except ValueError as error:
        raise refusals.ManifestMalformedError(f"The envelope cannot be read: {error}") from None


def merged(authority: Authority, newer: Authority) -> Authority:
    """Return the newer word of root about the same tenant; an older root of it changes only the way to the server."""
    if newer.trust_root.version < authority.trust_root.version:
        return replace(authority, server_urls=newer.server_urls)
    return newer


def _opened(pin: Pin, envelope: Envelope, now: datetime) -> tuple[Manifest, Device]:
    authority = pin.authority
    last_version = -1 if pin.floor is None else pin.floor.version - 1
    refusal: Exception = NotPinnedError("Nobody has said who this device is.")
    for device in pin.devices:
        try:
            manifest = open_manifest(
                envelope,
                authority.trust_root,
                tenant_id=authority.tenant_id,
                device_id=device.id,
                device_key=device.key,
                last_version=last_version,
                now=now,
            )
        except (refusals.ManifestDeviceError, refusals.ManifestKeyError) as error:
            refusal = error
        else:
            return manifest, device
    raise refusal


def _moment(text: str) -> datetime:
    """Read a moment; a text that is none counts as the beginning of time, so that it raises no floor."""
    try:
        return moments.parse(text)
    except ValueError:
        return BEFORE_ALL_EXPIRY
