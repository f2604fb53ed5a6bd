"""A sound request for every route of the gateway. Tests spoil it in one respect, and send it unspoiled at the end."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace
from tests.support.gateway_device import INSTANCE, GatewayDevice
from tests.support.gateway_world import GatewayWorld, Reply
from tests.support.other_directory import Holder, OtherDirectory
from tests.support.policies import ANTIVIRUS
from tests.support.pretend_tpm import PretendTpm
from tests.support.signing_inside import SigningInside

from shieldwall.contract import strict_json
from shieldwall.contract.events import EventsRequest
from shieldwall.contract.ids import DeviceId
from shieldwall.contract.messages import Envelope, HardwareIds, Manifest, OffboardRequest, TimeRequest
from shieldwall.contract.registration import (
    AttestationChallenge,
    CertificateRequest,
    ChallengeRequest,
    ExistingRegistrationProof,
    KeyChangeRequest,
    PromoteRequest,
    RenewRequest,
    ResyncRequest,
)
from shieldwall.contract.settings import SettingInstance
from shieldwall.server.directory import registrations
from shieldwall.server.directory.registrations import RegistrationDraft
from shieldwall.server.gateway.routes import Access
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.manager.policies import Policies, PolicyDraft
from shieldwall.server.storage.records import AssignmentKind
from shieldwall.trust import strict_base64
from shieldwall.trust.certificate_request import build_request
from shieldwall.trust.device_key import DeviceKey, SigningKey, public_key_info
from shieldwall.trust.nkeys import KeyUse, name_of

CHECK_IN: Final = "/device/v1/checkin"
NO_PROOF: Final = ExistingRegistrationProof(certificate="", algorithm="ecdsa-p256-sha256", signature="")


@dataclass(frozen=True)
class Sound:
    """A request that would have its effect."""

    device: GatewayDevice
    """Who signs it, where it is signed."""
    path: str
    body: bytes = b""

    def send(self, body: bytes | None = None, *, path: str | None = None, by: GatewayDevice | None = None) -> Reply:
        """Send it signed, in one respect otherwise."""
        return (by or self.device).send(path or self.path, self.body if body is None else body)


@dataclass
class Promoting:
    """A synthetic device, and the request by which it becomes another one."""

    device: GatewayDevice
    holder: Holder
    new_key: SigningKey

    def body(self, *, nonce: str | None = None, **changes: Any) -> bytes:
        nonce = nonce or self.device.nonce()
        self.device.seq += 1
        request = PromoteRequest(
            seq=self.device.seq,
            epoch=self.device.epoch,
            certificate_request=_certificate_request(self.new_key, nonce),
            existing=NO_PROOF,
            instance_id=INSTANCE,
        )
        tenant = self.device.world.settings.tenant_id
        proven = self.holder.proof(
            request, tenant_id=tenant, nonce=nonce, spki=public_key_info(self.new_key.public_key)
        )
        return strict_json.encode(replace(request, **({"existing": proven} | changes)))

    def sends(self, body: bytes) -> Reply:
        return self.device.send(own(self.device, "promote"), body)


def own(device: GatewayDevice, verb: str) -> str:
    """The path at which a device asks something about itself."""
    return f"{device.enrollment}/device/{device.device_id}/{verb}"


def imported(world: GatewayWorld, holder: Holder, name: DeviceId, **changes: Any) -> None:
    """Let the directory know a registration that was made elsewhere."""
    with world.services.database.write() as connection:
        draft = RegistrationDraft(device_id=name, display_name="x", certificate=holder.presented, **changes)
        registrations.import_registration(connection, world.acting, draft)


def registered(world: GatewayWorld, key: SigningKey | None = None) -> GatewayDevice:
    """A device that is in, and has checked in twice."""
    device = GatewayDevice(world) if key is None else GatewayDevice(world, key=key)
    assert device.register().status == 201
    assert device.check_in().status == 200
    assert device.check_in().status == 200
    return device


def publish(world: GatewayWorld, *settings: SettingInstance) -> None:
    """Give every device a policy to fetch, with these settings."""
    services = world.services
    draft = PolicyDraft(
        name="Antivirus",
        platforms="linux",
        technologies="microsoftSense",
        template_id=ANTIVIRUS,
        settings=settings,
    )
    with services.database.write() as connection:
        policy = Policies(catalog=services.catalog, signatures=SigningInside(services.signer)).create(
            connection, world.acting, draft
        )
        assign(connection, world.acting, policy.id, [Assigned(kind=AssignmentKind.ALL_DEVICES)])


def manifest_of(reply: Reply) -> Manifest:
    """The manifest in an answer to a check-in."""
    envelope = strict_json.convert(reply.json["manifest"], Envelope)
    return strict_json.decode(strict_base64.decode(envelope.payload), Manifest)


def _certificate_request(key: SigningKey, nonce: str) -> CertificateRequest:
    return CertificateRequest(type="pkcs10", data=base64.b64encode(build_request(key, nonce)).decode())


def _message(device: GatewayDevice, kind: Any, **members: Any) -> bytes:
    return strict_json.encode(strict_json.convert(device.numbered(**members), kind))


def discover(world: GatewayWorld) -> Sound:
    return Sound(GatewayDevice(world), f"/{world.services.tenant.id}/Discover?api-version=1.0")


def time(world: GatewayWorld) -> Sound:
    request = TimeRequest(nonce=INSTANCE, tenant_id=world.services.tenant.id)
    return Sound(GatewayDevice(world), "/device/v1/time", strict_json.encode(request))


def nonce(world: GatewayWorld) -> Sound:
    device = GatewayDevice(world)
    return Sound(device, f"{device.enrollment}/nonce", b"{}")


def register(world: GatewayWorld, nonce: str | None = None) -> Sound:
    device = GatewayDevice(world)
    return Sound(device, f"{device.enrollment}/device", device.registration(world.package(), nonce=nonce))


def check_in(world: GatewayWorld) -> Sound:
    device = registered(world)
    return Sound(device, CHECK_IN, device.check_in_request())


def fetch(world: GatewayWorld) -> Sound:
    publish(world)
    device = registered(world)
    (item, *_) = manifest_of(device.check_in()).items
    return Sound(device, "/device/v1/fetch", strict_json.encode(device.numbered(digests=[item.digest])))


def wait(world: GatewayWorld) -> Sound:
    device = registered(world)
    return Sound(device, "/device/v1/wait", strict_json.encode(device.numbered(seconds=1)))


def line(world: GatewayWorld) -> Sound:
    device = registered(world)
    key = name_of(KeyUse.USER, Ed25519PrivateKey.generate().public_key())
    return Sound(device, "/device/v1/line", strict_json.encode(device.numbered(key=key)))


def events(world: GatewayWorld) -> Sound:
    device = registered(world)
    happened = {
        "id": "e" * 32,
        "at": "2026-11-23T11:59:00Z",
        "kind": "malware.blocked",
        "severity": "high",
        "title": "Malware was blocked",
        "subject": "Test.Marker",
        "details": {"path": "/tmp/x"},
        "times": 2,
    }
    return Sound(device, "/device/v1/events", _message(device, EventsRequest, events=[happened], lost=1))


def resync(world: GatewayWorld, nonce: str | None = None) -> Sound:
    device = registered(world)
    request = ResyncRequest(
        nonce=nonce or device.nonce(), instance_id=INSTANCE, boot_id="boot", hardware=HardwareIds(), reason="test"
    )
    return Sound(device, "/device/v1/resync", strict_json.encode(request))


def renew(world: GatewayWorld) -> Sound:
    device = registered(world)
    return Sound(device, own(device, "renew"), _message(device, RenewRequest))


def key_change(world: GatewayWorld, nonce: str | None = None) -> Sound:
    device = registered(world)
    certificate_request = _certificate_request(DeviceKey.generate(), nonce or device.nonce())
    wanted = strict_json.decode(strict_json.encode(certificate_request), dict)
    return Sound(device, own(device, "keyChange"), _message(device, KeyChangeRequest, certificateRequest=wanted))


def offboard(world: GatewayWorld) -> Sound:
    device = registered(world)
    return Sound(device, own(device, "offboard"), _message(device, OffboardRequest, reason="sold"))


def promote(world: GatewayWorld, nonce: str | None = None) -> Sound:
    device = registered(world)
    full = DeviceId(world.services.new_id())
    holder = OtherDirectory(world.clock.now()).holder(full)
    imported(world, holder, full)
    return Sound(device, own(device, "promote"), Promoting(device, holder, DeviceKey.generate()).body(nonce=nonce))


def challenge(world: GatewayWorld) -> Sound:
    return _challenging(registered(world, (tpm := PretendTpm()).device_key), tpm)


def attest(world: GatewayWorld) -> Sound:
    tpm = PretendTpm()
    device = registered(world, tpm.device_key)
    asked = strict_json.decode(_challenging(device, tpm).send().body, AttestationChallenge)
    answer = tpm.answer(asked, tenant_id=world.settings.tenant_id, device_id=device.device_id)
    return Sound(device, own(device, "attest"), strict_json.encode(answer))


def _challenging(device: GatewayDevice, tpm: PretendTpm) -> Sound:
    device.seq += 1
    request = ChallengeRequest(seq=device.seq, epoch=device.epoch, attestation=tpm.offer())
    return Sound(device, own(device, "challenge"), strict_json.encode(request))


Make: TypeAlias = Callable[[GatewayWorld], Sound]
_OF_DEVICE: Final = "/{tenant}/EnrollmentServer/device/{device}"

READS: Final[dict[str, Make]] = {
    "/healthz": lambda world: Sound(GatewayDevice(world), "/healthz"),
    "/readyz": lambda world: Sound(GatewayDevice(world), "/readyz"),
    "/metrics": lambda world: Sound(GatewayDevice(world), "/metrics"),
    "/{tenant}/Discover": discover,
}
"""What anybody may read."""
BY_ANYONE: Final[dict[str, Make]] = {"/device/v1/time": time, "/{tenant}/EnrollmentServer/nonce": nonce}
BY_NEW_KEY: Final[dict[str, Make]] = {"/{tenant}/EnrollmentServer/device": register}
BY_DEVICE: Final[dict[str, Make]] = {
    CHECK_IN: check_in,
    "/device/v1/fetch": fetch,
    "/device/v1/wait": wait,
    "/device/v1/line": line,
    "/device/v1/events": events,
    "/device/v1/resync": resync,
    f"{_OF_DEVICE}/renew": renew,
    f"{_OF_DEVICE}/keyChange": key_change,
    f"{_OF_DEVICE}/promote": promote,
    f"{_OF_DEVICE}/challenge": challenge,
    f"{_OF_DEVICE}/attest": attest,
    f"{_OF_DEVICE}/offboard": offboard,
}
DECLARED: Final = {
    **{("GET", path): Access.ANYONE for path in READS},
    **{("POST", path): Access.ANYONE for path in BY_ANYONE},
    **{("POST", path): Access.NEW_KEY for path in BY_NEW_KEY},
    **{("POST", path): Access.DEVICE for path in BY_DEVICE},
    ("POST", CHECK_IN): Access.DEVICE_AMONG_OTHERS,
}
"""Every route there is, and who may call it; ``tests.gateway.test_every_route`` holds it to the gateway."""
