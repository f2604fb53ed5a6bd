"""Names of keys as the broker writes them, against names that its own documentation shows."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from shieldwall.trust.nkeys import BadKeyNameError, KeyUse, check_name, name_of

FROM_THE_SPECIFICATION = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"


def test_a_name_of_the_brokers_own_is_taken_and_written_alike() -> None:
    check_name(KeyUse.USER, FROM_THE_SPECIFICATION)
    public = Ed25519PublicKey.from_public_bytes(base64.b32decode(FROM_THE_SPECIFICATION)[1:33])

    assert name_of(KeyUse.USER, public) == FROM_THE_SPECIFICATION


@given(st.sampled_from(KeyUse), st.binary(min_size=32, max_size=32))
def test_a_name_says_what_its_key_is_for(use: KeyUse, seed: bytes) -> None:
    name = name_of(use, Ed25519PrivateKey.from_private_bytes(seed).public_key())

    assert name[0] == use.name[0]
    for other in KeyUse:
        if other is use:
            check_name(other, name)
        else:
            with pytest.raises(BadKeyNameError):
                check_name(other, name)


@given(st.integers(0, 55), st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
def test_a_typing_mistake_is_noticed(place: int, digit: str) -> None:
    mistaken = FROM_THE_SPECIFICATION[:place] + digit + FROM_THE_SPECIFICATION[place + 1 :]
    if mistaken != FROM_THE_SPECIFICATION:
        with pytest.raises(BadKeyNameError):
            check_name(KeyUse.USER, mistaken)


@pytest.mark.parametrize(
    "name", ["", "U", "U" * 56, "é" * 56, FROM_THE_SPECIFICATION.lower(), FROM_THE_SPECIFICATION + "A"]
)
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(BadKeyNameError):
        check_name(KeyUse.USER, name)
