"""Laws of proofs of possession: addresses, keys, and the memory of proofs that were used."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.possession import encoded, holder
from tests.support.samples import NOON

from shieldwall.server.access.throttling import TooManyRequestsError
from shieldwall.server.admin.proof_memory import NONCE_LIFETIME, SPAN, ProofMemory
from shieldwall.server.directory.possession import KEPT, InvalidProofError, Proof, hash_of, normal_address, verify
from shieldwall.server.directory.possession_keys import octets, read_key

HOSTS = st.from_regex(r"[a-z][a-z0-9-]{0,20}(\.[a-z]{2,5}){0,2}", fullmatch=True)
PATHS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30).map(lambda text: "/" + text)
ADDRESS = "https://server.example/v1.0/groups"


@given(HOSTS, PATHS, st.integers(1, 65_535))
def test_every_way_to_write_an_address_is_one(host: str, path: str, port: int) -> None:
    written = quote(path)
    expected = f"https://{host}{path}"
    assert normal_address(f"https://{host}{written}") == expected
    assert normal_address(f"HTTPS://{host.upper()}:443{written}") == expected
    more = "".join(f"%{byte:02x}" for byte in path[1:].encode())
    assert normal_address(f"https://{host}/{more}") == expected
    if port != 443:
        assert normal_address(f"https://{host}:{port}{written}") == f"https://{host}:{port}{path}" != expected


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    for address in (text, f"https://{text}", f"https://server.example/{text}"):
        try:
            normal = normal_address(address)
        except InvalidProofError:
            continue
        assert normal.startswith(("https://", "http://"))


@given(st.sampled_from(["ES256", "EdDSA", "RS256", "PS256"]), st.floats(-60, 60), st.text(min_size=1, max_size=20))
def test_what_is_proved_is_read(algorithm: str, seconds: float, token: str) -> None:
    who, now = holder(algorithm), NOON.timestamp()
    proof = who.prove("GET", ADDRESS, now, iat=now + seconds, token=token, jti="one", nonce="n")

    found = verify(proof, method="GET", address=ADDRESS, now=NOON, token=token)

    assert (found.key, found.jti, found.nonce) == (who.thumbprint, "one", "n")
    assert abs((found.keep_until - NOON - KEPT).total_seconds() - seconds) < 0.001
    for other in ({"method": "PUT"}, {"address": ADDRESS + "x"}, {"token": token + "x"}):
        with pytest.raises(InvalidProofError):
            verify(proof, **{"method": "GET", "address": ADDRESS, "now": NOON, "token": token} | other)  # type: ignore[arg-type]


WHOLE = holder().prove("GET", ADDRESS, NOON.timestamp())


@given(st.data())
def test_a_proof_that_was_changed_is_none(data: st.DataObject) -> None:
    proof = WHOLE
    place = data.draw(st.integers(0, len(proof) - 1))
    letter = data.draw(st.sampled_from("AQgwx0-_.é").filter(lambda each: each != proof[place]))
    with pytest.raises(InvalidProofError):
        verify(proof[:place] + letter + proof[place + 1 :], method="GET", address=ADDRESS, now=NOON)


ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=10),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=5), each, max_size=3),
)


@given(
    st.dictionaries(st.sampled_from(["typ", "alg", "jwk", "kid"]), ANYTHING),
    st.dictionaries(st.sampled_from(["htm", "htu", "iat", "jti", "nonce"]), ANYTHING),
    st.dictionaries(st.sampled_from(["kty", "crv", "x", "y", "n", "e"]), ANYTHING),
)
def test_nothing_odd_gets_beyond_a_refusal(header: Any, claims: Any, jwk: Any) -> None:
    """What is signed well and says odd things is refused, and never an error of ours."""
    for changes in (header, {"jwk": holder().jwk | jwk}):
        proof = holder().prove("GET", ADDRESS, NOON.timestamp(), header=changes, **claims)
        try:
            found = verify(proof, method="GET", address=ADDRESS, now=NOON)
        except InvalidProofError:
            continue
        assert found.key == holder().thumbprint


@pytest.mark.parametrize(
    ("algorithm", "jwk"),
    [
        ("ES256", {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43}),
        ("EdDSA", {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43}),
        ("RS256", {"kty": "RSA", "n": "A" * 342, "e": "AQAB"}),
        ("PS256", {"kty": "RSA", "n": "A" * 342, "e": "AQAB"}),
    ],
)
def test_a_key_that_lacks_a_part_or_has_another_in_its_place_is_none(algorithm: str, jwk: dict[str, Any]) -> None:
    strange: tuple[Any, ...] = (None, 7, [], {}, "")
    for name in jwk:
        for odd in strange:
            with pytest.raises(ValueError):  # noqa: PT011 - whatever is said, it is no key
                read_key(algorithm, {**jwk, name: odd})
        with pytest.raises(ValueError):  # noqa: PT011
            read_key(algorithm, {other: value for other, value in jwk.items() if other != name})


@given(st.binary(max_size=40))
def test_bytes_have_one_way_to_be_written(data: bytes) -> None:
    assert octets(encoded(data)) == data
    if encoded(data) != (padded := encoded(data) + "="):
        with pytest.raises(ValueError, match=r"another way|padding"):
            octets(padded)


def test_the_thumbprint_is_that_of_the_rfc() -> None:
    """The example of RFC 7638 section 3.1."""
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3okn"
        "jhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qM"
        "QvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJz"
        "KnqDKgw"
    )
    key = read_key("RS256", {"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"})
    assert key.thumbprint == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_the_hash_of_a_token_is_that_of_the_rfc() -> None:
    """The example of RFC 9449 section 7.1."""
    token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
    assert hash_of(token) == "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"


PROOF = Proof(key="key", jti="jti", nonce="", keep_until=NOON)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 150)), max_size=40))
def test_no_proof_is_taken_twice_while_it_could_be_in_time(steps: list[tuple[int, int]]) -> None:
    memory, now, used = ProofMemory(b"key"), NOON, dict[int, Any]()
    for number, seconds in steps:
        now += timedelta(seconds=seconds)
        last = used.get(number)
        try:
            memory.use(replace(PROOF, jti=str(number)), now)
        except InvalidProofError:
            assert last is not None
            assert now - last < 3 * SPAN + timedelta(seconds=150)
            continue
        assert last is None or now - last >= SPAN
        used[number] = now


def test_the_memory_is_bounded_and_takes_nothing_that_it_cannot_keep() -> None:
    memory = ProofMemory(b"key", most=5, most_of_one_key=3)
    for number in range(3):
        memory.use(replace(PROOF, jti=str(number)), NOON)
    with pytest.raises(TooManyRequestsError) as refused:
        memory.use(replace(PROOF, jti="more"), NOON)
    assert refused.value.retry_after == SPAN.total_seconds()
    for number in range(2):
        memory.use(replace(PROOF, key="another", jti=str(number)), NOON)
    with pytest.raises(TooManyRequestsError):
        memory.use(replace(PROOF, key="third"), NOON)
    with pytest.raises(InvalidProofError):
        memory.use(replace(PROOF, jti="0"), NOON)
    memory.use(replace(PROOF, jti="more"), NOON + SPAN)


@given(st.integers(0, 1_000))
def test_a_nonce_is_good_for_five_to_ten_minutes_in_one_process(seconds: int) -> None:
    memory, made = ProofMemory(b"key"), NOON + timedelta(seconds=seconds)
    nonce = memory.nonce(made)
    assert memory.knows(nonce, made + NONCE_LIFETIME)
    assert not memory.knows(nonce, made + 2 * NONCE_LIFETIME)
    assert not memory.knows("", made)
    assert not memory.knows("é", made)
    assert not ProofMemory(b"another").knows(nonce, made)
    assert not ProofMemory().knows(nonce, made)
