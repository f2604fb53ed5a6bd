"""What is remembered of a token is never more than what keys in use say of it now."""

from __future__ import annotations

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey
from tests.support.admin import PUBLIC_URL
from tests.support.samples import TENANT_ID

from shieldwall.server.access.authorization import UnauthenticatedError
from shieldwall.server.directory.known_tokens import KnownTokens

ONE, OTHER = (RSAKey.generate_key(2048, {"kid": name}) for name in ("one", "other"))


def a_token(key: RSAKey = ONE, **more: str) -> str:
    claims = {"iss": f"{PUBLIC_URL}/{TENANT_ID}/v2.0", "tid": TENANT_ID, **more}
    return jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key)


def test_a_token_is_verified_once_by_the_keys_that_are_in_use() -> None:
    known, keys, token = KnownTokens(), KeySet([ONE]), a_token(uti="1")

    first = known.signed_claims(token, keys)

    assert first["uti"] == "1"
    assert known.signed_claims(token, keys) is first
    assert (known.claimed(token).tenant_id, known.claimed(token).key_id) == (TENANT_ID, "one")


def test_keys_that_were_asked_for_again_decide_anew() -> None:
    known, token = KnownTokens(), a_token()
    known.signed_claims(token, KeySet([ONE, OTHER]))

    with pytest.raises(UnauthenticatedError):
        known.signed_claims(token, KeySet([OTHER]))

    assert not len(known)
    assert known.signed_claims(token, KeySet([ONE]))["tid"] == TENANT_ID


def test_what_is_like_a_known_token_is_verified_itself() -> None:
    known, keys, token = KnownTokens(), KeySet([ONE]), a_token()
    known.signed_claims(token, keys)
    head, _, signature = token.split(".")
    forged = f"{head}.{a_token(roles='all').split('.')[1]}.{signature}"

    for each in (forged, token[:-6] + "AAAAAA", a_token(OTHER), "no token"):
        with pytest.raises(UnauthenticatedError):
            known.signed_claims(each, keys)

    assert len(known) == 1


def test_the_token_that_was_not_used_longest_is_forgotten() -> None:
    known, keys = KnownTokens(most=2), KeySet([ONE])
    first, second, third = (a_token(uti=str(number)) for number in range(3))
    kept = known.signed_claims(first, keys)
    known.signed_claims(second, keys)
    known.signed_claims(first, keys)

    known.signed_claims(third, keys)

    assert len(known) == 2
    assert known.signed_claims(first, keys) is kept
