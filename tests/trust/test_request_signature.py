"""The request signature: one profile, and nothing beside it."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shieldwall.trust.device_key import DeviceKey, public_key_bytes
from shieldwall.trust.request_signature import (
    BadSignatureError,
    ClockSkewError,
    SignedHeaders,
    content_digest,
    parse_signature,
    sign_request,
    signature_base,
)

KEY = DeviceKey.generate()
OTHER_KEY = DeviceKey.generate()
NOW = 1_795_000_000
NONCE = "0123456789abcdef0123456789abcdef"
BODY = b'{"seq":1}'
TARGET = {"method": "POST", "authority": "sdm.example:8444", "path": "/device/v1/checkin", "query": ""}
COVERED = ("@method", "@authority", "@path", "@query", "content-type", "content-digest")


def signed(key: DeviceKey = KEY, *, body: bytes = BODY, created: int = NOW, nonce: str = NONCE) -> SignedHeaders:
    return received(sign_request(key, **TARGET, body=body, created=created, nonce=nonce))


def received(headers: dict[str, str]) -> SignedHeaders:
    return SignedHeaders(
        content_type=headers["Content-Type"],
        content_digest=headers["Content-Digest"],
        signature_input=headers["Signature-Input"],
        signature=headers["Signature"],
    )


def check(headers: SignedHeaders, *, body: bytes = BODY, now: int = NOW, target: dict[str, str] | None = None) -> None:
    signature = parse_signature(headers)
    signature.check_window(now)
    parts = TARGET | (target or {})
    signature.verify(
        KEY.public_key,
        method=parts["method"],
        authority=parts["authority"],
        path=parts["path"],
        query=parts["query"],
        body=body,
    )


def resigned(parameters: str, *, headers: SignedHeaders | None = None, label: str = "sw") -> SignedHeaders:
    """Sign other parameters correctly, as a device with a mind of its own could."""
    headers = headers or signed()
    assert headers.content_type is not None
    assert headers.content_digest is not None
    base = signature_base(
        **TARGET, content_type=headers.content_type, digest=headers.content_digest, parameters=parameters
    )
    value = base64.b64encode(KEY.sign(base)).decode()
    return replace(headers, signature_input=f"{label}={parameters}", signature=f"{label}=:{value}:")


def parameters_of(headers: SignedHeaders) -> str:
    assert headers.signature_input is not None
    return headers.signature_input.removeprefix("sw=")


def test_what_a_device_signs_is_believed() -> None:
    check(signed())


def test_the_parts_of_a_signature_are_there_to_read() -> None:
    signature = parse_signature(signed())

    assert (signature.keyid, signature.created, signature.expires) == (KEY.thumbprint, NOW, NOW + 120)
    assert signature.nonce == NONCE


def test_signing_parameters_again_by_hand_gives_a_believed_request() -> None:
    """The tests below change one thing each; this one shows that their tool changes nothing by itself."""
    check(resigned(parameters_of(signed())))


@given(
    body=st.binary(max_size=300),
    path=st.from_regex(r"/[a-zA-Z0-9/._~%-]{0,40}", fullmatch=True),
    query=st.from_regex(r"[a-zA-Z0-9=&%._~-]{0,40}", fullmatch=True),
)
def test_any_request_that_was_signed_is_believed(body: bytes, path: str, query: str) -> None:
    headers = sign_request(
        KEY, method="POST", authority="sdm.example", path=path, query=query, body=body, created=NOW, nonce=NONCE
    )

    check(received(headers), body=body, target={"authority": "sdm.example", "path": path, "query": query})


@pytest.mark.parametrize(
    "target",
    [
        {"method": "GET"},
        {"method": "post"},
        {"authority": "other.example:8444"},
        {"authority": "sdm.example"},
        {"authority": "sdm.example:8445"},
        {"path": "/device/v1/fetch"},
        {"path": "/device/v1/checkin/"},
        {"path": "/device/v1/Checkin"},
        {"path": "/device/v1/%63heckin"},
        {"query": "a=1"},
        {"path": '/device/v1/checkin\n"@query": ?a'},
    ],
    ids=str,
)
def test_a_request_to_another_target_is_refused(target: dict[str, str]) -> None:
    with pytest.raises(BadSignatureError):
        check(signed(), target=target)


def test_host_names_are_compared_without_case_and_default_port() -> None:
    headers = sign_request(
        KEY, method="POST", authority="SDM.example:443", path="/", body=BODY, created=NOW, nonce=NONCE
    )

    check(received(headers), target={"authority": "sdm.example", "path": "/"})


def test_another_body_is_refused() -> None:
    with pytest.raises(BadSignatureError, match="body"):
        check(signed(), body=BODY + b" ")


def test_the_digest_of_another_body_is_refused_even_with_that_body() -> None:
    with pytest.raises(BadSignatureError):
        check(replace(signed(), content_digest=content_digest(b"other")), body=b"other")


def test_another_content_type_is_refused() -> None:
    with pytest.raises(BadSignatureError):
        check(replace(signed(), content_type="text/plain"))


def test_the_key_of_another_device_is_refused() -> None:
    with pytest.raises(BadSignatureError):
        check(signed(OTHER_KEY))


def test_a_signature_under_the_name_of_another_key_is_refused() -> None:
    headers = signed()
    assert headers.signature_input is not None
    forged = headers.signature_input.replace(KEY.thumbprint, OTHER_KEY.thumbprint)

    with pytest.raises(BadSignatureError):
        check(replace(headers, signature_input=forged))


@pytest.mark.parametrize("name", ["content_type", "content_digest", "signature_input", "signature"])
@pytest.mark.parametrize("value", [None, "", " ", "garbage", "sw", "sw=", "\0", "é", "x" * 5_000])
def test_a_missing_or_garbled_header_is_refused(name: str, value: str | None) -> None:
    with pytest.raises(BadSignatureError):
        check(replace(signed(), **{name: value}))


@pytest.mark.parametrize("name", ["content_type", "content_digest", "signature_input", "signature"])
def test_a_header_sent_twice_is_refused(name: str) -> None:
    headers = signed()

    with pytest.raises(BadSignatureError):
        check(replace(headers, **{name: f"{getattr(headers, name)}, {getattr(headers, name)}"}))


def test_a_second_label_is_refused() -> None:
    headers = signed()

    with pytest.raises(BadSignatureError):
        check(
            replace(
                headers,
                signature_input=f"{headers.signature_input}, other={parameters_of(headers)}",
                signature=f"{headers.signature}, other=:AAAA:",
            )
        )


@pytest.mark.parametrize("label", ["sig1", "shieldwall", "SW", "sw2"])
def test_another_label_is_refused(label: str) -> None:
    with pytest.raises(BadSignatureError):
        check(resigned(parameters_of(signed()), label=label))


COVERED_TEXT = " ".join(f'"{name}"' for name in COVERED)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        *((f'"{name}"', "") for name in COVERED),
        (COVERED_TEXT, f'{COVERED_TEXT} "date"'),
        (COVERED_TEXT, f'{COVERED_TEXT} "@method"'),
        (COVERED_TEXT, " ".join(reversed(COVERED_TEXT.split(" ")))),
        (COVERED_TEXT, COVERED_TEXT.replace(" ", "  ")),
        ('"@authority"', '"host"'),
        ('"@query"', '"@query-param";name="a"'),
        ('"content-digest"', '"content-digest";sf'),
        ('"content-digest"', '"content-digest";req'),
        ('tag="shieldwall-device-v1"', 'tag="shieldwall-device-v2"'),
        (';tag="shieldwall-device-v1"', ""),
        (';tag="shieldwall-device-v1"', ';tag="shieldwall-device-v1";tag="shieldwall-device-v1"'),
        (';tag="shieldwall-device-v1"', ';tag="shieldwall-device-v1";extra'),
        (';tag="shieldwall-device-v1"', ';tag="shieldwall-device-v1" '),
        (';tag="shieldwall-device-v1"', ';tag="shieldwall-device-v1"\n'),
        ('alg="ecdsa-p256-sha256"', 'alg="hmac-sha256"'),
        ('alg="ecdsa-p256-sha256"', 'alg="ecdsa-p384-sha384"'),
        ('alg="ecdsa-p256-sha256"', 'alg="none"'),
        ('alg="ecdsa-p256-sha256"', "alg=ecdsa-p256-sha256"),
        (';alg="ecdsa-p256-sha256"', ""),
        (f';nonce="{NONCE}"', ""),
        (f';nonce="{NONCE}"', ';nonce=""'),
        (f';nonce="{NONCE}"', ';nonce="short"'),
        (f';nonce="{NONCE}"', f';nonce="{"n" * 65}"'),
        (f';nonce="{NONCE}"', ';nonce="a\\"b0123456789abcdef01234"'),
        (f"created={NOW}", f"created={NOW}.0"),
        (f"created={NOW}", f'created="{NOW}"'),
        (f"created={NOW}", f"created=-{NOW}"),
        (f"created={NOW}", f"created=0{NOW}"),
        (f"created={NOW}", f"created={'9' * 15}"),
        (f"created={NOW};", ""),
        (f"created={NOW}", f"created={NOW};created={NOW}"),
        (f";expires={NOW + 120}", ""),
        (f"created={NOW};expires={NOW + 120}", f"expires={NOW + 120};created={NOW}"),
        (f'keyid="{KEY.thumbprint}"', 'keyid=""'),
        (f'keyid="{KEY.thumbprint}"', f'keyid="{KEY.thumbprint}="'),
    ],
    ids=lambda text: text.replace(KEY.thumbprint, "KEY"),
)
def test_signed_but_not_in_our_profile_is_refused(old: str, new: str) -> None:
    parameters = parameters_of(signed())
    assert old in parameters

    with pytest.raises(BadSignatureError):
        check(resigned(parameters.replace(old, new, 1)))


@pytest.mark.parametrize(
    "digest",
    [
        "sha-1=:" + base64.b64encode(hashlib.sha1(BODY, usedforsecurity=False).digest()).decode() + ":",
        "md5=:" + base64.b64encode(hashlib.md5(BODY, usedforsecurity=False).digest()).decode() + ":",
        "sha-512=:" + base64.b64encode(hashlib.sha512(BODY).digest()).decode() + ":",
        content_digest(BODY) + ", sha-512=:" + base64.b64encode(hashlib.sha512(BODY).digest()).decode() + ":",
        content_digest(BODY) + ", " + content_digest(b"other"),
        content_digest(BODY).replace("sha-256", "SHA-256"),
        content_digest(BODY).replace("=:", "= :"),
        content_digest(BODY) + ";a=1",
        "sha-256=" + hashlib.sha256(BODY).hexdigest(),
    ],
    ids=["sha-1", "md5", "sha-512", "two algorithms", "two digests", "upper case", "space", "parameter", "hexadecimal"],
)
def test_any_other_digest_is_refused_although_it_is_signed(digest: str) -> None:
    headers = replace(signed(), content_digest=digest)

    with pytest.raises(BadSignatureError):
        check(resigned(parameters_of(headers), headers=headers))


def signature_value(value: bytes) -> str:
    return f"sw=:{base64.b64encode(value).decode()}:"


def test_signatures_in_der_are_refused() -> None:
    headers = signed()
    signature = parse_signature(headers)
    base = signature_base(
        **TARGET,
        content_type=signature.content_type,
        digest=signature.content_digest,
        parameters=signature.parameters,
    )

    with pytest.raises(BadSignatureError):
        check(replace(headers, signature=signature_value(KEY.private_key.sign(base, ec.ECDSA(hashes.SHA256())))))


def test_an_hmac_with_the_public_key_is_refused() -> None:
    digest = hmac.digest(public_key_bytes(KEY.public_key), b"anything", "sha256")

    with pytest.raises(BadSignatureError):
        check(replace(signed(), signature=signature_value(digest + digest)))


@pytest.mark.parametrize(
    "value",
    [bytes(64), b"\xff" * 64, bytes(32) + b"\x01" * 32, b"\x01" * 32 + bytes(32), bytes(63), bytes(65), b""],
)
def test_a_made_up_signature_is_refused(value: bytes) -> None:
    with pytest.raises(BadSignatureError):
        check(replace(signed(), signature=signature_value(value)))


def test_a_second_base64_spelling_of_a_signature_is_refused() -> None:
    headers = signed()
    assert headers.signature is not None
    last = headers.signature[-4]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    other = alphabet[alphabet.index(last) ^ 1]  # differs only in bits that base64 drops

    with pytest.raises(BadSignatureError):
        check(replace(headers, signature=headers.signature[:-4] + other + headers.signature[-3:]))


@given(bit=st.integers(min_value=0, max_value=511))
def test_no_bit_of_the_signature_may_change(bit: int) -> None:
    headers = signed()
    value = bytearray(parse_signature(headers).signature)
    value[bit // 8] ^= 1 << bit % 8

    with pytest.raises(BadSignatureError):
        check(replace(headers, signature=signature_value(bytes(value))))


@given(name=st.sampled_from(["content_type", "content_digest", "signature_input", "signature"]), data=st.data())
def test_no_character_of_a_signed_header_may_change(name: str, data: st.DataObject) -> None:
    headers = signed()
    text = getattr(headers, name)
    position = data.draw(st.integers(min_value=0, max_value=len(text) - 1))
    character = data.draw(st.characters().filter(lambda drawn: drawn != text[position]))
    changed = text[:position] + character + text[position + 1 :]

    with pytest.raises((BadSignatureError, ClockSkewError)):
        check(replace(headers, **{name: changed}))


@given(data=st.data())
def test_no_bit_of_the_body_may_change(data: st.DataObject) -> None:
    body = bytearray(BODY)
    bit = data.draw(st.integers(min_value=0, max_value=len(body) * 8 - 1))
    body[bit // 8] ^= 1 << bit % 8

    with pytest.raises(BadSignatureError):
        check(signed(), body=bytes(body))


@pytest.mark.parametrize("age", [-300, -1, 0, 1, 119, 120])
def test_a_signature_made_around_now_is_taken(age: int) -> None:
    check(signed(created=NOW - age))


@pytest.mark.parametrize("age", [-10_000_000, -301, 121, 300, 301, 10_000_000])
def test_a_signature_of_another_time_is_refused(age: int) -> None:
    with pytest.raises(ClockSkewError) as refused:
        check(signed(created=NOW - age))

    assert refused.value.code == "clockSkew"


@pytest.mark.parametrize("lifetime", [-1, 0, 121, 100_000])
def test_a_signature_that_lives_too_long_or_not_at_all_is_refused(lifetime: int) -> None:
    parameters = parameters_of(signed()).replace(f"expires={NOW + 120}", f"expires={NOW + lifetime}")

    with pytest.raises(ClockSkewError):
        check(resigned(parameters))


def test_a_shorter_life_is_taken_until_it_ends() -> None:
    headers = resigned(parameters_of(signed()).replace(f"expires={NOW + 120}", f"expires={NOW + 10}"))

    check(headers, now=NOW + 10)
    with pytest.raises(ClockSkewError):
        check(headers, now=NOW + 11)


@pytest.mark.parametrize("nonce", ["", "short", "x" * 65, 'a"b' * 10, "é" * 22, "a" * 31 + "\n"])
def test_a_device_does_not_sign_with_a_bad_nonce(nonce: str) -> None:
    with pytest.raises(BadSignatureError):
        signed(nonce=nonce)


def test_a_refusal_has_the_code_of_the_protocol() -> None:
    with pytest.raises(BadSignatureError) as refused:
        check(signed(), body=b"")

    assert refused.value.code == "badSignature"
