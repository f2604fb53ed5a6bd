"""Record one real conversation into ``docs/protocol.md``: ``python -m tests.support.protocol_recorder``.

A gateway with its database and signer, and a device that speaks the protocol. The keys are thrown away afterwards.
"""

from __future__ import annotations

import json
import secrets
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
from tests.support.documentation import DOCS, write_recorded
from tests.support.gateway_device import INSTANCE, GatewayDevice, digest_of
from tests.support.gateway_world import GatewayWorld, Reply, gateway_world, until
from tests.support.other_directory import OtherDirectory
from tests.support.policies import ANTIVIRUS, LEVEL, choice
from tests.support.pretend_tpm import PretendTpm
from tests.support.signing_inside import SigningInside

from shieldwall.contract import strict_json
from shieldwall.contract.events import EventsRequest
from shieldwall.contract.ids import DeviceId, SettingId
from shieldwall.contract.messages import (
    CheckInAnswer,
    CheckInRequest,
    DeviceFacts,
    Envelope,
    FetchAnswer,
    FetchRequest,
    HardwareIds,
    Have,
    OffboardRequest,
    TimeRequest,
    WaitRequest,
)
from shieldwall.contract.registration import (
    CertificateRequest,
    ExistingRegistrationProof,
    KeyChangeRequest,
    PendingAnswer,
    PromoteRequest,
    RenewRequest,
    ResyncRequest,
)
from shieldwall.contract.status import SettingState, SettingStatus, StatusReport
from shieldwall.server.console.initialise import Initialise
from shieldwall.server.directory.registrations import RegistrationDraft, import_registration
from shieldwall.server.inventory.packages import PackageDraft, ServerAddress, create_package
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.manager.policies import Policies, PolicyDraft
from shieldwall.server.manager.sync import request_sync
from shieldwall.server.storage.records import AssignmentKind, Policy
from shieldwall.trust.certificate_request import build_request
from shieldwall.trust.device_key import DeviceKey, public_key_bytes, public_key_info
from shieldwall.trust.onboarding import open_package
from shieldwall.trust.request_signature import signature_base
from shieldwall.trust.strict_base64 import decode, encode, encode_url

PAGE = DOCS / "protocol.md"
GATEWAY_URL = "https://sdm.example:8444"
AUTHORITY = "sdm.example:8444"
FACTS = DeviceFacts(
    display_name="web-01",
    os_type="Linux",
    os_version="Debian GNU/Linux 12",
    architecture="x86_64",
    agent_version="0.1.0",
    catalog_version="2026.11.1",
    providers={"clamav": "ClamAV 1.0.9", "nftables": "1.0.6"},
)


class Recorder(GatewayDevice):
    """A device whose requests are written down."""

    def sign(self, to: str, body: bytes, **changed: Any) -> dict[str, str]:
        parts = {"authority": AUTHORITY, "nonce": secrets.token_hex(16)}
        return super().sign(to, body, **(parts | changed))

    def send(self, path: str, message: Any) -> Reply:
        body = message if isinstance(message, bytes) else strict_json.encode(message)
        headers = self.sign(path, body)
        self.last = (path, body, headers)
        return self.world.ask("POST", path, body, headers, host=AUTHORITY)

    def nonce(self) -> str:
        path = f"{self.enrollment}/nonce"
        self.nonce_answer = self.world.ask("POST", path, b"{}", {"Content-Type": "application/json"}, host=AUTHORITY)
        return str(self.nonce_answer.json["nonce"])


def shown(value: Any) -> str:
    """Write JSON as it stands on the page."""
    content = value if isinstance(value, bytes) else strict_json.encode(value)
    return json.dumps(json.loads(content), indent=2, ensure_ascii=False)


def payload(envelope: Envelope) -> bytes:
    """Return the bytes that an envelope holds."""
    return decode(envelope.payload)


def publish(world: GatewayWorld) -> Policy:
    """Sign a policy and assign it to all devices."""
    draft = PolicyDraft(
        name="Servers: antivirus",
        platforms="linux",
        technologies="microsoftSense",
        template_id=ANTIVIRUS,
        settings=(
            choice(SettingId("linux_mdatp_managed_antivirusengine_scanarchives"), "_true"),
            choice(LEVEL, "_0"),
        ),
    )
    with world.services.database.write() as connection:
        policies = Policies(catalog=world.services.catalog, signatures=SigningInside(world.services.signer))
        policy = policies.create(connection, world.acting, draft)
        assign(connection, world.acting, policy.id, [Assigned(kind=AssignmentKind.ALL_DEVICES)])
    return policy


def converse(world: GatewayWorld) -> Iterator[tuple[str, str]]:
    """Live a device's life and yield what was said."""
    policy = publish(world)
    device = Recorder(world)
    tenant = world.settings.tenant_id
    yield "discover", shown(world.ask("GET", f"/{tenant}/Discover?api-version=1.0", host=AUTHORITY).body)

    with world.services.database.write() as connection:
        _, sealed = create_package(
            connection,
            world.acting,
            world.services.signer,
            PackageDraft(display_name="Servers", tags=("MDE-Management",)),
            ServerAddress(urls=(GATEWAY_URL,), tls_roots=(world.settings.tls_authority.read_text(),)),
        )
    yield "package", shown(sealed)
    registered = device.register(open_package(strict_json.encode(sealed), world.clock.now()))
    assert registered.status == 201, registered.body
    yield "nonce", shown(device.nonce_answer.body)
    yield "register-request", shown(device.last[1])
    yield "register-answer", shown(registered.body)

    yield from attesting(world)
    yield from promoting(world)

    world.clock.forward(minutes=5)
    answered = device.check_in(have=Have(facts=digest_of(FACTS)), facts=FACTS)
    assert answered.status == 200, answered.body
    yield from signed(device)
    yield "checkin-request", shown(device.last[1])
    yield "checkin-answer", shown(answered.body)
    manifest = strict_json.decode(answered.body, CheckInAnswer).manifest
    assert manifest is not None
    yield "manifest", shown(payload(manifest))

    items = strict_json.decode_any(payload(manifest))["items"]
    request = strict_json.convert(device.numbered(digests=[item["digest"] for item in items]), FetchRequest)
    fetched = device.send("/device/v1/fetch", request)
    yield "fetch-request", shown(request)
    yield "fetch-answer", shown(fetched.body)
    yield "policy", shown(payload(strict_json.decode(fetched.body, FetchAnswer).policies[0]))
    yield "report", shown(report(policy, strict_json.decode_any(payload(manifest))["target"]))

    yield from waiting(world, device)
    yield from telling(device)
    time_request = TimeRequest(nonce=secrets.token_hex(16), tenant_id=world.settings.tenant_id)
    told = world.ask(
        "POST",
        "/device/v1/time",
        strict_json.encode(time_request),
        {"Content-Type": "application/json"},
        host=AUTHORITY,
    )
    yield "time-request", shown(time_request)
    yield "time", shown(payload(strict_json.decode(told.body, Envelope)))

    yield from renewing(world, device)
    old = strict_json.encode(strict_json.decode(device.check_in_request(), CheckInRequest))
    refused = device.send("/device/v1/checkin", old.replace(f'"seq":{device.seq}'.encode(), b'"seq":1'))
    assert refused.code == "seqConflict"
    yield "problem", shown(refused.body)
    yield from counting_anew(device)
    leaving = strict_json.convert(device.numbered(reason="Decommissioned"), OffboardRequest)
    assert device.send(f"{device.enrollment}/device/{device.device_id}/offboard", leaving).status == 204
    yield "offboard-request", shown(leaving)


def attesting(world: GatewayWorld) -> Iterator[tuple[str, str]]:
    """Let another machine come, with a TPM that was made up for this conversation."""
    machine = PretendTpm()
    device = Recorder(world, key=machine.device_key)
    body = device.registration(world.package(), shown={"attestation": machine.offer()})
    waits = strict_json.decode(device.send(f"{device.enrollment}/device", body).body, PendingAnswer)
    assert waits.challenge is not None
    yield "attestation-offer", shown(machine.offer())
    yield "pending-answer", shown(waits)
    answer = machine.answer(waits.challenge, tenant_id=waits.tenant_id, device_id=waits.device_id)
    path = f"{device.enrollment}/device/{waits.device_id}/attest"
    assert device.send(path, answer).status == 201
    yield "attest-request", shown(answer)


def promoting(world: GatewayWorld) -> Iterator[tuple[str, str]]:
    """Let another machine come, which then turns out to have a registration in another directory."""
    device = Recorder(world)
    assert device.register(world.package()).status == 201
    full = DeviceId("6d6a3c0e-93b1-4a52-8f0c-2f1f64c6a1d7")
    holder = OtherDirectory(world.clock.now()).holder(full)
    with world.services.database.write() as connection:
        draft = RegistrationDraft(device_id=full, display_name="web-02", certificate=holder.presented)
        import_registration(connection, world.acting, draft)
    key, nonce, tenant = DeviceKey.generate(), device.nonce(), world.settings.tenant_id
    device.seq += 1
    request = PromoteRequest(
        seq=device.seq,
        epoch=device.epoch,
        certificate_request=CertificateRequest(type="pkcs10", data=encode(build_request(key, nonce))),
        existing=ExistingRegistrationProof(certificate="", algorithm="ecdsa-p256-sha256", signature=""),
        instance_id=INSTANCE,
    )
    existing = holder.proof(request, tenant_id=tenant, nonce=nonce, spki=public_key_info(key.public_key))
    request = msgspec.structs.replace(request, existing=existing)
    promoted = device.send(f"{device.enrollment}/device/{device.device_id}/promote", request)
    assert promoted.status == 201, promoted.body
    yield "existing-proof", shown(existing)
    yield "promote-request", shown(request)
    yield "promote-answer", shown(promoted.body)


def signed(device: Recorder) -> Iterator[tuple[str, str]]:
    """Yield how the last request was signed."""
    path, _, headers = device.last
    lines = [f"POST {path} HTTP/1.1", f"Host: {AUTHORITY}", *(f"{name}: {value}" for name, value in headers.items())]
    yield "signature-headers", "\n".join(lines)
    point = public_key_bytes(device.key.public_key)
    key = {"kty": "EC", "crv": "P-256", "x": encode_url(point[1:33]), "y": encode_url(point[33:])}
    yield "signature-key", shown(key)
    base = signature_base(
        method="POST",
        authority=AUTHORITY,
        path=path,
        query="",
        content_type=headers["Content-Type"],
        digest=headers["Content-Digest"],
        parameters=headers["Signature-Input"].removeprefix("sw="),
    )
    yield "signature-base", base.decode("ascii")


def renewing(world: GatewayWorld, device: Recorder) -> Iterator[tuple[str, str]]:
    """Renew the certificate, and change the key."""
    world.clock.forward(days=45)
    path = f"{device.enrollment}/device/{device.device_id}"
    request = strict_json.convert(device.numbered(), RenewRequest)
    renewed = device.send(f"{path}/renew", request)
    assert renewed.status == 200, renewed.body
    yield "renew-request", shown(request)
    yield "renew-answer", shown(renewed.body)

    key = DeviceKey.generate()
    csr = CertificateRequest(type="pkcs10", data=encode(build_request(key, device.nonce())))
    device.seq += 1
    change = KeyChangeRequest(seq=device.seq, epoch=device.epoch, certificate_request=csr)
    changed = device.send(f"{path}/keyChange", change)
    assert changed.status == 200, changed.body
    device.key = key
    yield "key-change-request", shown(change)
    yield "key-change-answer", shown(changed.body)


def counting_anew(device: Recorder) -> Iterator[tuple[str, str]]:
    """Ask for a new epoch."""
    request = ResyncRequest(
        nonce=device.nonce(),
        instance_id=INSTANCE,
        boot_id="5d7f6c02-61f1-4b1c-9a9c-5b0d6a1f2c37",
        hardware=HardwareIds(machine_id_hash=digest_of("a machine id")),
        reason="seqConflict",
    )
    answered = device.send("/device/v1/resync", request)
    assert answered.status == 200, answered.body
    device.epoch, device.seq = answered.json["epoch"], 0
    yield "resync-request", shown(request)
    yield "resync-answer", shown(answered.body)


def waiting(world: GatewayWorld, device: Recorder) -> Iterator[tuple[str, str]]:
    """Wait until somebody asks for a sync."""
    request = strict_json.convert(device.numbered(seconds=240), WaitRequest)
    answers: list[Reply] = []
    asking = threading.Thread(target=lambda: answers.append(device.send("/device/v1/wait", request)))
    asking.start()
    until(lambda: world.gateway.channels.count == 1)
    with world.services.database.write() as connection:
        request_sync(connection, [device.device_id], world.clock.now())
    asking.join(30)
    yield "wait-request", shown(request)
    yield "wait-answer", shown(answers[0].body)


def telling(device: Recorder) -> Iterator[tuple[str, str]]:
    """Tell what happened."""
    blocked = {
        "id": "5f2d8c1b7a90e4463d1f0b9c8e7a6d52",
        "at": "2026-11-23T11:58:31Z",
        "kind": "malware.blocked",
        "severity": "high",
        "title": "Malware was blocked",
        "subject": "Win.Test.EICAR_HDB-1",
        "details": {"path": "/srv/share/invoice.pdf.exe", "executable": "/usr/sbin/smbd", "uid": "1004"},
    }
    request = strict_json.convert(device.numbered(events=[blocked]), EventsRequest)
    assert device.send("/device/v1/events", request).status == 204
    yield "events-request", shown(request)


def report(policy: Policy, target: str) -> StatusReport:
    """Report as a device with ClamAV and without Defender does."""
    archives = SettingId("linux_mdatp_managed_antivirusengine_scanarchives")
    succeeded = SettingStatus(
        setting=archives,
        state=SettingState.SUCCEEDED,
        provider="clamav",
        value=f"{archives}_true",
        read_back=f"{archives}_true",
        written=True,
        effective=True,
        rule="only",
        policies=(policy.id,),
    )
    not_applicable = SettingStatus(
        setting=LEVEL,
        state=SettingState.NOT_APPLICABLE,
        provider="clamav",
        code="notApplicable",
        reason="clamd answers requests to scan; scanning files as they are opened is not managed.",
        value=f"{LEVEL}_0",
        rule="only",
        policies=(policy.id,),
    )
    return strict_json.convert(
        {"target": target, "settings": msgspec.to_builtins((succeeded, not_applicable))}, StatusReport
    )


@contextmanager
def named_world(data: Path) -> Iterator[GatewayWorld]:
    """Make a world whose addresses are those of the documentation, on ports that are free here."""
    resolved: Callable[..., Any] = Initialise.__call__

    def renamed(self: Any, data: Path, **members: Any) -> Any:
        settings = resolved(self, data, **members)
        return replace(settings, gateway_url=GATEWAY_URL, public_url="https://sdm.example:8443")

    with mock.patch.object(Initialise, "__call__", renamed), gateway_world(data) as world:
        yield world


def main() -> None:
    """Record and write."""
    with tempfile.TemporaryDirectory() as directory, named_world(Path(directory) / "data") as world:
        write_recorded(PAGE, dict(converse(world)))


if __name__ == "__main__":
    main()
