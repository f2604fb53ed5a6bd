"""Certificate requests and nonces that are not exactly ours (bad-inputs 9.2), wherever one is sent, on both engines."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any, Final

import pytest
from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from tests.support.databases import shared_migrated_database_url
from tests.support.gateway_requests import Sound, key_change, promote, register, resync
from tests.support.gateway_world import GatewayWorld, Reply, gateway_world
from tests.support.whole_database import everything

from shieldwall.contract.ids import TenantId
from shieldwall.contract.messages import MAX_SMALL_BODY_BYTES
from shieldwall.server.inventory.nonces import NonceSealer
from shieldwall.trust.certificate_request import NONCE_EXTENSION, build_request
from shieldwall.trust.device_key import DeviceKey, SigningKey, public_key_info
from shieldwall.trust.foreign_key import ForeignKey

__all__ = ["shared_migrated_database_url"]

LONGEST: Final = 6_144
"""Bytes of a request; a longer one has no room in the message, so it is not even decoded."""
CERTIFIED: Final = {"register": register, "key change": key_change, "promote": promote}
every_route = pytest.mark.parametrize("make", CERTIFIED.values(), ids=CERTIFIED.keys())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, shared_migrated_database_url: str) -> Iterator[GatewayWorld]:
    with gateway_world(tmp_path_factory.mktemp("server") / "data", shared_migrated_database_url) as made:
        yield made


def request_by(
    key: Any, nonce: str | None, *, name: str = "", alternative: str = "", attributes: int = 0, nonces: int = 1
) -> bytes:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])
    builder = x509.CertificateSigningRequestBuilder(subject)
    if nonce is not None:
        for number in range(nonces):
            place = NONCE_EXTENSION if number == 0 else x509.ObjectIdentifier(f"1.2.3.{number}")
            extension = x509.UnrecognizedExtension(place, asn1.encode_der(nonce))
            builder = builder.add_extension(extension, critical=False)
    if alternative:
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(alternative)])
        builder = builder.add_extension(names, critical=False)
    for number in range(attributes):
        builder = builder.add_attribute(x509.ObjectIdentifier(f"1.2.3.{number + 4}"), b"x")
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.DER)


def badly_signed(key: SigningKey, nonce: str) -> bytes:
    der = bytearray(build_request(key, nonce))
    der[-1] ^= 1
    return bytes(der)


def signed_by_another(key: SigningKey, nonce: str) -> bytes:
    """The key of one, the signature of another."""
    mixed: Any = SimpleNamespace(public_key=key.public_key, sign=DeviceKey.generate().sign)
    return build_request(mixed, nonce)


def der(tag: int, *parts: bytes) -> bytes:
    """One value in DER."""
    content = b"".join(parts)
    size = len(content).to_bytes(max(1, (len(content).bit_length() + 7) // 8), "big")
    return bytes([tag]) + (size if len(content) < 128 else bytes([0x80 | len(size)]) + size) + content


def p256_info() -> bytes:
    return public_key_info(DeviceKey.generate().public_key)


def rsa_info(*, modulus: int = 2048, exponent: int = 17) -> bytes:
    """A public key that no library would make, with numbers of so many bits."""
    modulus_bytes, exponent_bytes = (
        ((1 << (bits - 1)) | 1).to_bytes((bits + 8) // 8, "big") for bits in (modulus, exponent)
    )
    key = der(0x30, der(0x02, modulus_bytes), der(0x02, exponent_bytes))
    algorithm = der(0x30, der(0x06, bytes.fromhex("2a864886f70d010101")), der(0x05))
    return der(0x30, algorithm, der(0x03, b"\0", key))


def hand_made(spki: bytes, attributes: int = 0) -> bytes:
    """A request of sound shape, with nobody's signature."""
    each = (der(0x30, der(0x06, bytes([0x2A, 0x03, 0x04])), der(0x31, der(0x0C, b"x"))) for _ in range(attributes))
    wanted = der(0x30, der(0x02, b"\0"), der(0x30), spki, der(0xA0, *each))
    signed = der(0x30, der(0x06, bytes.fromhex("2a8648ce3d040302")))
    return der(0x30, wanted, signed, der(0x03, b"\0", b"\x30\x06\x02\x01\x01\x02\x01\x01"))


BAD_REQUESTS: dict[str, Callable[[SigningKey, str], bytes]] = {
    "P-384": lambda _key, nonce: request_by(ec.generate_private_key(ec.SECP384R1()), nonce),
    "P-521": lambda _key, nonce: request_by(ec.generate_private_key(ec.SECP521R1()), nonce),
    "another curve of 256 bits": lambda _key, nonce: request_by(ec.generate_private_key(ec.SECP256K1()), nonce),
    "RSA-1024": lambda _key, nonce: request_by(rsa.generate_private_key(65537, 1024), nonce),  # noqa: S505 - on purpose
    "RSA-2048": lambda _key, nonce: request_by(rsa.generate_private_key(65537, 2048), nonce),
    "RSA modulus of 65,537 bits": lambda _key, _nonce: hand_made(rsa_info(modulus=65_537)),
    "RSA exponent of 65,537 bits": lambda _key, _nonce: hand_made(rsa_info(exponent=65_537)),
    "RSA modulus as long as fits": lambda _key, _nonce: hand_made(rsa_info(modulus=47_000)),
    "RSA exponent as long as fits": lambda _key, _nonce: hand_made(rsa_info(exponent=45_000)),
    "Ed25519": lambda _key, nonce: request_by(ed25519.Ed25519PrivateKey.generate(), nonce),
    "bad self-signature": badly_signed,
    "self-signature by another key": signed_by_another,
    "a name with NUL": lambda key, nonce: request_by(ForeignKey(key), nonce, name="a\0b"),
    "a name": lambda key, nonce: request_by(ForeignKey(key), nonce, name="00000000-0000-4000-8000-000000000000"),
    "the name of another device": lambda key, nonce: request_by(
        ForeignKey(key), nonce, alternative="urn:shieldwall:x:device:y"
    ),
    "one attribute": lambda key, nonce: request_by(ForeignKey(key), nonce, attributes=1),
    "60 attributes": lambda key, nonce: request_by(ForeignKey(key), nonce, attributes=60),
    "300 attributes": lambda _key, _nonce: hand_made(p256_info(), attributes=300),
    "10,000 attributes": lambda _key, _nonce: hand_made(p256_info(), attributes=10_000),
    "no nonce": lambda key, _nonce: request_by(ForeignKey(key), None),
    "an extension more": lambda key, nonce: request_by(ForeignKey(key), nonce, nonces=2),
    "huge": lambda _key, _nonce: b"\x30" * 6000,
    "deep": lambda _key, _nonce: b"\x30\x80" * 3000,
    "not DER": lambda _key, _nonce: b"hello",
    "bytes behind it": lambda key, nonce: build_request(key, nonce) + b"\0",
    "nothing": lambda _key, _nonce: b"",
}


def carrying(sound: Sound, request: bytes) -> bytes:
    """The same message with another certificate request in it."""
    message = json.loads(sound.body)
    name = "CertificateRequest" if "CertificateRequest" in message else "certificateRequest"
    data = {"Type": "pkcs10", "Data": base64.b64encode(request).decode()}
    return json.dumps(message | {name: data}, separators=(",", ":")).encode()


def told(sound: Sound, body: bytes) -> Reply:
    """Send it; of one that says it is longer than its route takes, the head alone, which is answered at once."""
    if len(body) <= MAX_SMALL_BODY_BYTES or not sound.path.endswith("keyChange"):
        return sound.send(body)
    world = sound.device.world
    lines = "".join(f"{name}: {value}\r\n" for name, value in sound.device.sign(sound.path, body).items())
    head = f"POST {sound.path} HTTP/1.1\r\nHost: {world.authority}\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
    return world.raw(head.encode())


@every_route
@pytest.mark.parametrize("bad", BAD_REQUESTS.values(), ids=BAD_REQUESTS.keys())
def test_a_certificate_request_that_is_not_exactly_ours_is_refused_quickly(
    world: GatewayWorld, make: Callable[[GatewayWorld], Sound], bad: Callable[[SigningKey, str], bytes]
) -> None:
    sound = make(world)
    is_new = make is register  # elsewhere the key that is asked for is another one than the one that signs
    request = bad(sound.device.key if is_new else DeviceKey.generate(), sound.device.nonce())
    body = carrying(sound, request)
    before = everything(world.services.database)
    taken = []
    for _ in range(3):
        started = time.process_time()
        reply = told(sound, body)
        taken.append(time.process_time() - started)  # client and TLS included
        answer = (reply.status, reply.code)
        if len(request) <= LONGEST:
            assert answer == (400, "badCertificateRequest")
        else:  # longer than the message or its member may be
            assert answer in {(400, "invalidJson"), (413, "contentTooLarge")}
    assert min(taken) < 0.1
    assert everything(world.services.database) == before
    assert sound.send().status in {200, 201}


@pytest.mark.parametrize("make", [*CERTIFIED.values(), resync], ids=[*CERTIFIED, "resync"])
def test_a_nonce_that_is_not_fresh_and_ours_is_refused(
    world: GatewayWorld, make: Callable[[GatewayWorld, str], Sound]
) -> None:
    spent = resync(world)
    used = json.loads(spent.body)["nonce"]
    assert spent.send().status == 200
    refuses(make(world, used), "used")
    old = spent.device.nonce()
    sealer = NonceSealer(key=world.settings.nonce_key.read_bytes())
    world.clock.forward(minutes=5, seconds=1)
    elsewhere = sealer.seal(TenantId("00000000-0000-4000-8000-000000000000"), world.clock.now())
    cases = {
        "invented": "A" * 48,
        "old": old,
        "of another tenant": elsewhere,
        "changed": spent.device.nonce()[:-1] + "!",
    }
    try:
        for case, nonce in cases.items():
            refuses(make(world, nonce), case)
    finally:
        world.clock.forward(minutes=-5, seconds=-1)


def refuses(sound: Sound, case: str) -> None:
    database = sound.device.world.services.database
    before = everything(database)
    reply = sound.send()
    assert (reply.status, reply.code) == (400, "badNonce"), case
    assert everything(database) == before, case
