"""Writing the registration of this machine: for a device, or for a full join; proven by package and registration."""

from __future__ import annotations

import base64
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from shieldwall import __version__
from shieldwall.agent.service import attesting
from shieldwall.agent.service.existing import Holding
from shieldwall.agent.service.ports import Machine, Randomness
from shieldwall.agent.service.records import Server
from shieldwall.contract.messages import PROTOCOL, DeviceFacts
from shieldwall.contract.registration import (
    CertificateRequest,
    OnboardingProof,
    RegisterRequest,
    RegistrationDetails,
)
from shieldwall.trust.device_key import SigningKey, public_key_info
from shieldwall.trust.onboarding import OnboardingPackage, proof, proven_body


def server_of(package: OnboardingPackage, proxy: str | None) -> Server:
    """Return the server that a package names."""
    return Server(
        tenant_id=package.tenant_id,
        urls=tuple(package.server_urls),
        tls_roots=tuple(package.tls_roots),
        trust_root=package.trust_root,
        proxy=proxy,
    )


def certificate_request(key: SigningKey, nonce: str) -> CertificateRequest:
    """Ask for a certificate for a key."""
    from shieldwall.trust.certificate_request import build_request  # noqa: PLC0415 - megabytes that a rest does without

    return CertificateRequest(type="pkcs10", data=base64.b64encode(build_request(key, nonce)).decode("ascii"))


class RegistrationWriter(Struct, frozen=True, kw_only=True):
    """Writes registrations with a package."""

    package: OnboardingPackage
    machine: Machine
    randomness: Randomness

    def __call__(
        self,
        facts: DeviceFacts,
        key: SigningKey,
        nonce: str,
        *,
        join_type: Literal["synthetic", "full"],
        holding: Holding | None = None,
    ) -> RegisterRequest:
        """Write a registration of ``key``, proven by the registration that this machine holds, if any."""
        package, spki = self.package, public_key_info(key.public_key)
        unproven = OnboardingProof(package_id=package.package_id, mac="")
        shown = None if package.attestation == "none" else attesting.offer(key)
        offer, tpm = shown or (None, None)
        details = RegistrationDetails(
            instance_id=self.randomness(16).hex(),
            hardware=replace(self.machine.hardware(package.tenant_id), tpm_ek_hash=tpm),
            agent_version=__version__,
            protocol=PROTOCOL,
            onboarding=unproven,
            attestation=offer,
            facts=replace(facts, key_protection=key.protection),
        )
        request = RegisterRequest(
            certificate_request=certificate_request(key, nonce),
            join_type=join_type,
            device_display_name=facts.display_name,
            device_type=_device_type(facts),
            operating_system_version=facts.os_version,
            shieldwall=details,
        )
        if holding is not None:
            held = holding.proof(request, tenant_id=package.tenant_id, nonce=nonce, spki=spki)
            details = replace(details, existing=held)
            request = replace(request, shieldwall=details)
        mac = proof(package.onboarding_key.secret(), package.tenant_id, nonce, spki, proven_body(request))
        return replace(request, shieldwall=replace(details, onboarding=replace(unproven, mac=mac)))


def _device_type(facts: DeviceFacts) -> Literal["Linux", "Windows", "macOS"]:
    """Name the operating system as MS-DRS does, which knows no server of its own."""
    return "Windows" if facts.os_type == "Windows Server" else facts.os_type
