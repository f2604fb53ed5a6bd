"""Our fixed profile against an independent implementation of RFC 9421."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass, field

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from http_message_signatures import HTTPMessageSigner, HTTPMessageVerifier, HTTPSignatureKeyResolver, InvalidSignature
from http_message_signatures.algorithms import ECDSA_P256_SHA256
from http_sf.compat import Item
from hypothesis import given
from hypothesis import strategies as st

from shieldwall.trust.device_key import DeviceKey
from shieldwall.trust.request_signature import (
    ALGORITHM,
    TAG,
    BadSignatureError,
    SignedHeaders,
    content_digest,
    parse_signature,
    sign_request,
)

KEY = DeviceKey.generate()
NONCE = "0123456789abcdef0123456789abcdef"
COVERED = ("@method", "@authority", "@path", "@query", "content-type", "content-digest")


@dataclass
class Message:
    """A request in the shape the other library wants."""

    method: str
    url: str
    headers: dict[str, str] = field(default_factory=dict)


class Keys(HTTPSignatureKeyResolver):
    """Knows our one key."""

    def resolve_public_key(self, key_id: str) -> ec.EllipticCurvePublicKey:
        assert key_id == KEY.thumbprint
        return KEY.public_key

    def resolve_private_key(self, key_id: str) -> ec.EllipticCurvePrivateKey:
        assert key_id == KEY.thumbprint
        return KEY.private_key


def verify_elsewhere(message: Message, body: bytes) -> None:
    verifier = HTTPMessageVerifier(signature_algorithm=ECDSA_P256_SHA256, key_resolver=Keys())
    verifier.verify(message, expect_tag=TAG, expect_label="sw", require_components=COVERED, body=body)


def sign_elsewhere(message: Message, body: bytes, created: int) -> None:
    """Let the other library put the base together, with the parameters in the order of our profile."""
    message.headers |= {"Content-Type": "application/json", "Content-Digest": content_digest(body)}
    signer = HTTPMessageSigner(signature_algorithm=ECDSA_P256_SHA256, key_resolver=Keys())
    base, parameters, _ = signer._build_signature_base(
        message,
        covered_component_ids=[Item(name) for name in COVERED],
        signature_params={
            "created": created,
            "expires": created + 120,
            "nonce": NONCE,
            "keyid": KEY.thumbprint,
            "alg": ALGORITHM,
            "tag": TAG,
        },
    )
    elsewhere = ECDSA_P256_SHA256(private_key=KEY.private_key)  # type: ignore[no-untyped-call]  # has no annotations
    value = base64.b64encode(elsewhere.sign(base.encode())).decode()
    message.headers |= {"Signature-Input": f"sw={parameters}", "Signature": f"sw=:{value}:"}


def sign_here(
    body: bytes, *, path: str = "/device/v1/checkin", query: str = "", authority: str = "sdm.example"
) -> Message:
    message = Message("POST", f"https://{authority}{path}" + (f"?{query}" if query else ""))
    message.headers = sign_request(
        KEY,
        method="POST",
        authority=authority,
        path=path,
        query=query,
        body=body,
        created=int(time.time()),
        nonce=NONCE,
    )
    return message


def verify_here(message: Message, body: bytes, *, path: str, query: str, authority: str = "sdm.example") -> None:
    parse_signature(
        SignedHeaders(
            content_type=message.headers["Content-Type"],
            content_digest=message.headers["Content-Digest"],
            signature_input=message.headers["Signature-Input"],
            signature=message.headers["Signature"],
        )
    ).verify(KEY.public_key, method=message.method, authority=authority, path=path, query=query, body=body)


PATHS = st.from_regex(r"/[a-z][a-zA-Z0-9/_~-]{0,30}", fullmatch=True)
QUERIES = st.from_regex(r"([a-z]{1,5}=[a-zA-Z0-9_~-]{0,10}){0,1}", fullmatch=True)


@given(body=st.binary(max_size=100), path=PATHS, query=QUERIES)
def test_what_we_sign_the_other_library_believes(body: bytes, path: str, query: str) -> None:
    verify_elsewhere(sign_here(body, path=path, query=query), body)


@given(body=st.binary(max_size=100), path=PATHS, query=QUERIES)
def test_what_the_other_library_signs_we_believe(body: bytes, path: str, query: str) -> None:
    message = Message("POST", f"https://sdm.example{path}" + (f"?{query}" if query else ""))
    sign_elsewhere(message, body, int(time.time()))

    verify_here(message, body, path=path, query=query)


@pytest.mark.parametrize(
    "authority", ["sdm.example", "SDM.Example", "sdm.example:443", "sdm.example:8444", "10.0.0.1:9"]
)
def test_both_write_the_authority_alike(authority: str) -> None:
    verify_elsewhere(sign_here(b"{}", authority=authority), b"{}")


def test_both_refuse_what_was_changed() -> None:
    message = sign_here(b"{}")
    message.url = "https://sdm.example/device/v1/fetch"

    with pytest.raises(InvalidSignature):
        verify_elsewhere(message, b"{}")
    with pytest.raises(BadSignatureError):
        verify_here(message, b"{}", path="/device/v1/fetch", query="")
