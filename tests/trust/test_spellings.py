"""Base64 and times have one spelling each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shieldwall.trust import moments, strict_base64


@given(st.binary())
def test_bytes_come_back(data: bytes) -> None:
    assert strict_base64.decode(strict_base64.encode(data)) == data
    assert strict_base64.decode_url(strict_base64.encode_url(data)) == data


@given(st.text(alphabet="ABab09+/-_= \n", max_size=8))
def test_what_is_read_is_spelled_the_one_way(text: str) -> None:
    for read, write in (
        (strict_base64.decode, strict_base64.encode),
        (strict_base64.decode_url, strict_base64.encode_url),
    ):
        try:
            data = read(text)
        except ValueError:
            continue
        assert write(data) == text


@pytest.mark.parametrize("text", ["é", "A", "AAAAA", "AA", "AB==", "A===", "====", "AA==AA==", "\0"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="base64"):
        strict_base64.decode(text)


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - hypothesis adds the zone
def test_a_moment_comes_back_to_the_second(moment: datetime) -> None:
    assert moments.parse(moments.write(moment)) == moment.replace(microsecond=0)


def test_a_moment_is_written_in_utc() -> None:
    there = datetime(2026, 11, 23, 14, 0, tzinfo=timezone(timedelta(hours=2)))

    assert moments.write(there) == "2026-11-23T12:00:00Z"


def test_fractions_of_a_second_are_read() -> None:
    assert moments.parse("2026-11-23T12:00:00.25Z") == datetime(2026, 11, 23, 12, 0, 0, 250_000, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-11-23",
        "2026-11-23 12:00:00Z",
        "2026-11-23T12:00:00",
        "2026-11-23T12:00:00+00:00",
        "2026-13-01T00:00:00Z",
        "2026-11-23T24:00:00Z",
        "٢٠٢٦-11-23T12:00:00Z",
        "2026-11-23T12:00:00Z\n",
        "2026-11-23T12:00:00.Z",
    ],
)
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        moments.parse(text)
