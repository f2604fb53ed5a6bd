"""Who must not be believed (bad-inputs 9.2), over a real TLS socket: each gets its answer, and nothing changes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from tests.support.gateway_device import GatewayDevice
from tests.support.gateway_world import GatewayWorld, gateway_world

from shieldwall.contract import strict_json
from shieldwall.contract.ids import TenantId
from shieldwall.contract.messages import MAX_BODY_BYTES
from shieldwall.server.directory.devices import retire
from shieldwall.server.inventory.nonces import NonceSealer
from shieldwall.server.inventory.packages import revoke_package
from shieldwall.server.storage import alerts, audit, check_ins, devices
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.records import Page
from shieldwall.trust.certificate_request import NONCE_EXTENSION, build_request
from shieldwall.trust.device_key import DeviceKey, public_key_bytes, public_key_info
from shieldwall.trust.foreign_key import ForeignKey
from shieldwall.trust.onboarding import OnboardingPackage

CHECK_IN = "/device/v1/checkin"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayWorld]:
    with gateway_world(tmp_path_factory.mktemp("server") / "data") as made:
        yield made


@pytest.fixture(scope="module")
def device(world: GatewayWorld) -> GatewayDevice:
    made = GatewayDevice(world)
    assert made.register().status == 201
    assert made.check_in().status == 200
    return made


@pytest.fixture(scope="module")
def package(world: GatewayWorld) -> OnboardingPackage:
    return world.package()


@pytest.fixture
def nothing_changes(
    world: GatewayWorld,
    device: GatewayDevice,
    package: OnboardingPackage,  # noqa: ARG001 - made before we look
) -> Iterator[None]:
    before = standing(world, device)
    yield
    assert standing(world, device) == before


def standing(world: GatewayWorld, device: GatewayDevice) -> Any:
    with world.services.database.read() as connection:
        return (
            check_ins.get(connection, device.device_id),
            devices.count(connection, world.settings.tenant_id),
            len(audit.list_events(connection, world.settings.tenant_id, Page(size=10_000))),
        )


def without(name: str) -> Callable[[dict[str, str]], dict[str, str]]:
    return lambda headers: {key: value for key, value in headers.items() if key != name}


def replaced(name: str, old: str, new: str) -> Callable[[dict[str, str]], dict[str, str]]:
    def change(headers: dict[str, str]) -> dict[str, str]:
        assert old in headers[name]
        return headers | {name: headers[name].replace(old, new)}

    return change


def of_another_body(headers: dict[str, str]) -> dict[str, str]:
    digest = base64.b64encode(hashlib.sha256(b"another").digest()).decode()
    return headers | {"Content-Digest": f"sha-256=:{digest}:"}


def by_another_hash(name: str) -> Callable[[dict[str, str]], dict[str, str]]:
    digest = base64.b64encode(hashlib.new(name, b"x", usedforsecurity=False).digest()).decode()
    return lambda headers: headers | {"Content-Digest": f"{name}=:{digest}:"}


def doubled(name: str) -> Callable[[dict[str, str]], dict[str, str]]:
    return lambda headers: headers | {name.lower(): headers[name]}


FORGERIES: dict[str, Callable[[dict[str, str]], dict[str, str]]] = {
    "no signature": without("Signature"),
    "no signature input": without("Signature-Input"),
    "no digest": without("Content-Digest"),
    "garbled signature": replaced("Signature", "sw=:", "sw=:!"),
    "another signature": replaced("Signature", "sw=:", "sw=:" + "A" * 8),
    "two signatures": doubled("Signature"),
    "two inputs": doubled("Signature-Input"),
    "two digests": doubled("Content-Digest"),
    "an extra label": lambda headers: headers | {"Signature": headers["Signature"] + ", two=:AAAA:"},
    "another label": replaced("Signature-Input", "sw=", "sx="),
    "another tag": replaced("Signature-Input", "shieldwall-device-v1", "shieldwall-device-v2"),
    "another algorithm": replaced("Signature-Input", "ecdsa-p256-sha256", "hmac-sha256"),
    "one component less": replaced("Signature-Input", ' "@query"', ""),
    "one component more": replaced("Signature-Input", ' "@query"', ' "@query" "host"'),
    "another order": replaced("Signature-Input", '"@path" "@query"', '"@query" "@path"'),
    "the digest of another body": of_another_body,
    "sha-1": by_another_hash("sha1"),
    "md5": by_another_hash("md5"),
    "sha-512": by_another_hash("sha512"),
    "a longer life": replaced("Signature-Input", ";expires=", ";expires=1"),
    "another nonce": replaced("Signature-Input", "aaaa", "aaab"),
    "an unknown key": replaced("Signature-Input", 'keyid="', 'keyid="A'),
}


def constant(world: GatewayWorld) -> Any:
    """The one answer to whatever is not signed."""
    return world.post(CHECK_IN, b"{}").shape


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_signature_that_is_not_exactly_right_gets_the_one_answer(
    world: GatewayWorld, device: GatewayDevice, forge: Callable[[dict[str, str]], dict[str, str]]
) -> None:
    body = device.check_in_request()
    headers = forge(device.sign(CHECK_IN, body))
    reply = world.ask("POST", CHECK_IN, body, headers)
    device.seq -= 1
    if reply.status == 401 and reply.json["code"] == "clockSkew":
        assert "expires=1" in headers["Signature-Input"]
    else:
        assert reply.shape == constant(world)


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize(
    "changed",
    [
        {"method": "GET"},
        {"authority": "evil.example"},
        {"path": "/device/v1/fetch"},
        {"query": "x=1"},
    ],
    ids=str,
)
def test_a_signature_over_another_request_gets_the_one_answer(
    world: GatewayWorld, device: GatewayDevice, changed: dict[str, str]
) -> None:
    body = device.check_in_request()
    device.seq -= 1
    assert world.ask("POST", CHECK_IN, body, device.sign(CHECK_IN, body, **changed)).shape == constant(world)


@pytest.mark.usefixtures("nothing_changes")
def test_a_mac_made_with_the_public_key_gets_the_one_answer(world: GatewayWorld, device: GatewayDevice) -> None:
    body = device.check_in_request()
    device.seq -= 1
    headers = device.sign(CHECK_IN, body)
    mac = hmac.digest(public_key_bytes(device.key.public_key), body, "sha512")
    assert world.ask(
        "POST", CHECK_IN, body, headers | {"Signature": f"sw=:{base64.b64encode(mac).decode()}:"}
    ).shape == constant(world)


@pytest.mark.usefixtures("nothing_changes")
def test_unknown_wrong_and_retired_keys_get_the_same_answer(world: GatewayWorld, device: GatewayDevice) -> None:
    unknown = GatewayDevice(world, epoch=1)
    wrong = GatewayDevice(world, epoch=1)
    body = wrong.check_in_request()
    headers = wrong.sign(CHECK_IN, body)
    stolen_name = re.sub(r'keyid="[^"]+"', f'keyid="{device.key.thumbprint}"', headers["Signature-Input"])

    assert unknown.check_in().shape == constant(world)
    assert world.ask("POST", CHECK_IN, body, headers | {"Signature-Input": stolen_name}).shape == constant(world)


@pytest.mark.parametrize("state", [DeviceState.RETIRED, DeviceState.DISABLED])
@pytest.mark.parametrize("path", [CHECK_IN, "/device/v1/fetch", "/device/v1/wait"])
def test_a_device_that_may_act_no_more_is_nobody_from_the_next_request_on(
    world: GatewayWorld, state: DeviceState, path: str
) -> None:
    gone = GatewayDevice(world)
    gone.register()
    assert gone.check_in().status == 200
    with world.services.database.write() as connection:
        if state is DeviceState.RETIRED:
            retire(connection, world.acting, gone.device_id)
        else:
            record = devices.get(connection, gone.device_id)
            devices.put(connection, replace(record, state=state))

    message = {
        CHECK_IN: gone.check_in_request(),
        "/device/v1/fetch": strict_json.encode(gone.numbered(digests=["0" * 64])),
        "/device/v1/wait": strict_json.encode(gone.numbered(seconds=1)),
    }[path]
    assert gone.send(path, message).shape == constant(world)


def test_how_long_a_refusal_takes_does_not_tell_known_from_unknown_keys(
    world: GatewayWorld, device: GatewayDevice
) -> None:
    body = device.check_in_request()
    device.seq -= 1
    stranger = GatewayDevice(world)
    known = device.sign(CHECK_IN, body, path="/elsewhere")
    unknown = stranger.sign(CHECK_IN, body)
    taken: dict[str, list[float]] = {"known": [], "unknown": []}
    with world.connect() as connection:
        for _ in range(200):
            for name, headers in (("known", known), ("unknown", unknown)):
                lines = "".join(f"{key}: {value}\r\n" for key, value in headers.items())
                request = (
                    f"POST {CHECK_IN} HTTP/1.1\r\nHost: {world.authority}\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
                )
                started = time.perf_counter()
                connection.sendall(request.encode() + body)
                assert b" 401 " in connection.recv(65536)
                taken[name].append(time.perf_counter() - started)

    medians = {name: statistics.median(times) for name, times in taken.items()}
    assert abs(medians["known"] - medians["unknown"]) < 0.005  # generous: the machine of a test run is never quiet


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("seconds", [-301, 301, -121, -86_400, 86_400])
def test_a_signature_of_another_time_is_told_the_time(world: GatewayWorld, device: GatewayDevice, seconds: int) -> None:
    body = device.check_in_request()
    device.seq -= 1
    created = int(world.clock.now().timestamp()) + seconds
    reply = world.ask("POST", CHECK_IN, body, device.sign(CHECK_IN, body, created=created))
    assert (reply.status, reply.code) == (401, "clockSkew")
    assert reply.json["serverTime"] == "2026-11-23T12:00:00Z"


def test_a_signature_of_another_time_does_not_tell_whether_its_key_is_registered(
    world: GatewayWorld, device: GatewayDevice
) -> None:
    created = int(world.clock.now().timestamp()) - 86_400
    answers = []
    for asker in (device, GatewayDevice(world)):
        body = device.check_in_request()
        device.seq -= 1
        reply = world.ask("POST", CHECK_IN, body, asker.sign(CHECK_IN, body, created=created))
        answers.append({name: value for name, value in reply.json.items() if name != "requestId"})

    assert answers[0] == answers[1]


@pytest.mark.parametrize("seconds", [-121, 301])
def test_a_registration_of_another_time_is_told_the_time(
    world: GatewayWorld, package: OnboardingPackage, seconds: int
) -> None:
    newcomer = GatewayDevice(world)
    path, body = f"{newcomer.enrollment}/device", newcomer.registration(package)
    created = int(world.clock.now().timestamp()) + seconds
    assert world.ask("POST", path, body, newcomer.sign(path, body, created=created)).code == "clockSkew"


@pytest.mark.parametrize("seconds", [-119, 299])
def test_a_signature_a_little_off_is_taken(world: GatewayWorld, device: GatewayDevice, seconds: int) -> None:
    body = device.check_in_request()
    created = int(world.clock.now().timestamp()) + seconds
    assert world.ask("POST", CHECK_IN, body, device.sign(CHECK_IN, body, created=created)).status == 200


def another_curve(nonce: str) -> bytes:
    return request_by(ec.generate_private_key(ec.SECP384R1()), nonce)


def request_by(key: Any, nonce: str | None, *, name: str = "", alternative: str = "", attributes: int = 0) -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])
    builder = x509.CertificateSigningRequestBuilder(subject)
    if nonce is not None:
        builder = builder.add_extension(
            x509.UnrecognizedExtension(NONCE_EXTENSION, asn1.encode_der(nonce)), critical=False
        )
    if alternative:
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(alternative)])
        builder = builder.add_extension(names, critical=False)
    for number in range(attributes):
        builder = builder.add_attribute(x509.ObjectIdentifier(f"1.2.3.{number + 4}"), b"x")
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.DER)


def badly_signed(device: GatewayDevice, nonce: str) -> bytes:
    der = bytearray(build_request(device.key, nonce))
    der[-1] ^= 1
    return bytes(der)


def der(tag: int, *parts: bytes) -> bytes:
    """One value in DER."""
    content = b"".join(parts)
    size = len(content).to_bytes(max(1, (len(content).bit_length() + 7) // 8), "big")
    return bytes([tag]) + (size if len(content) < 128 else bytes([0x80 | len(size)]) + size) + content


def p256_info() -> bytes:
    return public_key_info(DeviceKey.generate().public_key)


def rsa_info(bits: int) -> bytes:
    """A public key that no library would make."""
    modulus = ((1 << (bits - 1)) | 1).to_bytes((bits + 8) // 8, "big")
    key = der(0x30, der(0x02, modulus), der(0x02, b"\x01\x00\x01"))
    algorithm = der(0x30, der(0x06, bytes.fromhex("2a864886f70d010101")), der(0x05))
    return der(0x30, algorithm, der(0x03, b"\0", key))


def hand_made(spki: bytes, attributes: int = 0) -> bytes:
    """A request of sound shape, with nobody's signature."""
    each = (der(0x30, der(0x06, bytes([0x2A, 0x03, 0x04])), der(0x31, der(0x0C, b"x"))) for _ in range(attributes))
    wanted = der(0x30, der(0x02, b"\0"), der(0x30), spki, der(0xA0, *each))
    signed = der(0x30, der(0x06, bytes.fromhex("2a8648ce3d040302")))
    return der(0x30, wanted, signed, der(0x03, b"\0", b"\x30\x06\x02\x01\x01\x02\x01\x01"))


BAD_REQUESTS: dict[str, Callable[[GatewayDevice, str], bytes]] = {
    "P-384": lambda _device, nonce: another_curve(nonce),
    "RSA-1024": lambda _device, nonce: request_by(rsa.generate_private_key(65537, 1024), nonce),  # noqa: S505 - on purpose
    "Ed25519": lambda _device, nonce: request_by(ed25519.Ed25519PrivateKey.generate(), nonce),
    "bad self-signature": badly_signed,
    "a name with NUL": lambda device, nonce: request_by(ForeignKey(device.key), nonce, name="a\0b"),
    "the name of another device": lambda device, nonce: request_by(
        ForeignKey(device.key), nonce, alternative="urn:shieldwall:x:device:y"
    ),
    "60 attributes": lambda device, nonce: request_by(ForeignKey(device.key), nonce, attributes=60),
    "no nonce": lambda device, _nonce: request_by(ForeignKey(device.key), None),
    "10,000 attributes": lambda _device, _nonce: hand_made(p256_info(), attributes=10_000),
    "RSA-65537": lambda _device, _nonce: hand_made(rsa_info(bits=65_537)),
    "huge": lambda _device, _nonce: b"\x30" * 6000,
    "not DER": lambda _device, _nonce: b"hello",
}


@pytest.mark.usefixtures("nothing_changes")
@pytest.mark.parametrize("make", BAD_REQUESTS.values(), ids=BAD_REQUESTS.keys())
def test_a_certificate_request_that_is_not_exactly_ours_is_refused(
    world: GatewayWorld, package: OnboardingPackage, make: Callable[[GatewayDevice, str], bytes]
) -> None:
    newcomer = GatewayDevice(world)
    nonce = newcomer.nonce()
    der = make(newcomer, nonce)
    body = newcomer.registration(package, request=der, nonce=nonce)
    taken = []
    for _ in range(3):
        started = time.process_time()
        reply = newcomer.send(f"{newcomer.enrollment}/device", body)
        taken.append(time.process_time() - started)  # client and TLS included
        too_long = len(der) > 6_144  # longer than the message has room for, so it is not even decoded
        assert (reply.status, reply.code) == (400, "invalidJson" if too_long else "badCertificateRequest")
    assert min(taken) < 0.1


@pytest.mark.parametrize("case", ["invented", "old", "used", "of another tenant"])
def test_a_nonce_that_is_not_fresh_and_ours_is_refused(world: GatewayWorld, case: str) -> None:
    newcomer = GatewayDevice(world)
    package = world.package()
    match case:
        case "invented":
            nonce = "A" * 48
        case "old":
            nonce = newcomer.nonce()
            world.clock.forward(minutes=5, seconds=1)
        case "used":
            nonce = newcomer.nonce()
            other = GatewayDevice(world)
            body = other.registration(package, nonce=nonce)
            assert other.send(f"{other.enrollment}/device", body).status == 201
        case _:
            sealer = NonceSealer(key=world.settings.nonce_key.read_bytes())
            nonce = sealer.seal(TenantId("00000000-0000-4000-8000-000000000000"), world.clock.now())
    try:
        reply = newcomer.send(f"{newcomer.enrollment}/device", newcomer.registration(package, nonce=nonce))
        assert (reply.status, reply.code) == (400, "badNonce")
    finally:
        if case == "old":
            world.clock.forward(minutes=-5, seconds=-1)


def test_a_proof_for_another_key_or_by_another_secret_is_refused(world: GatewayWorld) -> None:
    package = world.package()
    newcomer = GatewayDevice(world)
    path = f"{newcomer.enrollment}/device"
    other = public_key_info(DeviceKey.generate().public_key)

    for body in (
        newcomer.registration(package, spki=other),
        newcomer.registration(package, mac="A" * 43),
        newcomer.registration(package, mac=""),
    ):
        reply = newcomer.send(path, body)
        assert (reply.status, reply.code) == (403, "badOnboardingProof")


def test_a_registration_signed_by_another_key_gets_the_one_answer(world: GatewayWorld) -> None:
    newcomer, thief = GatewayDevice(world), GatewayDevice(world)
    path = f"{newcomer.enrollment}/device"
    body = newcomer.registration(world.package())
    under_another_name: Any = SimpleNamespace(thumbprint=thief.key.thumbprint, sign=newcomer.key.sign)
    by_another_key: Any = SimpleNamespace(thumbprint=newcomer.key.thumbprint, sign=thief.key.sign)

    for headers in (
        thief.sign(path, body),
        newcomer.sign(path, body, path="/elsewhere"),
        GatewayDevice(world, key=under_another_name).sign(path, body),
        GatewayDevice(world, key=by_another_key).sign(path, body),
    ):
        assert world.ask("POST", path, body, headers).shape == constant(world)


def test_a_package_is_refused_when_it_is_over(world: GatewayWorld) -> None:
    expiring = world.package(lifetime=timedelta(minutes=1))
    revoked = world.package()
    with world.services.database.write() as connection:
        revoke_package(connection, world.acting, revoked.package_id)
    world.clock.forward(minutes=1, seconds=1)
    try:
        assert GatewayDevice(world).register(expiring).code == "packageExpired"
        assert GatewayDevice(world).register(revoked).code == "packageRevoked"
    finally:
        world.clock.forward(minutes=-1, seconds=-1)
    with world.services.database.read() as connection:
        raised = {each.title for each in alerts.list_alerts(connection, world.acting.tenant_id, Page())}
    assert len([title for title in raised if title.endswith("is still tried")]) == 2


def test_a_package_is_for_its_platforms_alone(world: GatewayWorld) -> None:
    newcomer = GatewayDevice(world)
    body = newcomer.registration(world.package(platforms=("linux",)), device_type="macOS")
    reply = newcomer.send(f"{newcomer.enrollment}/device", body)
    assert (reply.status, reply.code) == (403, "platformNotAllowed")


def test_a_key_is_an_identity_for_ever(world: GatewayWorld) -> None:
    known = GatewayDevice(world)
    assert known.register().status == 201
    again = GatewayDevice(world, key=known.key).register()
    assert (again.status, again.code) == (409, "duplicateKey")


@pytest.mark.parametrize(
    "name",
    ["\u202eexe.txt", "<script>alert(1)</script>", "=cmd()", "'; DROP TABLE devices; --", "\x1b[31mred", "🐧", "", " "],
)
def test_a_strange_name_is_kept_as_it_is(world: GatewayWorld, name: str) -> None:
    newcomer = GatewayDevice(world)
    body = newcomer.registration(world.package(), device_display_name=name)
    reply = newcomer.send(f"{newcomer.enrollment}/device", body)
    assert reply.status == 201
    with world.services.database.read() as connection:
        assert devices.get(connection, reply.json["deviceId"]).display_name == name


def test_a_name_longer_than_256_characters_is_refused(world: GatewayWorld) -> None:
    newcomer = GatewayDevice(world)
    body = newcomer.registration(world.package(), device_display_name="x" * 257)
    assert newcomer.send(f"{newcomer.enrollment}/device", body).code == "invalidJson"


def test_a_device_speaks_for_itself_alone(world: GatewayWorld, device: GatewayDevice) -> None:
    other = GatewayDevice(world)
    other.register()
    path = f"{device.enrollment}/device/{device.device_id}/offboard"
    assert other.send(path, other.numbered(reason="")).code == "notFound"
    assert device.check_in().status == 200


def test_the_paths_of_another_tenant_do_not_exist(world: GatewayWorld) -> None:
    other = "00000000-0000-4000-8000-000000000000"
    assert world.post(f"/{other}/EnrollmentServer/nonce", b"{}").code == "notFound"
    assert world.ask("GET", f"/{other}/Discover?api-version=1.0").code == "notFound"


def test_a_registration_larger_than_its_limit_is_refused_unread(world: GatewayWorld) -> None:
    newcomer = GatewayDevice(world)
    reply = world.raw(
        f"POST {newcomer.enrollment}/device HTTP/1.1\r\nHost: {world.authority}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {MAX_BODY_BYTES + 1}\r\n\r\n".encode()
    )
    assert (reply.status, reply.code) == (413, "contentTooLarge")


def test_unsigned_questions_are_answered_only_so_often(world: GatewayWorld) -> None:
    statuses = set()
    with world.connect() as connection:
        body = b'{"nonce":"' + b"0" * 32 + b'"}'
        request = (
            f"POST /device/v1/time HTTP/1.1\r\nHost: {world.authority}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nX-Forwarded-For: 10.0.0.%d\r\n\r\n"
        )
        for number in range(800):
            connection.sendall((request % (number % 256)).encode() + body)
            answer = connection.recv(65536)
            statuses.add(int(answer.split()[1]))
            if b" 429 " in answer:
                assert re.search(rb"retry-after: [1-5]\r\n", answer)
                break

    assert statuses == {200, 429}
