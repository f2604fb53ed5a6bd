"""The verbs of the signer: parse, decide, sign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar

from joserfc import jwt

from shieldwall.contract import strict_json
from shieldwall.contract.clock import Clock
from shieldwall.contract.conflicts import PUBLISHED, ConflictRules
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId, DeviceIdField, KeyThumbprint, TenantId
from shieldwall.contract.messages import (
    MANAGED_CODE,
    MAX_BODY_BYTES,
    UNPROTECTED,
    Envelope,
    Manifest,
    ManifestItem,
    Protection,
    TimeStatement,
)
from shieldwall.contract.settings import PolicyDocument
from shieldwall.contract.target import ordered, target_digest
from shieldwall.server.signer.errors import OtherTenantError, UnsignableDocumentError
from shieldwall.server.signer.incarnations import first_number
from shieldwall.server.signer.keys import SigningKeys
from shieldwall.server.signer.ledger import Ledger
from shieldwall.server.signer.tokens import checked_claims
from shieldwall.trust import moments, payload_types
from shieldwall.trust.device_key import public_key_from_info
from shieldwall.trust.dsse import seal
from shieldwall.trust.offboarding import OffboardingPackage, seal_offboarding
from shieldwall.trust.onboarding import MAX_PACKAGE_BYTES, OnboardingPackage, seal_package
from shieldwall.trust.roots import Role, TrustRoot
from shieldwall.trust.verification import COUNTER_BITS, MAX_MANIFEST_BYTES

T = TypeVar("T")

MANIFEST_LIFETIME: Final = timedelta(days=7)
LONGEST_PACKAGE_LIFETIME: Final = timedelta(days=90)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerService:
    """Signs with the keys of one tenant; implements ``ports.Signer``."""

    keys: SigningKeys
    ledger: Ledger
    clock: Clock

    def for_tenant(self, tenant_id: TenantId) -> SignerService:
        """Be the signers of a server with this one tenant. Raises: OtherTenantError."""
        self._refuse_other_tenant(tenant_id)
        return self

    def sign_policy(self, document: bytes) -> Envelope:
        """Sign a policy's revision.

        Raises:
            UnsignableDocumentError: Not a policy document, or not in its one canonical form.
            OtherTenantError: Of another tenant.
            RevisionTakenError: Another document already is this revision.
        """
        if len(document) > MAX_BODY_BYTES:
            raise UnsignableDocumentError(f"The policy is larger than {MAX_BODY_BYTES} bytes.")
        policy = _parsed(document, PolicyDocument)
        if strict_json.encode(policy) != document:  # what is signed is what was understood, with nothing beside it
            raise UnsignableDocumentError(
                "The policy is not in canonical form.", remedy="Send what strict_json.encode makes of the document."
            )
        self._refuse_other_tenant(policy.tenant_id)
        _moment(policy.modified_at, "modifiedAt")
        self.ledger.claim_revision(
            policy.tenant_id, policy.policy_id, policy.revision, strict_json.digest_of_bytes(document)
        )
        return seal(document, payload_types.POLICY, self.keys.roles[Role.POLICY])

    def envelope_of(self, document: bytes) -> Envelope:
        """Sign a policy's revision from inside a transaction of this process, as only what simulates a server does.

        Raises:
            SignerError: As ``sign_policy``.
        """
        return self.sign_policy(document)

    def sign_manifest(
        self,
        *,
        tenant_id: TenantId,
        device_id: DeviceId,
        device_key: KeyThumbprint,
        items: Sequence[ManifestItem],
        conflict_rules: ConflictRules = PUBLISHED,
        protection: Protection = UNPROTECTED,
        offboard: bool = False,
        enrollment: int = MANAGED_CODE,
    ) -> Envelope:
        """Sign what a device shall enforce, under a number that is used this once.

        Raises:
            UnsignableDocumentError: A policy stands in it twice, it is too large for a device, or it wants something
                enforced where a device is not managed or has to leave.
            OtherTenantError: Of another tenant.
        """
        self._refuse_other_tenant(tenant_id)
        if len({item.policy_id for item in items}) != len(items):
            raise UnsignableDocumentError("The manifest names a policy twice.")
        is_empty = not items and not conflict_rules and protection == UNPROTECTED
        if offboard and not (is_empty and enrollment == MANAGED_CODE):
            raise UnsignableDocumentError("The order to leave wants something enforced.")
        if enrollment != MANAGED_CODE and not is_empty:
            raise UnsignableDocumentError("A device that is not managed shall enforce something.")
        now = self.clock.now()
        incarnation = self.keys.unit.incarnation
        manifest = Manifest(
            tenant_id=tenant_id,
            incarnation=incarnation,
            device_id=device_id,
            device_key=device_key,
            manifest_version=(incarnation << COUNTER_BITS)
            + self.ledger.next_number(tenant_id, incarnation, first=first_number(incarnation, now)),
            issued=moments.write(now),
            expires=moments.write(now + MANIFEST_LIFETIME),
            target=target_digest(items, conflict_rules, protection, offboard=offboard, enrollment=enrollment),
            items=ordered(items),
            conflict_rules=dict(conflict_rules),
            protection=protection,
            offboard=offboard,
            enrollment=int(enrollment),
        )
        payload = strict_json.encode(manifest)
        if len(payload) > MAX_MANIFEST_BYTES:
            raise UnsignableDocumentError(f"The manifest is larger than {MAX_MANIFEST_BYTES} bytes.")
        _parsed(payload, Manifest)  # ids and bounds hold only after decoding; a device decodes the same way
        return seal(payload, payload_types.MANIFEST, self.keys.roles[Role.MANIFEST])

    def sign_time(self, nonce: str) -> Envelope:
        """Sign the present time. Raises: UnsignableDocumentError."""
        statement = TimeStatement(tenant_id=self.keys.unit.tenant_id, nonce=nonce, time=moments.write(self.clock.now()))
        payload = strict_json.encode(statement)
        _parsed(payload, TimeStatement)
        return seal(payload, payload_types.TIME, self.keys.roles[Role.TIME])

    def issue_certificate(self, *, spki: bytes, tenant_id: TenantId, device_id: DeviceId) -> str:
        """Certify a device's key. Raises: UnsignableDocumentError, OtherTenantError."""
        self._refuse_other_tenant(tenant_id)
        try:
            public_key = public_key_from_info(spki)
            device_id = strict_json.convert(device_id, DeviceIdField)
        except ShieldwallError as error:
            raise UnsignableDocumentError(error.cause) from None
        return self.keys.device_authority.issue(public_key, tenant_id, device_id, self.clock.now())

    def seal_package(self, package: OnboardingPackage) -> Envelope:
        """Sign an onboarding package. Raises: UnsignableDocumentError, OtherTenantError."""
        package = _parsed(strict_json.encode(package), OnboardingPackage)
        self._refuse_other_tenant(package.tenant_id)
        if package.trust_root != self.trust_root():
            raise UnsignableDocumentError("The package carries another trust root than this signer's.")
        lifetime = moments.parse(package.not_after) - moments.parse(package.not_before)
        if lifetime > LONGEST_PACKAGE_LIFETIME:
            raise UnsignableDocumentError(f"The package is valid longer than {LONGEST_PACKAGE_LIFETIME.days} days.")
        if moments.parse(package.not_after) <= self.clock.now():
            raise UnsignableDocumentError("The package has already expired.")
        envelope = seal_package(package, self.keys.roles[Role.ONBOARDING])
        if len(strict_json.encode(envelope)) > MAX_PACKAGE_BYTES:
            raise UnsignableDocumentError(f"The package is larger than {MAX_PACKAGE_BYTES} bytes.")
        return envelope

    def seal_offboarding(self, package: OffboardingPackage) -> Envelope:
        """Sign an offboarding package. Raises: UnsignableDocumentError, OtherTenantError."""
        package = _parsed(strict_json.encode(package), OffboardingPackage)  # its lifetime is bounded by its type
        self._refuse_other_tenant(package.tenant_id)
        if moments.parse(package.not_after) <= self.clock.now():
            raise UnsignableDocumentError("The package has already expired.")
        return seal_offboarding(package, self.keys.roles[Role.ONBOARDING])

    def sign_token(self, claims: Mapping[str, Any]) -> str:
        """Sign a token. Raises: UnsignableDocumentError."""
        now = self.clock.now()
        signing = self.keys.token_keys.signing(now)
        header = {"alg": "RS256", "typ": "JWT", "kid": signing.name}
        return jwt.encode(header, checked_claims(claims, now), signing.key, algorithms=["RS256"])

    def rotate_token_key(self, *, at_once: bool = False, only_if_due: bool = False) -> str | None:
        """Make the next key of tokens and name it; ``None`` where none is due. Raises: KeyFilesError."""
        made = self.keys.token_keys.rotate(self.clock.now(), at_once=at_once, only_if_due=only_if_due)
        return None if made is None else made.name

    def trust_root(self) -> TrustRoot:
        """Return the public keys of all roles and the device authority."""
        return self.keys.trust_root()

    def jwks(self) -> dict[str, Any]:
        """Return the keys of tokens as a JWK Set: the one that signs, the next one, those whose tokens last."""
        return {"keys": [key.public for key in self.keys.token_keys.published(self.clock.now())]}

    def _refuse_other_tenant(self, tenant_id: TenantId) -> None:
        if tenant_id != self.keys.unit.tenant_id:
            raise OtherTenantError(f"This signer signs for {self.keys.unit.tenant_id}, not for {tenant_id}.")


def _parsed(data: bytes, kind: type[T]) -> T:
    try:
        return strict_json.decode(data, kind)
    except ShieldwallError as error:
        raise UnsignableDocumentError(f"The document cannot be read: {error.cause}") from None


def _moment(text: str, name: str) -> None:
    try:
        moments.parse(text)
    except ValueError as error:
        raise UnsignableDocumentError(f"{name}: {error}") from None
