"""The recorded conversation in ``docs/protocol.md`` is a real one: everything signed in it verifies."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from tests.support.documentation import DOCS, ROOT, Block, blocks, pages, recorded

from shieldwall.agent.service import delays
from shieldwall.agent.service.transport import MAX_ANSWER_BYTES
from shieldwall.agent.service.upkeep import RENEW_AFTER
from shieldwall.contract import events, messages, registration, settings, status, strict_json
from shieldwall.contract.messages import CheckInAnswer, Envelope, FetchAnswer, Manifest, TimeRequest, TimeStatement
from shieldwall.contract.registration import (
    AttestationOffer,
    AttestRequest,
    ExistingRegistrationProof,
    KeyChangeAnswer,
    KeyChangeRequest,
    NonceAnswer,
    PendingAnswer,
    PromoteRequest,
    RegisterAnswer,
    RegisterRequest,
    RenewAnswer,
)
from shieldwall.server.gateway import wait_channels
from shieldwall.server.gateway.endpoints.discovery import DiscoverAnswer
from shieldwall.server.gateway.routing import (
    OF_ONE_DEVICE_AT_ONCE,
    OF_ONE_DEVICE_PER_MINUTE,
    TIMES_AT_ONCE,
    TIMES_PER_SECOND,
    UNSIGNED_AT_ONCE,
    UNSIGNED_PER_SECOND,
)
from shieldwall.server.inventory.attestation import CHALLENGE_LIFETIME
from shieldwall.server.inventory.onboarding import read_certificate_request
from shieldwall.server.listening import connections
from shieldwall.server.listening.listener import HEADER_BYTES, HEADER_MILLISECONDS
from shieldwall.server.signer.service import MANIFEST_LIFETIME
from shieldwall.trust import moments, request_signature
from shieldwall.trust.attestation import check_answer, read_offer, secret_digest
from shieldwall.trust.certificates import DEVICE_DAYS
from shieldwall.trust.device_certificate import read_certificate
from shieldwall.trust.device_key import public_key_from_bytes, public_key_info, thumbprint
from shieldwall.trust.existing_keys import read_existing_certificate
from shieldwall.trust.key_proofs import check_existing, message, spoken_about
from shieldwall.trust.onboarding import OnboardingPackage, check_proof, open_package, proven_body
from shieldwall.trust.request_signature import SignedHeaders, parse_signature
from shieldwall.trust.roots import Role, TrustRoot
from shieldwall.trust.strict_base64 import decode, decode_url
from shieldwall.trust.tpm import curve_key, read_certification, read_public_area
from shieldwall.trust.verification import open_manifest, open_policy

PAGE: Final = DOCS / "protocol.md"
KINDS: Final = {
    name: kind
    for module in (events, messages, registration, settings, status)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct)
} | {"DiscoverAnswer": DiscoverAnswer}
CLAIMED: Final = sorted(block.name for block in recorded(PAGE).values() if block.kind is not None)


@cache
def text(name: str) -> str:
    return recorded(PAGE)[name].text


def content(name: str) -> bytes:
    return strict_json.encode(strict_json.decode_any(text(name).encode()))


@cache
def package() -> OnboardingPackage:
    registered = strict_json.decode(content("register-answer"), RegisterAnswer)
    return open_package(content("package"), moments.parse(registered.server_time))


def root() -> TrustRoot:
    return package().trust_root


@cache
def manifest() -> Manifest:
    answer = strict_json.decode(content("checkin-answer"), CheckInAnswer)
    registered = strict_json.decode(content("register-answer"), RegisterAnswer)
    assert answer.manifest is not None
    return open_manifest(
        answer.manifest,
        root(),
        tenant_id=package().tenant_id,
        device_id=registered.device_id,
        device_key=parse_signature(headers()).keyid,
        last_version=0,
        now=moments.parse(answer.server_time),
    )


def header_lines() -> dict[str, str]:
    return dict(line.split(": ", 1) for line in text("signature-headers").splitlines()[1:])


def headers() -> SignedHeaders:
    lines = header_lines()
    return SignedHeaders(
        content_type=lines["Content-Type"],
        content_digest=lines["Content-Digest"],
        signature_input=lines["Signature-Input"],
        signature=lines["Signature"],
    )


@pytest.mark.parametrize("name", CLAIMED)
def test_a_recorded_message_is_of_the_type_it_claims(name: str) -> None:
    kind = KINDS[recorded(PAGE)[name].kind or ""]

    decoded = strict_json.decode(content(name), kind)

    assert strict_json.encode(decoded) == content(name)


def test_no_example_is_missing() -> None:
    spoken = {"CheckInRequest", "CheckInAnswer", "FetchRequest", "FetchAnswer", "WaitRequest", "WaitAnswer"}
    begun = {"NonceAnswer", "RegisterRequest", "RegisterAnswer", "DiscoverAnswer"}
    documents = {"Envelope", "Manifest", "PolicyDocument", "TimeRequest", "TimeStatement", "StatusReport"}

    assert {block.kind for block in recorded(PAGE).values()} >= spoken | begun | documents | {
        "OffboardRequest",
        "Problem",
        "AttestationOffer",
        "PendingAnswer",
        "AttestRequest",
        "RenewRequest",
        "RenewAnswer",
        "KeyChangeRequest",
        "KeyChangeAnswer",
        "ResyncRequest",
        "ResyncAnswer",
    }


def test_the_certificates_of_the_conversation_are_for_the_keys_that_asked() -> None:
    registered = strict_json.decode(content("register-answer"), RegisterAnswer)
    renewed = strict_json.decode(content("renew-answer"), RenewAnswer)
    asked = strict_json.decode(content("key-change-request"), KeyChangeRequest)
    changed = strict_json.decode(content("key-change-answer"), KeyChangeAnswer)
    new_key = thumbprint(read_certificate_request(asked).public_key)

    first, second, third = (read_certificate(answer.certificate) for answer in (registered, renewed, changed))
    assert first.key == second.key == parse_signature(headers()).keyid != new_key
    assert third.key == new_key
    assert (second.not_after - first.not_after).days == RENEW_AFTER.days


def test_the_attestation_of_the_conversation_proves_what_the_page_says() -> None:
    offer = strict_json.decode(content("attestation-offer"), AttestationOffer)
    waits = strict_json.decode(content("pending-answer"), PendingAnswer)
    answer = strict_json.decode(content("attest-request"), AttestRequest)
    device_key = curve_key(read_public_area(decode(offer.device_public)))
    secret = decode(answer.secret)

    check_answer(
        read_offer(offer, device_key),
        answer,
        expected=secret_digest(secret),
        tenant_id=waits.tenant_id,
        device_id=waits.device_id,
    )
    spoken = b"shieldwall-attest-v1\0" + f"{waits.tenant_id}\0{waits.device_id}\0".encode() + secret
    assert read_certification(decode(answer.certify_info)).qualifier == hashlib.sha256(spoken).digest()
    assert waits.challenge is not None
    ends = moments.parse(waits.challenge.expires) - moments.parse(waits.server_time)
    assert ends == CHALLENGE_LIFETIME
    assert "ten\nminutes and answered once" in PAGE.read_text()


def test_the_signature_of_the_worked_example_holds() -> None:
    signature = parse_signature(headers())
    jwk = strict_json.decode_any(text("signature-key").encode())
    key = public_key_from_bytes(b"\x04" + decode_url(jwk["x"]) + decode_url(jwk["y"]))
    path = text("signature-headers").split()[1]

    assert thumbprint(key) == signature.keyid
    signature.verify(
        key,
        method="POST",
        authority=header_lines()["Host"],
        path=path,
        query="",
        body=content("checkin-request"),
    )
    base = request_signature.signature_base(
        method="POST",
        authority=header_lines()["Host"],
        path=path,
        query="",
        content_type=signature.content_type,
        digest=signature.content_digest,
        parameters=signature.parameters,
    )
    assert text("signature-base") == base.decode() + "\n"


def test_the_package_belongs_to_the_server_of_the_conversation() -> None:
    assert package().server_urls == ("https://sdm.example:8444",)
    assert strict_json.decode(content("discover"), DiscoverAnswer).tenant_id == root().tenant_id


def test_the_package_on_the_page_has_the_members_of_a_package() -> None:
    shown = next(json.loads(block.text) for block in blocks(PAGE) if '"onboardingKey"' in block.text)

    assert members(shown) == members(msgspec.to_builtins(package()))


def members(value: Any) -> Any:
    """Keep the names of members alone; ids of keys stand as names and are all alike."""
    if isinstance(value, dict):
        if set(value) == {"keys", "threshold"}:
            return sorted(value)
        return {name: members(member) for name, member in value.items()}
    return None


def test_the_proof_of_the_registration_fits_the_package() -> None:
    request = strict_json.decode(content("register-request"), RegisterRequest)
    nonce = strict_json.decode(content("nonce"), NonceAnswer).nonce
    certified = read_certificate_request(request)

    assert certified.nonce == nonce
    check_proof(
        package().onboarding_key.secret(),
        package().tenant_id,
        nonce,
        public_key_info(certified.public_key),
        proven_body(request),
        mac=request.shieldwall.onboarding.mac,
    )


def test_the_manifest_opens_with_the_root_of_the_package_and_is_the_one_shown() -> None:
    assert manifest() == strict_json.decode(content("manifest"), Manifest)


def test_the_fetched_policy_is_the_one_that_the_manifest_names_and_the_page_shows() -> None:
    (envelope,) = strict_json.decode(content("fetch-answer"), FetchAnswer).policies

    document = open_policy(envelope, root(), manifest().items[0], package().tenant_id)

    assert strict_json.encode(document) == content("policy")


def test_the_manifest_lives_as_long_as_the_page_says() -> None:
    lifetime = moments.parse(manifest().expires) - moments.parse(manifest().issued)

    assert lifetime == MANIFEST_LIFETIME == timedelta(days=7)
    assert "(seven days after it was signed)" in PAGE.read_text()


def test_the_statement_of_time_answers_the_question_shown() -> None:
    asked = strict_json.decode(content("time-request"), TimeRequest)
    stated = strict_json.decode(content("time"), TimeStatement)

    assert (stated.nonce, stated.tenant_id) == (asked.nonce, package().tenant_id)


def test_each_role_has_one_key_and_the_page_says_so() -> None:
    assert all(len(root().keys(role)) == root().threshold(role) == 1 for role in Role)
    assert "**One key per role,**" in (DOCS / "security.md").read_text()


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_json_block_parses(page: Path) -> None:
    for block in blocks(page):
        if block.language == "json":
            assert parsed(page, block) is not None


def parsed(page: Path, block: Block) -> Any:
    try:
        return strict_json.decode_any(block.text.encode())
    except Exception as error:
        raise AssertionError(f"{page.name}:{block.line}: {error}") from error


def test_an_envelope_on_the_page_is_an_envelope() -> None:
    assert strict_json.decode(content("package"), Envelope).payload_type.startswith("application/vnd.shieldwall.")


def test_every_route_of_the_gateway_is_documented_and_no_other() -> None:
    text = PAGE.read_text()
    section = text.partition("## Endpoints")[2].partition("\n## ")[0]
    routes = re.findall(r"`(GET|POST) ([^`?]+)(?:\?([^`]*))?`", section)
    declared: set[tuple[str, str]] = set()
    for path in (ROOT / "src/shieldwall/server/gateway/endpoints").glob("*.py"):
        source = path.read_text()
        base = re.search(r'base = "([^"]+)"', source)
        for method, route in re.findall(r'method="(\w+)",\s*path=f?"([^"]+)"', source):
            declared.add(
                (method, route.replace("{base}", base[1] if base else "").replace("{{", "{").replace("}}", "}"))
            )
    health = {("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics")}

    assert {(method, path) for method, path, _ in routes} == declared | health


@pytest.mark.parametrize(
    "said",
    [
        f"{wait_channels.MOST_CHANNELS} devices wait already",
        f"for a nonce | {UNSIGNED_PER_SECOND:.0f} a second, {UNSIGNED_AT_ONCE} at once",
        f"for the time | {TIMES_PER_SECOND:.0f} a second, {TIMES_AT_ONCE} at once",
        f"| {connections.PLACES:,} for one gateway, of one network",
        f"a /64 of IPv6) {connections.PLACES_OF_ONE_BLOCK:,} of those that just wait |",
        f"| {OF_ONE_DEVICE_PER_MINUTE:.0f} a minute, {OF_ONE_DEVICE_AT_ONCE} at once",
        f"closed after {connections.SILENT_SECONDS:.0f} s without a request",
        f"{connections.ANSWERED_SECONDS:.0f} s after an answer, {connections.IDLE_SECONDS:.0f} s after a question",
        f"| {messages.MAX_MANIFEST_ITEMS:,} |",
        f"| {settings.MAX_SETTINGS:,} |",
        f"At most {messages.MAX_FETCH} digests a request",
        f"{messages.SHORTEST_CHECK_IN_SECONDS}…{messages.LONGEST_CHECK_IN_SECONDS:,}",
        f"at most {request_signature.LIFETIME_SECONDS} seconds later",
        f"`created` is at most {request_signature.CLOCK_SKEW_SECONDS} seconds away",
        f"at most {strict_json.MAX_DEPTH} levels deep",
        f"answer that an agent reads | {MAX_ANSWER_BYTES // 1024**2} MiB",
        f"{HEADER_BYTES // 1024} KiB, within {HEADER_MILLISECONDS // 1000} s",
        f"good for {DEVICE_DAYS} days",
        f"up to {delays.RETRY_BASE_SECONDS} s after the first failure",
        f"doubling up to {delays.RETRY_CAP_SECONDS // 60} min",
    ],
)
def test_a_limit_on_the_page_is_that_of_the_code(said: str) -> None:
    assert said in PAGE.read_text()


def test_the_existing_registration_on_the_page_is_proven() -> None:
    request = strict_json.decode(content("promote-request"), PromoteRequest)
    asked = read_certificate_request(request)
    presented = read_existing_certificate(decode(request.existing.certificate))
    promoted = strict_json.decode(content("promote-answer"), RegisterAnswer)
    data = message(package().tenant_id, asked.nonce, asked.spki, spoken_about(request))

    check_existing(presented.public_key, request.existing.algorithm, decode(request.existing.signature), data)
    assert presented.named_devices() == {promoted.device_id}
    assert strict_json.decode(content("existing-proof"), ExistingRegistrationProof) == request.existing
