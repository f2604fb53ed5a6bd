"""A device that onboards, with real keys, against a real signer in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from msgspec.structs import replace
from tests.support.other_directory import Holder
from tests.support.samples import TENANT_ID, HandClock

from shieldwall.contract import strict_json
from shieldwall.contract.ids import Digest, PackageId, TenantId
from shieldwall.contract.messages import PROTOCOL, HardwareIds
from shieldwall.contract.registration import CertificateRequest, OnboardingProof, RegisterRequest, RegistrationDetails
from shieldwall.server.signer.keys import create_keys
from shieldwall.server.signer.ledger import Ledger
from shieldwall.server.signer.service import SignerService
from shieldwall.server.storage.records import OnboardingPackageRecord
from shieldwall.trust import strict_base64
from shieldwall.trust.certificate_request import build_request
from shieldwall.trust.device_key import DeviceKey, public_key_info
from shieldwall.trust.onboarding import proof, proven_body


@contextmanager
def running_signer(directory: Path, clock: HandClock) -> Iterator[SignerService]:
    """A signer with keys of its own."""
    directory.mkdir(mode=0o700)
    keys = create_keys(directory / "keys", TENANT_ID, clock)
    ledger = Ledger(directory / "ledger")
    try:
        yield SignerService(keys=keys, ledger=ledger, clock=clock)
    finally:
        ledger.close()


@dataclass
class Newcomer:
    """A device that has a package's secret and wants in."""

    package_id: PackageId
    secret: bytes
    key: DeviceKey = field(default_factory=DeviceKey.generate)

    @classmethod
    def holding(cls, package: OnboardingPackageRecord) -> Newcomer:
        return cls(package_id=package.id, secret=package.key)

    def asks(
        self,
        nonce: str,
        *,
        proven_for: TenantId = TENANT_ID,
        existing: Holder | None = None,
        chain: tuple[x509.Certificate, ...] = (),
        details_too: dict[str, Any] | None = None,
        **changes: Any,
    ) -> RegisterRequest:
        """The registration request with a proof over all of it, and one by the key of ``existing`` if any."""
        csr = strict_base64.encode(build_request(self.key, nonce))
        details = RegistrationDetails(
            instance_id="0" * 32,
            hardware=HardwareIds(),
            agent_version="0.1.0",
            protocol=PROTOCOL,
            onboarding=OnboardingProof(package_id=self.package_id, mac=""),
        )
        fields: dict[str, Any] = {
            "certificate_request": CertificateRequest(type="pkcs10", data=csr),
            "join_type": "synthetic",
            "device_display_name": "laptop",
            "device_type": "Linux",
            "operating_system_version": "Debian 12",
            "shieldwall": details,
        }
        request = RegisterRequest(**(fields | changes))
        spki = public_key_info(self.key.public_key)
        details = replace(request.shieldwall, **(details_too or {}))
        request = replace(request, shieldwall=details)
        if existing is not None:
            proven = existing.proof(request, tenant_id=proven_for, nonce=nonce, spki=spki, chain=chain)
            details = replace(details, existing=proven)
            request = replace(request, shieldwall=details)
        mac = proof(self.secret, proven_for, nonce, spki, proven_body(request))
        onboarding = OnboardingProof(package_id=self.package_id, mac=mac)
        return replace(request, shieldwall=replace(details, onboarding=onboarding))


def body_digest(request: RegisterRequest) -> Digest:
    """The digest of a request's body as the gateway takes it."""
    return strict_json.digest_of(request)
