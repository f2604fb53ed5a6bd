from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.support.samples import TENANT_ID, device_id

from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.manager.sequence import Numbered, Turn, decide
from shieldwall.server.storage.device_records import CheckInState

_DIGESTS = st.sampled_from([digest_of_bytes(body) for body in (b"a", b"b")])
_REQUESTS = st.builds(Numbered, epoch=st.integers(1, 3), seq=st.integers(0, 4), digest=_DIGESTS)


def standing_at(last: Numbered) -> CheckInState:
    return CheckInState(
        device_id=device_id(1),
        epoch=last.epoch,
        seq=last.seq,
        request_digest=last.digest,
        last_check_in=None,
        target_digest=None,
        protocol=2,
        facts_digest=None,
        status_digest=None,
        status_at=None,
        sync_requested_at=None,
        aims_version=0,
        tenant_id=TENANT_ID,
    )


@given(last=_REQUESTS, request=_REQUESTS)
def test_a_request_is_fresh_exactly_when_it_follows_in_the_same_epoch(last: Numbered, request: Numbered) -> None:
    fresh = decide(standing_at(last), request) is Turn.FRESH

    assert fresh == (request.epoch == last.epoch and request.seq > last.seq)


@given(last=_REQUESTS, request=_REQUESTS)
def test_a_request_is_a_repeat_exactly_when_it_is_the_last_one(last: Numbered, request: Numbered) -> None:
    repeat = decide(standing_at(last), request) is Turn.REPEAT

    assert repeat == (request == last)


@given(st.lists(_REQUESTS, max_size=30))
def test_no_number_of_an_epoch_has_an_effect_twice(requests: list[Numbered]) -> None:
    last = Numbered(1, 0, digest_of_bytes(b"registration"))
    effects: list[tuple[int, int]] = []
    for request in requests:
        if decide(standing_at(last), request) is Turn.FRESH:
            effects.append((request.epoch, request.seq))
            last = request

    assert len(effects) == len(set(effects))
