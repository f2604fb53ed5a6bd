"""The onboarding package, and the proof that a device holds one.

The package is a DSSE envelope that carries the trust root itself, so a device knows its owner before it says a word. It
is signed by the onboarding key listed in that root: a package that was changed in any place no longer fits itself.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Final, Literal

import msgspec

from shieldwall.contract import strict_json
from shieldwall.contract.errors import InvalidJsonError, ShieldwallError
from shieldwall.contract.ids import PackageIdField, TenantId, TenantIdField
from shieldwall.contract.messages import Envelope
from shieldwall.contract.registration import RegisterRequest
from shieldwall.trust import moments, payload_types, strict_base64
from shieldwall.trust.dsse import (
    BadEnvelopeError,
    EnvelopeKey,
    TooFewSignaturesError,
    WrongPayloadTypeError,
    open_envelope,
    seal,
)
from shieldwall.trust.roots import InvalidTrustRootError, Pem, Role, TrustRoot

MAX_PACKAGE_BYTES: Final = 64 * 1024
MAX_USES: Final = 1_000_000
SECRET_BYTES: Final = 32
_CONTEXT: Final = b"shieldwall-eab-v1\0"
_URL: Final = re.compile(
    r"https://(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::[1-9][0-9]{0,4})?(?:/[A-Za-z0-9._~/-]*)?\Z"
)

ServerUrl = Annotated[str, msgspec.Meta(max_length=512)]
Tag = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class InvalidPackageError(ShieldwallError):
    """The onboarding package is refused, before anybody is contacted."""

    code = "packageInvalid"
    remedy = "Download a new onboarding package from the server and place it unchanged."


class PackageTooLargeError(InvalidPackageError):
    """More than 64 KiB."""

    code = "packageTooLarge"


class PackageMalformedError(InvalidPackageError):
    """Not strict JSON, or not of the shape of a package."""

    code = "packageMalformed"


class PackageTypeError(InvalidPackageError):
    """A signed document, but of another kind."""

    code = "packageType"


class PackageSignatureError(InvalidPackageError):
    """Changed after it was signed, or never signed."""

    code = "packageSignature"


class PackageTenantError(InvalidPackageError):
    """Parts of different tenants, or of another tenant than expected."""

    code = "packageTenant"


class PackageNotYetValidError(InvalidPackageError):
    """Used before its time."""

    code = "packageNotYetValid"
    remedy = "Check this device's clock, or wait until the package becomes valid."


class PackageExpiredError(InvalidPackageError):
    """Used after its time."""

    code = "packageExpired"


class BadOnboardingProofError(ShieldwallError):
    """The caller does not hold the package it names, or proves it for another key, nonce or body."""

    code = "badOnboardingProof"
    remedy = "Download a new onboarding package from the server and onboard the device with it."


class OnboardingKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The secret of a package: 32 bytes in base64url, and its name."""

    kid: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    k: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{43}\Z")]

    def __post_init__(self) -> None:
        """Refuse a second spelling of the same secret. Raises: ValueError."""
        self.secret()

    def secret(self) -> bytes:
        """Return the 32 bytes."""
        return strict_base64.decode_url(self.k)

    def __repr__(self) -> str:
        """Keep the secret out of logs and tracebacks."""
        return f"OnboardingKey(kid={self.kid!r})"


class OnboardingPackage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What a device needs to find its server, to believe it, and to be let in."""

    v: Literal[1] = 1
    tenant_id: TenantIdField
    package_id: PackageIdField
    server_urls: Annotated[tuple[ServerUrl, ...], msgspec.Meta(min_length=1, max_length=8)]
    tls_roots: Annotated[tuple[Pem, ...], msgspec.Meta(max_length=4)] = ()
    trust_root: TrustRoot
    onboarding_key: OnboardingKey
    not_before: str
    not_after: str
    max_uses: Annotated[int, msgspec.Meta(ge=1, le=MAX_USES)] = 500
    allowed_platforms: Annotated[
        tuple[Literal["linux", "windows", "macos"], ...], msgspec.Meta(min_length=1, max_length=3)
    ] = ("linux",)
    tags: Annotated[tuple[Tag, ...], msgspec.Meta(max_length=16)] = ()
    attestation: Literal["none", "optional", "tpm-required"] = "optional"
    approval: Literal["auto", "manual"] = "auto"
    """What awaits whoever comes with it; the server decides by its own record and not by what stands here."""
    join_type: Literal["synthetic", "full"] = "synthetic"

    def __post_init__(self) -> None:
        """Refuse addresses that are not HTTPS, times and roots that are none. Raises: ValueError."""
        for url in self.server_urls:
            if not _URL.match(url):
                raise ValueError(f"{url[:128]!r} is not an https address in plain lower-case form")
        if not moments.parse(self.not_before) < moments.parse(self.not_after):
            raise ValueError("the package ends before it begins")
        for pem in self.tls_roots:
            _check_certificate(pem)
        self.trust_root.check_authorities()


_LATER_MEMBERS: Final = MappingProxyType({"attestation": "optional", "approval": "auto", "joinType": "synthetic"})
"""What packages did not say at first, and what holds where one says nothing of it."""


def seal_package(package: OnboardingPackage, key: EnvelopeKey) -> Envelope:
    """Sign a package with the onboarding role's key.

    Agents from before refuse what they do not know, so a package names later members only where they are not as usual.
    """
    members = msgspec.to_builtins(package)
    for name, usual in _LATER_MEMBERS.items():
        if members[name] == usual:
            del members[name]
    return seal(strict_json.encode(members), payload_types.ONBOARDING, key)


def open_package(data: bytes, now: datetime, *, tenant_id: TenantId | None = None) -> OnboardingPackage:
    """Read a package file and believe it, or say why not.

    ``tenant_id`` is the tenant a device already belongs to, if any: it then takes no other tenant's package.

    Raises:
        InvalidPackageError: Refused; each reason is a subclass with its own code.
    """
    if len(data) > MAX_PACKAGE_BYTES:
        raise PackageTooLargeError(f"The package is larger than {MAX_PACKAGE_BYTES} bytes.")
    try:
        envelope = strict_json.decode(data, Envelope, max_depth=8)
        claimed = strict_json.decode(_unverified_payload(envelope), OnboardingPackage, max_depth=8)
    except (InvalidJsonError, InvalidTrustRootError) as error:
        raise PackageMalformedError(f"The package cannot be read: {error.cause}") from None
    root = claimed.trust_root
    try:
        open_envelope(envelope, payload_types.ONBOARDING, root.keys(Role.ONBOARDING), root.threshold(Role.ONBOARDING))
    except WrongPayloadTypeError as error:
        raise PackageTypeError(error.cause) from None
    except TooFewSignaturesError:
        raise PackageSignatureError("The package is not signed by the key of its own trust root.") from None
    except BadEnvelopeError as error:
        raise PackageMalformedError(error.cause) from None
    if root.tenant_id != claimed.tenant_id or tenant_id not in {None, claimed.tenant_id}:
        raise PackageTenantError("The package, its trust root and this device do not belong to the same tenant.")
    if now < moments.parse(claimed.not_before):
        raise PackageNotYetValidError(f"The package is valid from {claimed.not_before}.")
    if now >= moments.parse(claimed.not_after):
        raise PackageExpiredError(f"The package expired at {claimed.not_after}.")
    return claimed


def proven_body(request: RegisterRequest) -> bytes:
    """Return the canonical bytes of a registration without its proof: what the proof speaks about."""
    members = msgspec.to_builtins(request)
    del members["shieldwall"]["onboarding"]
    return strict_json.encode(members)


def older_proven_body(request: RegisterRequest) -> bytes:
    """Return what agents that speak protocol 1 prove: they name a hash of hardware also where they have none."""
    members = msgspec.to_builtins(request)
    del members["shieldwall"]["onboarding"]
    hardware = members["shieldwall"]["hardware"]
    members["shieldwall"]["hardware"] = {"machineIdHash": None, "smbiosUuidHash": None} | hardware
    return strict_json.encode(members)


def proof(k: bytes, tenant_id: TenantId, nonce: str, spki_der: bytes, body_without_onboarding: bytes) -> str:
    """Prove holding the secret ``k`` for one tenant, nonce, key and body; base64url of HMAC-SHA-256."""
    message = b"".join(
        (
            _CONTEXT,
            tenant_id.encode("ascii"),
            b"\0",
            nonce.encode("utf-8"),
            hashlib.sha256(spki_der).digest(),
            hashlib.sha256(body_without_onboarding).digest(),
        )
    )
    return strict_base64.encode_url(hmac.digest(k, message, "sha256"))


def check_proof(
    k: bytes, tenant_id: TenantId, nonce: str, spki_der: bytes, body_without_onboarding: bytes, *, mac: str
) -> None:
    """Check a proof in constant time. Raises: BadOnboardingProofError."""
    expected = proof(k, tenant_id, nonce, spki_der, body_without_onboarding)
    if not hmac.compare_digest(expected.encode(), mac.encode("utf-8", "replace")):
        raise BadOnboardingProofError("The proof of onboarding does not fit the package, the key and the request.")


def _check_certificate(pem: str) -> None:
    # As in roots.py: only who opens a package needs it.
    from cryptography import x509  # noqa: PLC0415

    from shieldwall.trust.x509_errors import UNREADABLE  # noqa: PLC0415

    try:
        x509.load_pem_x509_certificate(pem.encode("ascii"))
    except UNREADABLE:
        raise ValueError("a TLS root is not a certificate in PEM") from None


def _unverified_payload(envelope: Envelope) -> bytes:
    """Return the payload only to find the keys in it: with this one document, they come inside."""
    try:
        return strict_base64.decode(envelope.payload)
    except ValueError as error:
        raise PackageMalformedError(f"The payload of the package cannot be read: {error}") from None
