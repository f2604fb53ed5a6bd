"""The onboarding package, and the proof of holding one."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.trust import NOON, OTHER_TENANT, PACKAGE, SECRET, TENANT, package_of

from shieldwall.contract import strict_json
from shieldwall.contract.messages import PROTOCOL, HardwareIds
from shieldwall.contract.registration import CertificateRequest, OnboardingProof, RegisterRequest, RegistrationDetails
from shieldwall.server.signer.in_process import InProcessSigner
from shieldwall.trust import moments, payload_types
from shieldwall.trust.dsse import EnvelopeKey, seal
from shieldwall.trust.onboarding import (
    MAX_PACKAGE_BYTES,
    BadOnboardingProofError,
    InvalidPackageError,
    OnboardingPackage,
    check_proof,
    open_package,
    proof,
    proven_body,
)
from shieldwall.trust.roots import Role, TrustRoot


def onboarding_key(signer: InProcessSigner) -> EnvelopeKey:
    return signer.keys.roles[Role.ONBOARDING]


def sealed(signer: InProcessSigner, **members: Any) -> bytes:
    """Seal a package some of whose members were changed before it was signed, by force."""
    document = msgspec.to_builtins(package_of(signer.trust_root())) | members
    return strict_json.encode(seal(strict_json.encode(document), payload_types.ONBOARDING, onboarding_key(signer)))


def code_of(data: bytes, **arguments: Any) -> str:
    with pytest.raises(InvalidPackageError) as refused:
        open_package(data, arguments.pop("now", NOON), **arguments)
    assert refused.value.cause
    assert refused.value.advice
    return refused.value.code


def test_a_package_of_the_signer_is_opened(signer: InProcessSigner) -> None:
    package = package_of(signer.trust_root())

    assert open_package(strict_json.encode(signer.seal_package(package)), NOON) == package


def test_a_package_without_its_signature_is_refused(signer: InProcessSigner) -> None:
    document = msgspec.json.decode(sealed(signer))

    assert code_of(strict_json.encode(document | {"signatures": []})) == "packageMalformed"
    assert code_of(base64.b64decode(document["payload"])) == "packageMalformed"


def test_a_package_with_another_root_is_refused(signer: InProcessSigner, tmp_path_factory: Any) -> None:
    """The attacker's own root, but the signature of the real one."""
    attacker = InProcessSigner.create(tmp_path_factory.mktemp("attacker"), TENANT, signer.clock)

    assert code_of(sealed(signer, trustRoot=msgspec.to_builtins(attacker.trust_root()))) == "packageSignature"


@pytest.mark.parametrize("role", [Role.POLICY, Role.MANIFEST, Role.TIME])
def test_a_package_signed_by_another_role_is_refused(signer: InProcessSigner, role: Role) -> None:
    payload = strict_json.encode(package_of(signer.trust_root()))

    data = strict_json.encode(seal(payload, payload_types.ONBOARDING, signer.keys.roles[role]))

    assert code_of(data) == "packageSignature"


def test_a_package_of_another_type_is_refused(signer: InProcessSigner) -> None:
    payload = strict_json.encode(package_of(signer.trust_root()))

    assert code_of(strict_json.encode(seal(payload, payload_types.POLICY, onboarding_key(signer)))) == "packageType"


def test_a_package_of_mixed_or_other_tenants_is_refused(signer: InProcessSigner) -> None:
    assert code_of(sealed(signer, tenantId=OTHER_TENANT)) == "packageTenant"
    assert code_of(sealed(signer), tenant_id=OTHER_TENANT) == "packageTenant"
    assert open_package(sealed(signer), NOON, tenant_id=TENANT).tenant_id == TENANT


def test_a_package_is_valid_from_its_first_moment_to_before_its_last(signer: InProcessSigner) -> None:
    data = sealed(signer, notBefore=moments.write(NOON), notAfter=moments.write(NOON + timedelta(hours=1)))
    second = timedelta(seconds=1)

    open_package(data, NOON)
    open_package(data, NOON + timedelta(hours=1) - second)
    assert code_of(data, now=NOON - second) == "packageNotYetValid"
    assert code_of(data, now=NOON + timedelta(hours=1)) == "packageExpired"


def test_a_huge_file_is_refused_unread(signer: InProcessSigner) -> None:
    data = sealed(signer)
    padded = data + b" " * (MAX_PACKAGE_BYTES - len(data))

    open_package(padded, NOON)
    assert code_of(padded + b" ") == "packageTooLarge"


@pytest.mark.parametrize(
    "members",
    [
        {"v": 2},
        {"extra": 1},
        {"packageId": "../../etc/passwd"},
        {"serverUrls": []},
        {"serverUrls": ["http://sdm.example"]},
        {"serverUrls": ["https://user:pass@sdm.example"]},
        {"serverUrls": ["https://sdm.example/?a=1"]},
        {"serverUrls": ["https://sdm.example/#a"]},
        {"serverUrls": ["https://sdm.example\n"]},
        {"serverUrls": ["https://sdm.example@evil.example"]},
        {"serverUrls": ["https://sdm.example\\@evil.example"]},
        {"serverUrls": ["file:///etc/passwd"]},
        {"serverUrls": ["https://"]},
        {"serverUrls": ["https://sdm.example"] * 9},
        {"onboardingKey": {"kid": "a", "k": "short"}},
        {"onboardingKey": {"kid": "a", "k": "A" * 42 + "B"}},
        {"onboardingKey": {"kid": "", "k": "A" * 43}},
        {"notBefore": "yesterday"},
        {"notBefore": "2026-11-23T12:00:00+00:00"},
        {"notAfter": "2026-02-30T12:00:00Z"},
        {"notAfter": "1999-01-01T00:00:00Z"},
        {"maxUses": 0},
        {"maxUses": "500"},
        {"maxUses": True},
        {"allowedPlatforms": []},
        {"allowedPlatforms": ["solaris"]},
        {"tags": [""]},
        {"tags": ["x"] * 17},
        {"tlsRoots": ["x"]},
        {"tlsRoots": ["x" * 100]},
        {"tlsRoots": ["é" * 100]},
        {"trustRoot": None},
    ],
    ids=str,
)
def test_a_package_out_of_shape_is_refused_although_it_is_signed(
    signer: InProcessSigner, members: dict[str, object]
) -> None:
    assert code_of(sealed(signer, **members)) == "packageMalformed"


@pytest.mark.parametrize(
    "url",
    [
        "https://sdm.example",
        "https://sdm.example:8444/",
        "https://127.0.0.1:8444",
        "https://[::1]:8444/a/b",
        "https://s",
    ],
)
def test_plain_https_addresses_are_taken(root: TrustRoot, url: str) -> None:
    assert package_of(root, server_urls=(url,)).server_urls == (url,)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reading_of_a_package(data: bytes) -> None:
    with pytest.raises(InvalidPackageError):
        open_package(data, NOON)


@pytest.mark.filterwarnings("ignore:Parsed a serial number")  # of the authority, when that byte is the one
@given(data=st.data())
def test_no_byte_of_a_package_file_may_change(signer: InProcessSigner, data: st.DataObject) -> None:
    original = sealed(signer)
    position = data.draw(st.integers(min_value=0, max_value=len(original) - 1))
    byte = data.draw(st.integers(min_value=0, max_value=255).filter(lambda drawn: drawn != original[position]))

    with pytest.raises(InvalidPackageError):
        open_package(original[:position] + bytes([byte]) + original[position + 1 :], NOON)


def test_the_secret_of_a_package_is_not_printed(root: TrustRoot) -> None:
    package = package_of(root)

    assert package.onboarding_key.k not in repr(package)


def registration(mac: str = "") -> RegisterRequest:
    return RegisterRequest(
        certificate_request=CertificateRequest(type="pkcs10", data="AAAA"),
        join_type="synthetic",
        device_display_name="laptop",
        device_type="Linux",
        operating_system_version="12",
        shieldwall=RegistrationDetails(
            instance_id="0" * 32,
            hardware=HardwareIds(),
            agent_version="0.1.0",
            protocol=PROTOCOL,
            onboarding=OnboardingProof(package_id=PACKAGE, mac=mac),
        ),
    )


def test_the_proof_is_the_published_formula() -> None:
    expected = hmac.new(
        SECRET,
        b"shieldwall-eab-v1\0"
        + TENANT.encode()
        + b"\0"
        + b"nonce"
        + hashlib.sha256(b"spki").digest()
        + hashlib.sha256(b"body").digest(),
        hashlib.sha256,
    ).digest()

    assert base64.urlsafe_b64decode(proof(SECRET, TENANT, "nonce", b"spki", b"body") + "=") == expected


def test_a_proof_does_not_speak_about_itself() -> None:
    assert proven_body(registration("a")) == proven_body(registration("b"))
    assert b"onboarding" not in proven_body(registration())
    assert b"laptop" in proven_body(registration())


PROVEN = (SECRET, TENANT, "nonce", b"spki", b"body")


def test_the_right_proof_is_taken() -> None:
    check_proof(*PROVEN, mac=proof(*PROVEN))


@pytest.mark.parametrize(
    ("place", "other"), [(0, bytes(32)), (1, OTHER_TENANT), (2, "nonce2"), (3, b"spki2"), (4, b"body2")]
)
def test_a_proof_for_anything_else_is_refused(place: int, other: Any) -> None:
    changed: list[Any] = list(PROVEN)
    changed[place] = other

    with pytest.raises(BadOnboardingProofError):
        check_proof(*PROVEN, mac=proof(*changed))


@pytest.mark.parametrize("mac", ["", "é", "\ud800", "A" * 43, "A" * 10_000])
def test_a_made_up_proof_is_refused(mac: str) -> None:
    with pytest.raises(BadOnboardingProofError):
        check_proof(*PROVEN, mac=mac)


def test_a_package_cannot_be_made_wrong(root: TrustRoot) -> None:
    with pytest.raises(ValueError, match="https"):
        package_of(root, server_urls=("http://sdm.example",))
    with pytest.raises(ValueError, match="before it begins"):
        package_of(root, not_after=moments.write(NOON - timedelta(days=2)))
    assert isinstance(package_of(root), OnboardingPackage)
