"""The server's device side in one process: real keys, real signatures, the real sequence rule; only storage is made up.

``SimulatedGateway.answer`` is the protocol. ``MemoryTransport`` carries requests to it without a network and can lose
them; ``served`` puts it behind a real TLS socket.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult

import msgspec

from shieldwall.agent.service.errors import GatewayUnreachableError
from shieldwall.agent.service.transport import HttpAnswer
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.events import DeviceEvent, EventsRequest
from shieldwall.contract.ids import DeviceId, Digest, KeyThumbprint, PackageId, TenantId
from shieldwall.contract.messages import (
    MANAGED_CODE,
    UNPROTECTED,
    CheckInAnswer,
    CheckInRequest,
    DeviceFacts,
    Envelope,
    FetchAnswer,
    FetchRequest,
    Manifest,
    ManifestItem,
    OffboardRequest,
    Problem,
    Protection,
    TimeRequest,
    TimeStatement,
    WaitAnswer,
    WaitRequest,
)
from shieldwall.contract.registration import (
    KeyChangeAnswer,
    KeyChangeRequest,
    NonceAnswer,
    PendingAnswer,
    PromoteRequest,
    RegisterAnswer,
    RegisterRequest,
    RenewAnswer,
    RenewRequest,
    ResyncAnswer,
    ResyncRequest,
)
from shieldwall.contract.settings import PolicyDocument
from shieldwall.contract.status import StatusReport
from shieldwall.contract.strict_json import decode, decode_any, digest_of, digest_of_bytes, encode
from shieldwall.contract.target import ORDER_TO_LEAVE, ordered, target_digest
from shieldwall.trust import moments, payload_types
from shieldwall.trust.certificates import DEVICE_DAYS, DeviceAuthority, LocalAuthority, read_request
from shieldwall.trust.device_key import PublicKey, thumbprint
from shieldwall.trust.dsse import EnvelopeKey, seal
from shieldwall.trust.existing_keys import read_existing_certificate
from shieldwall.trust.key_proofs import check_existing, spoken_about
from shieldwall.trust.key_proofs import message as key_message
from shieldwall.trust.offboarding import OffboardingPackage, seal_offboarding
from shieldwall.trust.onboarding import (
    BadOnboardingProofError,
    OnboardingKey,
    OnboardingPackage,
    check_proof,
    proven_body,
    seal_package,
)
from shieldwall.trust.request_signature import BadSignatureError, ClockSkewError, SignedHeaders, parse_signature
from shieldwall.trust.roots import Roles, TrustRoot, role_keys
from shieldwall.trust.verification import COUNTER_BITS

TENANT: Final = TenantId("00000000-0000-4000-8000-00000000000a")
AUTHORITY: Final = "gateway.example:8444"
NOON: Final = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@dataclass
class HandClock:
    """A clock that only moves when a test moves it."""

    at: datetime = NOON

    def now(self) -> datetime:
        return self.at

    def advance(self, **units: float) -> None:
        self.at += timedelta(**units)


class RealClock(HandClock):
    """The clock of this machine, for programs of their own that cannot be told another time."""

    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Request:
    """A POST as it arrives; names of headers in lower case."""

    authority: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class SimulatedDevice:
    """What the server keeps of a device."""

    id: DeviceId
    key: PublicKey
    instance_id: str
    request_digest: str
    answer: RegisterAnswer
    items: tuple[ManifestItem, ...] = ()
    last_sequence: int = 0
    last_body: Digest | None = None
    last_answer: HttpAnswer | None = None
    facts: DeviceFacts | None = None
    report: StatusReport | None = None
    sync_wanted: bool = False
    protection: Protection = UNPROTECTED
    enrollment: int = MANAGED_CODE
    leaving: bool = False
    """Whether it is told to leave: its manifest is the order."""
    goodbye: OffboardRequest | None = None
    offboarded: bool = False
    epoch: int = 1
    certificate_expires_at: datetime | None = None
    resyncs: list[ResyncRequest] = field(default_factory=list)

    @property
    def target(self) -> Digest:
        if self.leaving:
            return ORDER_TO_LEAVE
        if self.enrollment != MANAGED_CODE:
            return target_digest((), enrollment=self.enrollment)
        return target_digest(self.items, {}, self.protection)


@dataclass(frozen=True)
class Promoted:
    """A promotion that came to pass, for whoever asks once more."""

    former_id: DeviceId
    former_key: PublicKey
    answer: RegisterAnswer


class RefusedError(Exception):
    """Becomes a problem document."""

    def __init__(self, status: int, code: str, detail: str = "No.") -> None:
        super().__init__(code)
        self.status, self.code, self.detail = status, code, detail


@dataclass
class SimulatedGateway:
    """One tenant on one server."""

    clock: HandClock = field(default_factory=HandClock)
    authority: str = AUTHORITY
    next_check_in_seconds: int = 5_400
    hears_events: bool = True
    """Whether it is new enough to be told what happened."""
    heard: dict[str, DeviceEvent] = field(default_factory=dict)
    """What it was told, each once."""
    lost: int = 0
    understands: Callable[[EventsRequest], bool] = lambda _request: True
    channels: bool = True
    """Whether devices may wait for a policy sync."""
    received: list[tuple[str, Any]] = field(default_factory=list)
    """Every body that passed its checks, with its path."""
    devices: dict[KeyThumbprint, SimulatedDevice] = field(default_factory=dict)
    joins: dict[KeyThumbprint, RegisterAnswer] = field(default_factory=dict)
    promoted: dict[Digest, Promoted] = field(default_factory=dict)
    approves: bool = False
    """Whether somebody has to let devices in; they wait as long as this holds."""
    rejects: bool = False
    refuses_promotion: tuple[int, str] | None = None
    policies: dict[Digest, Envelope] = field(default_factory=dict)
    want: tuple[Any, ...] = ()
    alter_manifest: Callable[[Manifest], Manifest] = lambda manifest: manifest
    alter_policy: Callable[[Digest, Envelope], Envelope] = lambda _digest, envelope: envelope
    waits: bool = False
    """Whether a wait really waits; without a network nobody could interrupt it."""
    manifest_key: EnvelopeKey | None = None
    """Signs manifests instead of the tenant's own key: a thief's."""
    spent: set[KeyThumbprint] = field(default_factory=set)
    refuses_for_ever: bool = False
    """Whether numbers are refused whatever epoch a device was given."""

    def __post_init__(self) -> None:
        now = self.clock.now()
        self.keys = {role: EnvelopeKey.generate() for role in ("onboarding", "policy", "manifest", "time")}
        self.devices_authority = DeviceAuthority.create(TENANT, now)
        self.tls_authority = LocalAuthority.create(now)
        self.root = TrustRoot(
            tenant_id=TENANT,
            incarnation=1,
            version=1,
            roles=Roles(**{role: role_keys(key.public) for role, key in self.keys.items()}),
            device_authorities=(self.devices_authority.certificate_pem,),
        )
        self.secret = secrets.token_bytes(32)
        self.nonces: set[str] = set()
        self.manifest_counter = 0
        self.changed = threading.Condition(threading.RLock())

    # What an administrator does

    def package(self, **changes: Any) -> OnboardingPackage:
        now = self.clock.now()
        fields: dict[str, Any] = {
            "tenant_id": TENANT,
            "package_id": PackageId("aaaaaaaa-0000-4000-8000-000000000001"),
            "server_urls": (f"https://{self.authority}",),
            "tls_roots": (self.tls_authority.certificate_pem,),
            "trust_root": self.root,
            "onboarding_key": OnboardingKey(kid="1", k=_base64url(self.secret)),
            "not_before": moments.write(now - timedelta(hours=1)),
            "not_after": moments.write(now + timedelta(days=30)),
        }
        return OnboardingPackage(**(fields | changes))

    def package_bytes(self, **changes: Any) -> bytes:
        return encode(seal_package(self.package(**changes), self.keys["onboarding"]))

    def publish(self, document: PolicyDocument) -> ManifestItem:
        payload = encode(document)
        digest = digest_of_bytes(payload)
        self.policies[digest] = seal(payload, payload_types.POLICY, self.keys["policy"])
        return ManifestItem(
            policy_id=document.policy_id, revision=document.revision, digest=digest, length=len(payload)
        )

    def assign(self, *items: ManifestItem) -> None:
        """Assign these policies, and no others, to every device."""
        with self.changed:
            for device in self.devices.values():
                device.items = ordered(items)

    def protect(self, until: datetime | None = None) -> None:
        """Protect every device against tampering; until a moment there is time for troubleshooting."""
        with self.changed:
            for device in self.devices.values():
                troubleshooting = None if until is None else moments.write(until)
                device.protection = Protection(tamper=True, troubleshooting_until=troubleshooting)

    def offboarding_bytes(self, *, signer: str = "onboarding", **changes: Any) -> bytes:
        now = self.clock.now()
        fields: dict[str, Any] = {
            "v": 1,
            "tenant_id": TENANT,
            "package_id": PackageId("aaaaaaaa-0000-4000-8000-00000000000f"),
            "not_before": moments.write(now - timedelta(minutes=5)),
            "not_after": moments.write(now + timedelta(days=7)),
            "platforms": ("linux",),
        }
        return encode(seal_offboarding(OffboardingPackage(**(fields | changes)), self.keys[signer]))

    def request_sync(self) -> None:
        with self.changed:
            for device in self.devices.values():
                device.sync_wanted = True
            self.changed.notify_all()

    @property
    def device(self) -> SimulatedDevice:
        """The one device there is."""
        (device,) = self.devices.values()
        return device

    # The protocol

    def answer(self, request: Request) -> HttpAnswer:
        """Answer one request as the real gateway would."""
        try:
            return self._answer(request)
        except RefusedError as refusal:
            return self._problem(refusal)
        except ShieldwallError as error:
            status = 401 if isinstance(error, BadSignatureError | ClockSkewError) else 400
            return self._problem(RefusedError(status, error.code, error.cause))

    def _answer(self, request: Request) -> HttpAnswer:
        if request.headers.get("content-type") != "application/json":
            raise RefusedError(415, "unsupportedMediaType")
        own = f"/{TENANT}/EnrollmentServer"
        handlers: dict[str, Callable[[Request], HttpAnswer]] = {
            f"{own}/nonce": self._nonce,
            f"{own}/device": self._register,
            "/device/v1/time": self._time,
            "/device/v1/checkin": lambda request: self._known(request, CheckInRequest),
            "/device/v1/fetch": lambda request: self._known(request, FetchRequest),
            "/device/v1/wait": lambda request: self._known(request, WaitRequest),
            "/device/v1/resync": self._resync,
        }
        if self.hears_events:
            handlers["/device/v1/events"] = lambda request: self._known(request, EventsRequest)
        for device in self.devices.values():
            path = f"{own}/device/{device.id}"
            handlers[f"{path}/offboard"] = lambda request: self._known(request, OffboardRequest)
            handlers[f"{path}/renew"] = lambda request: self._known(request, RenewRequest)
            handlers[f"{path}/keyChange"] = lambda request: self._known(request, KeyChangeRequest)
            handlers[f"{path}/promote"] = self._promote
        for promoted in self.promoted.values():
            handlers[f"{own}/device/{promoted.former_id}/promote"] = self._promote
        if request.path not in handlers:
            raise RefusedError(404, "notFound")
        return handlers[request.path](request)

    def _nonce(self, request: Request) -> HttpAnswer:
        if decode_any(request.body) != {}:
            raise RefusedError(400, "invalidJson")
        nonce = secrets.token_hex(16)
        self.nonces.add(nonce)
        return _json(NonceAnswer(nonce=nonce, server_time=moments.write(self.clock.now())))

    def _time(self, request: Request) -> HttpAnswer:
        question = decode(request.body, TimeRequest)
        self.received.append((request.path, question))
        statement = TimeStatement(tenant_id=TENANT, nonce=question.nonce, time=moments.write(self.clock.now()))
        return _json(seal(encode(statement), payload_types.TIME, self.keys["time"]))

    def _register(self, received: Request) -> HttpAnswer:
        request = decode(received.body, RegisterRequest)
        der = base64.b64decode(request.certificate_request.data, validate=True)
        asked = read_request(der)
        name = self._verified(received, asked.public_key)
        if name in self.joins:
            return _json(self.joins[name], status=201)
        known = self.devices.get(name)
        if known is not None:
            if known.request_digest == hashlib.sha256(der).hexdigest():
                return self._waiting(known) or _json(known.answer, status=201)
            raise RefusedError(409, "duplicateKey")
        if asked.nonce not in self.nonces:
            raise RefusedError(401, "badNonce")
        try:
            proof = request.shieldwall.onboarding
            check_proof(self.secret, TENANT, asked.nonce, asked.spki, proven_body(request), mac=proof.mac)
        except BadOnboardingProofError as error:
            raise RefusedError(403, error.code, error.cause) from None
        self.nonces.discard(asked.nonce)
        device_id = DeviceId(f"dddddddd-0000-4000-8000-{len(self.devices) + 1:012x}")
        now = self.clock.now()
        answer = RegisterAnswer(
            tenant_id=TENANT,
            device_id=device_id,
            certificate=self.devices_authority.issue(asked.public_key, TENANT, device_id, now),
            epoch=1,
            next_check_in_seconds=300,
            server_time=moments.write(now),
        )
        self.received.append((received.path, request))
        if request.join_type == "full":
            self.joins[name] = answer
            return _json(answer, status=201)
        self.devices[name] = made = SimulatedDevice(
            id=device_id,
            key=asked.public_key,
            instance_id=request.shieldwall.instance_id,
            request_digest=hashlib.sha256(der).hexdigest(),
            answer=answer,
        )
        return self._waiting(made) or _json(answer, status=201)

    def _waiting(self, device: SimulatedDevice) -> HttpAnswer | None:
        """Say that a device is not let in, or turn it away; ``None`` where it may come."""
        if self.rejects:
            raise RefusedError(403, "registrationRejected")
        if not self.approves:
            return None
        answer = PendingAnswer(
            tenant_id=TENANT,
            device_id=device.id,
            reason="approval",
            retry_after_seconds=60,
            server_time=self._time_text(),
        )
        return _json(answer, status=202)

    def _promote(self, received: Request) -> HttpAnswer:
        request = decode(received.body, PromoteRequest)
        asked = read_request(base64.b64decode(request.certificate_request.data, validate=True))
        digest = digest_of_bytes(received.body)
        if (done := self.promoted.get(digest)) is not None:
            self._verified(received, done.former_key)
            return _json(done.answer, status=201)
        former = self._verified(received, None)
        device = self.devices[former]
        if self.refuses_promotion is not None:
            raise RefusedError(*self.refuses_promotion)
        if request.epoch != device.epoch or request.seq <= device.last_sequence:
            raise RefusedError(409, "seqConflict")
        if asked.nonce not in self.nonces:
            raise RefusedError(400, "badNonce")
        existing = read_existing_certificate(base64.b64decode(request.existing.certificate))
        data = key_message(TENANT, asked.nonce, asked.spki, spoken_about(request))
        check_existing(
            existing.public_key, request.existing.algorithm, base64.b64decode(request.existing.signature), data
        )
        (full,) = existing.named_devices()
        self.nonces.discard(asked.nonce)
        answer = RegisterAnswer(
            tenant_id=TENANT,
            device_id=full,
            certificate=self.devices_authority.issue(asked.public_key, TENANT, full, self.clock.now()),
            epoch=device.epoch + 1,
            next_check_in_seconds=300,
            server_time=self._time_text(),
        )
        self.promoted[digest] = Promoted(device.id, device.key, answer)
        self.received.append((received.path, request))
        self.devices[thumbprint(asked.public_key)] = self.devices.pop(former)
        device.id, device.key, device.epoch, device.last_sequence = full, asked.public_key, answer.epoch, 0
        device.last_body = device.last_answer = None
        return _json(answer, status=201)

    def _known(self, request: Request, kind: type[Any]) -> HttpAnswer:
        device = self.devices[self._verified(request, None)]
        message = decode(request.body, kind)
        with self.changed:
            if device.offboarded:
                raise RefusedError(401, "badSignature")
            ends = device.certificate_expires_at
            if kind is not RenewRequest and ends is not None and ends <= self.clock.now():
                raise RefusedError(401, "certificateExpired")
            digest = digest_of_bytes(request.body)
            if message.seq == device.last_sequence and digest == device.last_body and device.last_answer is not None:
                return device.last_answer
            if message.epoch != device.epoch or message.seq <= device.last_sequence:
                raise RefusedError(409, "seqConflict", "The sequence number was used before.")
            self.received.append((request.path, message))
            device.last_sequence, device.last_body = message.seq, digest
            device.last_answer = self._handled(device, message)
            return device.last_answer

    def _handled(self, device: SimulatedDevice, message: Any) -> HttpAnswer:  # noqa: PLR0911 - one answer for each message
        match message:
            case CheckInRequest():
                return self._check_in(device, message)
            case FetchRequest():
                return self._fetch(device, message)
            case WaitRequest():
                return self._wait(device, message)
            case RenewRequest():
                return _json(
                    RenewAnswer(certificate=self._certified(device, device.key), server_time=self._time_text())
                )
            case KeyChangeRequest():
                return self._change_key(device, message)
            case EventsRequest():
                return self._hear(message)
            case _:
                device.goodbye, device.offboarded = message, True
                return _nothing()

    def _hear(self, request: EventsRequest) -> HttpAnswer:
        if not self.understands(request):
            raise RefusedError(400, "invalidJson")
        for event in request.events:
            self.heard.setdefault(event.id, event)
        self.lost += request.lost
        return _nothing()

    def _change_key(self, device: SimulatedDevice, request: KeyChangeRequest) -> HttpAnswer:
        asked = read_request(base64.b64decode(request.certificate_request.data, validate=True))
        new = thumbprint(asked.public_key)
        if asked.nonce not in self.nonces:
            raise RefusedError(400, "badNonce")
        if new in self.devices or new in self.spent:
            raise RefusedError(409, "duplicateKey")
        self.nonces.discard(asked.nonce)
        self.spent.add(thumbprint(device.key))
        self.devices[new] = self.devices.pop(thumbprint(device.key))
        device.key = asked.public_key
        return _json(KeyChangeAnswer(certificate=self._certified(device, device.key), server_time=self._time_text()))

    def _resync(self, received: Request) -> HttpAnswer:
        device = self.devices[self._verified(received, None)]
        request = decode(received.body, ResyncRequest)
        if request.nonce not in self.nonces:
            raise RefusedError(400, "badNonce")
        self.nonces.discard(request.nonce)
        device.resyncs.append(request)
        if not self.refuses_for_ever:
            device.epoch, device.last_sequence, device.last_body = device.epoch + 1, 0, None
        return _json(ResyncAnswer(epoch=device.epoch, server_time=self._time_text()))

    def _certified(self, device: SimulatedDevice, key: PublicKey) -> str:
        now = self.clock.now()
        device.certificate_expires_at = now + timedelta(days=DEVICE_DAYS)
        return self.devices_authority.issue(key, TENANT, device.id, now)

    def _time_text(self) -> str:
        return moments.write(self.clock.now())

    def _check_in(self, device: SimulatedDevice, request: CheckInRequest) -> HttpAnswer:
        device.sync_wanted = False
        device.facts = request.facts or device.facts
        device.report = request.report or device.report
        lacks = {
            "facts": request.have.facts != (None if device.facts is None else digest_of(device.facts)),
            "report": request.have.status != (None if device.report is None else digest_of(device.report)),
        }
        want: tuple[Any, ...] = (*self.want, *(part for part, lacking in lacks.items() if lacking))
        self.want = ()
        current = request.have.target == device.target
        if current and not want and request.facts is None and request.report is None:
            return _nothing()
        return _json(
            CheckInAnswer(
                ack_seq=request.seq,
                next_check_in_seconds=self.next_check_in_seconds,
                server_time=moments.write(self.clock.now()),
                manifest=None if current else self.manifest(device),
                want=want,
            )
        )

    def manifest(self, device: SimulatedDevice) -> Envelope:
        """Sign a new manifest."""
        self.manifest_counter += 1
        now = self.clock.now()
        is_managed = not device.leaving and device.enrollment == MANAGED_CODE
        manifest = Manifest(
            tenant_id=TENANT,
            incarnation=1,
            device_id=device.id,
            device_key=thumbprint(device.key),
            manifest_version=(1 << COUNTER_BITS) + self.manifest_counter,
            issued=moments.write(now),
            expires=moments.write(now + timedelta(days=7)),
            target=device.target,
            items=device.items if is_managed else (),
            protection=device.protection if is_managed else UNPROTECTED,
            offboard=device.leaving,
            enrollment=MANAGED_CODE if device.leaving else device.enrollment,
        )
        signer = self.manifest_key or self.keys["manifest"]
        return seal(encode(self.alter_manifest(manifest)), payload_types.MANIFEST, signer)

    def _fetch(self, device: SimulatedDevice, request: FetchRequest) -> HttpAnswer:
        own = {item.digest for item in device.items}
        if not own.issuperset(request.digests):
            raise RefusedError(404, "notFound")
        return _json(
            FetchAnswer(policies=tuple(self.alter_policy(digest, self.policies[digest]) for digest in request.digests))
        )

    def _wait(self, device: SimulatedDevice, request: WaitRequest) -> HttpAnswer:
        if not self.channels:
            raise RefusedError(503, "busy")
        if not device.sync_wanted and self.waits:
            self.changed.wait(request.seconds)
        return _json(WaitAnswer(sync=True)) if device.sync_wanted else _nothing()

    def _verified(self, request: Request, new_key: PublicKey | None) -> KeyThumbprint:
        signature = parse_signature(
            SignedHeaders(
                content_type=request.headers.get("content-type"),
                content_digest=request.headers.get("content-digest"),
                signature_input=request.headers.get("signature-input"),
                signature=request.headers.get("signature"),
            )
        )
        device = self.devices.get(signature.keyid)
        key = new_key or (None if device is None else device.key)
        if key is None or thumbprint(key) != signature.keyid:
            raise BadSignatureError("No device of this key.")
        signature.check_window(int(self.clock.now().timestamp()))
        if request.authority != self.authority:
            raise RefusedError(421, "misdirected")
        signature.verify(key, method="POST", authority=self.authority, path=request.path, query="", body=request.body)
        return signature.keyid

    def _problem(self, refusal: RefusedError) -> HttpAnswer:
        problem = Problem(
            type=f"urn:shieldwall:{refusal.code}",
            title=refusal.code,
            status=refusal.status,
            code=refusal.code,
            detail=refusal.detail,
            server_time=moments.write(self.clock.now()),
        )
        return HttpAnswer(status=refusal.status, content_type="application/problem+json", body=encode(problem))


@dataclass
class MemoryTransport:
    """Carries requests to a gateway in this process.

    ``before`` and ``after`` may raise: the request is lost on its way, or the answer.
    """

    gateway: SimulatedGateway
    away: bool = False
    before: Callable[[str], None] = lambda _path: None
    after: Callable[[str], None] = lambda _path: None
    calls: list[str] = field(default_factory=list)

    def post(
        self, url: SplitResult, path: str, *, headers: Mapping[str, str], body: bytes, timeout_seconds: float
    ) -> HttpAnswer:
        assert timeout_seconds > 0
        self.calls.append(path)
        if self.away:
            raise GatewayUnreachableError("The gateway is away.")
        self.before(path)
        lowered = {name.lower(): value for name, value in headers.items()}
        answer = self.gateway.answer(Request(authority=url.netloc, path=path, headers=lowered, body=body))
        self.after(path)
        return answer


@contextmanager
def served(gateway: SimulatedGateway, directory: Path) -> Iterator[str]:
    """Serve the gateway over TLS on a loopback port, under a certificate of its own authority; yields its URL."""
    chain, key = gateway.tls_authority.issue_server((), datetime.now(UTC))
    (directory / "tls.pem").write_text(chain + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(directory / "tls.pem")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = gateway.answer(Request(authority=self.headers["Host"], path=self.path, headers=headers, body=body))
            self.send_response(answer.status)
            if answer.status != 204:
                self.send_header("Content-Type", answer.content_type)
                self.send_header("Content-Length", str(len(answer.body)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(answer.body)
            self.close_connection = True

        def log_message(self, *_arguments: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def finish_request(self, request: Any, client_address: Any) -> None:
            with context.wrap_socket(request, server_side=True) as secured:
                super().finish_request(secured, client_address)

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # a client that broke off is part of many tests

    server = Server(("127.0.0.1", 0), Handler)
    gateway.authority = f"localhost:{server.server_address[1]}"
    gateway.waits = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"https://{gateway.authority}"
    finally:
        with gateway.changed:
            gateway.waits = False
            gateway.changed.notify_all()
        server.shutdown()
        server.server_close()
        thread.join()


def _json(message: msgspec.Struct, *, status: int = 200) -> HttpAnswer:
    return HttpAnswer(status=status, content_type="application/json", body=encode(message))


def _nothing() -> HttpAnswer:
    return HttpAnswer(status=204, content_type="", body=b"")


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
