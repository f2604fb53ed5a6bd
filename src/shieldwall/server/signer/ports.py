"""What the rest of the server may ask of the signer: first for which tenant, then what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from shieldwall.contract.conflicts import PUBLISHED, ConflictRules
from shieldwall.contract.ids import DeviceId, KeyThumbprint, TenantId
from shieldwall.contract.messages import MANAGED_CODE, UNPROTECTED, Envelope, ManifestItem, Protection
from shieldwall.trust.offboarding import OffboardingPackage
from shieldwall.trust.onboarding import OnboardingPackage
from shieldwall.trust.roots import TrustRoot


class Signers(Protocol):
    """The signer of each tenant. Asking for one costs nothing and cannot fail; what it is asked then may."""

    def for_tenant(self, tenant_id: TenantId) -> Signer:
        """Return who signs with the keys of this tenant, and with no others."""
        ...


class Signer(Protocol):
    """Signs for one tenant; whoever holds one of these holds no key. Every method may raise SignerError."""

    def sign_policy(self, document: bytes) -> Envelope:
        """Sign one revision of a policy: the canonical bytes of a ``PolicyDocument``."""
        ...

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
        """Sign what one device shall enforce; the signer gives number, time and expiry."""
        ...

    def sign_time(self, nonce: str) -> Envelope:
        """Sign the present time for the nonce of whoever asks."""
        ...

    def issue_certificate(self, *, spki: bytes, tenant_id: TenantId, device_id: DeviceId) -> str:
        """Certify that a P-256 key (SubjectPublicKeyInfo in DER) is a device; the answer is PEM."""
        ...

    def seal_package(self, package: OnboardingPackage) -> Envelope:
        """Sign an onboarding package that carries this signer's own trust root."""
        ...

    def seal_offboarding(self, package: OffboardingPackage) -> Envelope:
        """Sign leave to take devices out of management."""
        ...

    def sign_token(self, claims: Mapping[str, Any]) -> str:
        """Sign an access or id token (RS256)."""
        ...

    def rotate_token_key(self, *, at_once: bool = False, only_if_due: bool = False) -> str | None:
        """Make the next key of tokens and return its name; ``None`` where none is due.

        ``at_once`` every token handed out until now is worth nothing; otherwise nobody notices.
        """
        ...

    def trust_root(self) -> TrustRoot:
        """Return the public keys of all roles and the device authority."""
        ...

    def jwks(self) -> dict[str, Any]:
        """Return the keys that verify tokens, as a JWK Set."""
        ...
