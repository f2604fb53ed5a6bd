"""A device that speaks the protocol as it stands in ``contract`` and ``trust``, with no agent in between."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from tests.support.gateway_world import GatewayWorld, Reply

from shieldwall.contract import strict_json
from shieldwall.contract.ids import DeviceId, Digest
from shieldwall.contract.messages import PROTOCOL, CheckInRequest, DeviceFacts, HardwareIds, Have
from shieldwall.contract.registration import CertificateRequest, OnboardingProof, RegisterRequest, RegistrationDetails
from shieldwall.trust.certificate_request import build_request
from shieldwall.trust.device_key import DeviceKey, SigningKey, public_key_info
from shieldwall.trust.onboarding import OnboardingPackage, proof, proven_body
from shieldwall.trust.request_signature import sign_request
from shieldwall.trust.strict_base64 import decode_url

INSTANCE = "0123456789abcdef0123456789abcdef"
NONCE = "a" * 32
NOBODY = DeviceId("")


@dataclass
class GatewayDevice:
    world: GatewayWorld
    key: SigningKey = field(default_factory=DeviceKey.generate)
    device_id: DeviceId = NOBODY
    epoch: int = 0
    seq: int = 0

    @property
    def enrollment(self) -> str:
        return f"/{self.world.services.tenant.id}/EnrollmentServer"

    def sign(self, to: str, body: bytes, **changed: Any) -> dict[str, str]:
        parts: dict[str, Any] = {
            "method": "POST",
            "authority": self.world.authority,
            "path": to,
            "created": int(self.world.clock.now().timestamp()),
            "nonce": NONCE,
        }
        return sign_request(self.key, body=body, **(parts | changed))

    def send(self, path: str, message: Any) -> Reply:
        body = message if isinstance(message, bytes) else strict_json.encode(message)
        return self.world.ask("POST", path, body, self.sign(path, body))

    def nonce(self) -> str:
        reply = self.world.post(f"{self.enrollment}/nonce", b"{}")
        assert reply.status == 200
        return str(reply.json["nonce"])

    def registration(self, package: OnboardingPackage, *, request: bytes | None = None, **details: Any) -> bytes:
        """Write a registration; ``details`` replace members of the message, ``request`` the certificate request.

        ``shown`` are further members of our own part of it.
        """
        nonce = details.pop("nonce", None) or self.nonce()
        der = build_request(self.key, nonce) if request is None else request
        spki = details.pop("spki", None) or public_key_info(self.key.public_key)
        mac = details.pop("mac", None)
        shown: dict[str, Any] = details.pop("shown", {})
        members: dict[str, Any] = {
            "certificate_request": CertificateRequest(type="pkcs10", data=base64.b64encode(der).decode()),
            "join_type": "synthetic",
            "device_display_name": "laptop",
            "device_type": "Linux",
            "operating_system_version": "12",
        }
        message = RegisterRequest(
            **(members | details),
            shieldwall=RegistrationDetails(
                instance_id=INSTANCE,
                **({"hardware": HardwareIds()} | shown),
                agent_version="0.1.0",
                protocol=PROTOCOL,
                onboarding=OnboardingProof(package_id=package.package_id, mac=""),
            ),
        )
        if mac is None:
            k = decode_url(package.onboarding_key.k)
            mac = proof(k, package.tenant_id, nonce, spki, proven_body(message))
        proven = msgspec.structs.replace(
            message,
            shieldwall=msgspec.structs.replace(
                message.shieldwall, onboarding=OnboardingProof(package_id=package.package_id, mac=mac)
            ),
        )
        return strict_json.encode(proven)

    def register(self, package: OnboardingPackage | None = None) -> Reply:
        reply = self.send(f"{self.enrollment}/device", self.registration(package or self.world.package()))
        if reply.status == 201:
            self.device_id = DeviceId(reply.json["deviceId"])
            self.epoch = reply.json["epoch"]
        return reply

    def register_in_the_end(self, package: OnboardingPackage) -> Reply:
        """Register as one of many: whom a busy gateway sends away comes again, here without a device's patience."""
        nonce = _served(lambda: self.world.post(f"{self.enrollment}/nonce", b"{}")).json["nonce"]
        body = self.registration(package, nonce=nonce)
        return _served(lambda: self.send(f"{self.enrollment}/device", body))

    def check_in_request(self, **members: Any) -> bytes:
        """Write the next check-in."""
        self.seq += 1
        request = CheckInRequest(
            seq=self.seq,
            epoch=self.epoch,
            instance_id=INSTANCE,
            boot_id="boot",
            agent_version="0.1.0",
            protocol=PROTOCOL,
            have=members.pop("have", Have()),
        )
        return strict_json.encode(msgspec.structs.replace(request, **members))

    def check_in(self, **members: Any) -> Reply:
        return self.send("/device/v1/checkin", self.check_in_request(**members))

    def numbered(self, **members: Any) -> dict[str, Any]:
        self.seq += 1
        return {"seq": self.seq, "epoch": self.epoch, **members}


FACTS = DeviceFacts(display_name="laptop", os_type="Linux", os_version="12")


def digest_of(value: Any) -> Digest:
    return strict_json.digest_of(value)


def _served(ask: Callable[[], Reply]) -> Reply:
    for _ in range(100):
        if (reply := ask()).status != 503:
            return reply
        time.sleep(0.1)
    raise AssertionError("sent away a hundred times")
