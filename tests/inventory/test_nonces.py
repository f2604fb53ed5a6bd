from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.samples import NOON, TENANT_ID, counted_id

from shieldwall.contract.ids import TenantId
from shieldwall.server.inventory.nonces import BadNonceError, NonceSealer

SEALER = NonceSealer(key=b"k" * 32)


@given(st.integers(min_value=0, max_value=299_999))
def test_a_nonce_is_good_for_five_minutes(milliseconds: int) -> None:
    opened = SEALER.open(SEALER.seal(TENANT_ID, NOON), TENANT_ID, NOON + timedelta(milliseconds=milliseconds))
    assert opened.expires_at == NOON + timedelta(minutes=5)


@pytest.mark.parametrize("later", [timedelta(minutes=5), timedelta(days=1), timedelta(seconds=-1)])
def test_a_nonce_of_another_time_is_refused(later: timedelta) -> None:
    with pytest.raises(BadNonceError):
        SEALER.open(SEALER.seal(TENANT_ID, NOON), TENANT_ID, NOON + later)


def test_a_nonce_of_another_tenant_or_key_is_refused() -> None:
    nonce = SEALER.seal(TENANT_ID, NOON)
    with pytest.raises(BadNonceError):
        SEALER.open(nonce, TenantId(counted_id("1", 1)), NOON)
    with pytest.raises(BadNonceError):
        NonceSealer(key=b"x" * 32).open(nonce, TENANT_ID, NOON)


@given(st.data())
def test_a_nonce_with_one_other_character_is_refused(data: st.DataObject) -> None:
    nonce = SEALER.seal(TENANT_ID, NOON)
    place = data.draw(st.integers(min_value=0, max_value=len(nonce) - 1))
    other = data.draw(st.characters().filter(lambda character: character != nonce[place]))
    with pytest.raises(BadNonceError):
        SEALER.open(nonce[:place] + other + nonce[place + 1 :], TENANT_ID, NOON)


@given(st.text(max_size=64))
def test_whatever_is_sent_as_a_nonce_is_refused_and_not_an_accident(text: str) -> None:
    with pytest.raises(BadNonceError):
        SEALER.open(text, TENANT_ID, NOON)


def test_two_nonces_are_never_the_same_and_have_different_digests() -> None:
    nonces = {SEALER.seal(TENANT_ID, NOON) for _ in range(100)}
    assert len({SEALER.open(nonce, TENANT_ID, NOON).digest for nonce in nonces}) == 100


def test_the_key_is_not_shown() -> None:
    assert "kkk" not in repr(SEALER)
