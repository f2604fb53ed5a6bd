"""The trust root: which keys may sign what, handed to a device in its onboarding package."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import msgspec

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DigestField, TenantIdField
from shieldwall.trust import strict_base64
from shieldwall.trust.dsse import BadEnvelopeKeyError, PublicEnvelopeKey

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

MAX_KEYS = 16
MAX_INCARNATION = 2**13 - 1
"""Manifest versions are ``incarnation * 2**40 + counter`` and stay below 2⁵³."""

Pem = Annotated[str, msgspec.Meta(min_length=64, max_length=8192)]


class Role(StrEnum):
    """What a key may sign."""

    ONBOARDING = "onboarding"
    POLICY = "policy"
    MANIFEST = "manifest"
    TIME = "time"


class InvalidTrustRootError(ShieldwallError):
    """The trust root contradicts itself; nothing may be verified with it."""

    code = "invalidTrustRoot"
    remedy = "Download a new onboarding package from the server."


class RoleKeys(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of one role, by key id, and how many of them have to sign."""

    keys: Annotated[dict[DigestField, Annotated[str, msgspec.Meta(max_length=64)]], msgspec.Meta(max_length=MAX_KEYS)]
    threshold: Annotated[int, msgspec.Meta(ge=1, le=MAX_KEYS)]

    def public_keys(self) -> dict[str, PublicEnvelopeKey]:
        """Return the keys by id. Raises: InvalidTrustRootError."""
        return dict(self._read())

    def _read(self) -> Iterator[tuple[str, PublicEnvelopeKey]]:
        for keyid, text in self.keys.items():
            try:
                key = PublicEnvelopeKey(strict_base64.decode(text))
            except (ValueError, BadEnvelopeKeyError):
                raise InvalidTrustRootError(f"The key {keyid} is not an Ed25519 key in base64.") from None
            if key.keyid != keyid:  # else one key could stand under two names and meet a threshold alone
                raise InvalidTrustRootError(f"The key {keyid} stands under another name than its own.")
            yield keyid, key


class Roles(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All roles; each has its own keys."""

    onboarding: RoleKeys
    policy: RoleKeys
    manifest: RoleKeys
    time: RoleKeys

    def of(self, role: Role) -> RoleKeys:
        """Return the keys of one role."""
        match role:
            case Role.ONBOARDING:
                return self.onboarding
            case Role.POLICY:
                return self.policy
            case Role.MANIFEST:
                return self.manifest
            case Role.TIME:
                return self.time


class TrustRoot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Whom a device of this tenant believes.

    ``incarnation`` rises when a server is restored from a backup; ``version`` rises with every change of the root.
    A root that contradicts itself cannot be made: no key in two roles or under a false name, no threshold out of reach.
    Its device authorities are looked at by whoever is handed a root for the first time (``check_authorities``). A root
    read again from a disk is not asked for them, and nobody believes one but by ``authorities``, which checks.
    """

    tenant_id: TenantIdField
    incarnation: Annotated[int, msgspec.Meta(ge=1, le=MAX_INCARNATION)]
    version: Annotated[int, msgspec.Meta(ge=1)]
    roles: Roles
    device_authorities: Annotated[tuple[Pem, ...], msgspec.Meta(min_length=1, max_length=4)]

    def __post_init__(self) -> None:
        """Refuse contradictions. Raises: InvalidTrustRootError."""
        seen: set[str] = set()
        for role in Role:
            keys = self.roles.of(role)
            named = keys.public_keys()
            if keys.threshold > len(named):
                raise InvalidTrustRootError(f"The role {role} asks for more signatures than it has keys.")
            if not seen.isdisjoint(named):
                raise InvalidTrustRootError(f"A key of the role {role} also serves another role.")
            seen.update(named)

    def check_authorities(self) -> None:
        """Refuse device authorities that are no certificates of one. Raises: InvalidTrustRootError."""
        self.authorities()

    def authorities(self) -> tuple[Certificate, ...]:
        """Return the device authorities, to verify with. Raises: InvalidTrustRootError."""
        return tuple(map(_authority, self.device_authorities))

    def keys(self, role: Role) -> Mapping[str, PublicEnvelopeKey]:
        """Return the keys of a role by id."""
        return self.roles.of(role).public_keys()

    def threshold(self, role: Role) -> int:
        """Return how many keys of a role have to sign."""
        return self.roles.of(role).threshold


def role_keys(*keys: PublicEnvelopeKey, threshold: int = 1) -> RoleKeys:
    """List keys under their own names."""
    return RoleKeys(keys={key.keyid: strict_base64.encode(key.raw) for key in keys}, threshold=threshold)  # type: ignore[misc]  # a key id is a digest


def _authority(pem: str) -> Certificate:
    # Three megabytes that a device, which reads its root every minute, would keep for nothing.
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    from shieldwall.trust.x509_errors import UNREADABLE  # noqa: PLC0415

    try:
        certificate = x509.load_pem_x509_certificate(pem.encode("ascii"))
        key = certificate.public_key()
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except UNREADABLE:
        raise InvalidTrustRootError("A device authority is not a certificate of an authority in PEM.") from None
    if not (constraints.ca and isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)):
        raise InvalidTrustRootError("A device authority is not a P-256 certificate authority.")
    return certificate
