"""What the signer puts its name to, the same over a socket and in process."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import KeySet
from tests.support.trust import (
    DEVICE,
    NOON,
    OTHER_POLICY,
    OTHER_TENANT,
    POLICY,
    TENANT,
    package_of,
    policy_of,
)

from shieldwall.contract import strict_json
from shieldwall.contract.ids import DeviceId, Digest, KeyThumbprint
from shieldwall.contract.messages import Envelope, Manifest, ManifestItem
from shieldwall.server.signer.client import SignerClient
from shieldwall.server.signer.errors import OtherTenantError, RevisionTakenError, UnsignableDocumentError
from shieldwall.server.signer.ports import Signer
from shieldwall.server.signer.service import SignerService
from shieldwall.server.signer.serving import SignerServer
from shieldwall.server.signer.sockets import listening
from shieldwall.trust import moments, payload_types
from shieldwall.trust.device_key import DeviceKey, public_key_info
from shieldwall.trust.dsse import open_envelope
from shieldwall.trust.onboarding import open_package
from shieldwall.trust.roots import Role

KEY = DeviceKey.generate()
ISSUED = int(NOON.timestamp())
CLAIMS: dict[str, Any] = {
    "iss": "https://sdm.example",
    "aud": "https://graph.sdm.example",
    "sub": "somebody",
    "iat": ISSUED,
    "exp": ISSUED + 3600,
}
ITEM = ManifestItem(policy_id=POLICY, revision=1, digest=Digest("1" * 64), length=100)


@pytest.fixture(params=["in process", "over a socket"])
def any_signer(request: pytest.FixtureRequest, tmp_path: Path, signer: SignerService) -> Iterator[Signer]:
    """Return each implementation of the port in turn."""
    if request.param == "in process":
        yield signer
    else:
        with listening(tmp_path) as listener:
            server = SignerServer(signer, listener, allowed_user=tmp_path.stat().st_uid)
            thread = threading.Thread(target=server.serve)
            thread.start()
            with SignerClient(tmp_path) as client:
                yield client.for_tenant(TENANT)
            server.stop()
            thread.join()


def test_a_policy_is_signed_as_the_bytes_it_came_as(any_signer: Signer) -> None:
    document = strict_json.encode(policy_of(any_signer))

    envelope = any_signer.sign_policy(document)

    keys = any_signer.trust_root().keys(Role.POLICY)
    assert open_envelope(envelope, payload_types.POLICY, keys) == document


def test_a_revision_is_one_document_for_ever(any_signer: Signer) -> None:
    first = strict_json.encode(policy_of(any_signer, value=1))

    assert any_signer.sign_policy(first) == any_signer.sign_policy(first)
    with pytest.raises(RevisionTakenError):
        any_signer.sign_policy(strict_json.encode(policy_of(any_signer, value=2)))
    any_signer.sign_policy(strict_json.encode(policy_of(any_signer, value=2, revision=2)))
    any_signer.sign_policy(strict_json.encode(policy_of(any_signer, value=2, policy_id=OTHER_POLICY)))


def test_a_refused_policy_takes_no_revision(any_signer: Signer) -> None:
    document = msgspec.to_builtins(policy_of(any_signer, value=2))
    with pytest.raises(UnsignableDocumentError):
        any_signer.sign_policy(strict_json.encode(document | {"extra": 1}))

    any_signer.sign_policy(strict_json.encode(policy_of(any_signer, value=1)))


@pytest.mark.parametrize(
    "members",
    [
        {"tenantId": "not an id"},
        {"revision": 0},
        {"revision": "1"},
        {"settings": [{"kind": "unheard"}]},
        {"modifiedAt": "yesterday"},
        {"extra": 1},
        {"name": ""},
        {"name": "x" * 201},
    ],
    ids=str,
)
def test_what_is_no_policy_is_not_signed(any_signer: Signer, members: dict[str, object]) -> None:
    document = msgspec.to_builtins(policy_of(any_signer)) | members

    with pytest.raises(UnsignableDocumentError):
        any_signer.sign_policy(strict_json.encode(document))


def test_nothing_beside_the_canonical_form_is_signed(any_signer: Signer) -> None:
    document = strict_json.encode(policy_of(any_signer))

    for other in (b" " + document, document + b"\n", document.replace(b":", b": ", 1), b"", b"{}", b"[" * 50_000):
        with pytest.raises(UnsignableDocumentError):
            any_signer.sign_policy(other)


def test_a_policy_too_large_for_a_device_is_not_signed(any_signer: Signer) -> None:
    with pytest.raises(UnsignableDocumentError, match="larger"):
        any_signer.sign_policy(b'"' + b"x" * 262_144 + b'"')


def test_nothing_is_signed_for_another_tenant(any_signer: Signer) -> None:
    document = msgspec.structs.replace(policy_of(any_signer), tenant_id=OTHER_TENANT)
    spki = public_key_info(KEY.public_key)

    with pytest.raises(OtherTenantError):
        any_signer.sign_policy(strict_json.encode(document))
    with pytest.raises(OtherTenantError):
        any_signer.sign_manifest(tenant_id=OTHER_TENANT, device_id=DEVICE, device_key=KEY.thumbprint, items=())
    with pytest.raises(OtherTenantError):
        any_signer.issue_certificate(spki=spki, tenant_id=OTHER_TENANT, device_id=DEVICE)
    with pytest.raises(OtherTenantError):
        any_signer.seal_package(package_of(any_signer.trust_root(), tenant_id=OTHER_TENANT))


def manifest_of(signer: Signer, envelope: Envelope) -> Manifest:
    payload = open_envelope(envelope, payload_types.MANIFEST, signer.trust_root().keys(Role.MANIFEST))
    return strict_json.decode(payload, Manifest)


def test_a_manifest_has_its_number_time_and_end_from_the_signer(any_signer: Signer) -> None:
    first, second = (
        manifest_of(
            any_signer,
            any_signer.sign_manifest(tenant_id=TENANT, device_id=DEVICE, device_key=KEY.thumbprint, items=[ITEM]),
        )
        for _ in range(2)
    )

    assert (first.manifest_version, second.manifest_version) == ((1 << 40) + 1, (1 << 40) + 2)
    assert moments.parse(first.issued) == NOON
    assert moments.parse(first.expires) == NOON + timedelta(days=7)
    assert (first.device_id, first.device_key, first.items) == (DEVICE, KEY.thumbprint, (ITEM,))


@pytest.mark.parametrize(
    "members",
    [
        {"device_id": DeviceId("../1")},
        {"device_key": KeyThumbprint("short")},
        {"items": [ITEM, ITEM]},
        {"items": [msgspec.structs.replace(ITEM, revision=0)]},
        {"items": [msgspec.structs.replace(ITEM, digest=Digest("x"))]},
        {
            "items": [
                msgspec.structs.replace(ITEM, policy_id=f"{n:08x}-1111-4111-8111-111111111111") for n in range(1001)
            ]
        },
    ],
    ids=lambda members: next(iter(members)),
)
def test_what_no_device_would_read_is_not_signed(any_signer: Signer, members: dict[str, Any]) -> None:
    manifest: dict[str, Any] = {
        "tenant_id": TENANT,
        "device_id": DEVICE,
        "device_key": KEY.thumbprint,
        "items": [ITEM],
    }

    with pytest.raises(UnsignableDocumentError):
        any_signer.sign_manifest(**(manifest | members))


@pytest.mark.parametrize("nonce", ["", "0" * 31, "0" * 33, "G" * 32, "0" * 32 + "\n"])
def test_time_is_signed_for_a_sound_nonce_only(any_signer: Signer, nonce: str) -> None:
    with pytest.raises(UnsignableDocumentError):
        any_signer.sign_time(nonce)


def test_a_device_certificate_comes_from_the_authority_in_the_trust_root(any_signer: Signer) -> None:
    pem = any_signer.issue_certificate(spki=public_key_info(KEY.public_key), tenant_id=TENANT, device_id=DEVICE)

    certificate = x509.load_pem_x509_certificate(pem.encode())
    (authority,) = any_signer.trust_root().device_authorities
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.encode()))
    assert certificate.public_key() == KEY.public_key


def test_only_p256_keys_and_real_ids_are_certified(any_signer: Signer) -> None:
    p384 = ec.generate_private_key(ec.SECP384R1()).public_key()
    good = public_key_info(KEY.public_key)

    for spki, device_id in (
        (p384.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo), DEVICE),
        (good + b"\0", DEVICE),
        (b"", DEVICE),
        (good, DeviceId("CN=admin")),
    ):
        with pytest.raises(UnsignableDocumentError):
            any_signer.issue_certificate(spki=spki, tenant_id=TENANT, device_id=device_id)


def test_a_package_is_sealed_so_that_a_device_opens_it(any_signer: Signer) -> None:
    package = package_of(any_signer.trust_root())

    assert open_package(strict_json.encode(any_signer.seal_package(package)), NOON) == package


def test_a_package_with_a_strange_root_or_a_long_or_past_life_is_not_sealed(any_signer: Signer) -> None:
    root = any_signer.trust_root()

    for changes in (
        {"trust_root": msgspec.structs.replace(root, version=2)},
        {"not_after": moments.write(NOON + timedelta(days=90))},
        {"not_after": moments.write(NOON)},
        {"tags": ("x" * 129,)},
        {"tls_roots": ("\1" * 7_000 + root.device_authorities[0],) * 4},
    ):
        with pytest.raises(UnsignableDocumentError):
            any_signer.seal_package(package_of(root, **changes))


def test_a_token_is_verified_with_the_published_keys(any_signer: Signer) -> None:
    keys = KeySet.import_key_set(any_signer.jwks())  # type: ignore[arg-type]  # the library wants its own TypedDict

    token = jwt.decode(any_signer.sign_token(CLAIMS), keys, algorithms=["RS256"])

    assert token.claims == CLAIMS
    assert token.header == {"alg": "RS256", "typ": "JWT", "kid": any_signer.jwks()["keys"][0]["kid"]}


def test_a_changed_token_is_not_verified(any_signer: Signer) -> None:
    keys = KeySet.import_key_set(any_signer.jwks())  # type: ignore[arg-type]  # as above
    first, second = (any_signer.sign_token(CLAIMS | {"sub": name}).split(".") for name in ("one", "two"))

    with pytest.raises(BadSignatureError):
        jwt.decode(".".join((first[0], second[1], first[2])), keys, algorithms=["RS256"])


def test_the_published_keys_hold_nothing_private(any_signer: Signer) -> None:
    (key,) = any_signer.jwks()["keys"]

    assert set(key) == {"kty", "n", "e", "kid", "use", "alg"}


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": None},
        {"iss": ""},
        {"aud": ["a", "b"]},
        {"iat": None},
        {"iat": True},
        {"iat": 1.5},
        {"iat": ISSUED - 301},
        {"iat": ISSUED + 301},
        {"exp": ISSUED},
        {"exp": ISSUED + 86_401},
        {"exp": "tomorrow"},
        {"roles": ["x" * 100] * 200},
    ],
    ids=str,
)
def test_a_token_without_end_or_origin_is_not_signed(any_signer: Signer, claims: dict[str, object]) -> None:
    with pytest.raises(UnsignableDocumentError):
        any_signer.sign_token(CLAIMS | claims)
