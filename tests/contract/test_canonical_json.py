"""Reading quickly what is written canonically: never anything that the strict reader would not read the same way."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shieldwall.contract import strict_json
from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import Digest
from shieldwall.contract.messages import CheckInRequest, Have, PlainCheckIn
from shieldwall.contract.strict_json import MAX_INTEGER, Canonical

READER = Canonical(PlainCheckIn)
REQUEST = PlainCheckIn(
    seq=7,
    epoch=1,
    instance_id="0" * 32,
    boot_id="boot ü",
    agent_version="0.1.0",
    protocol=2,
    have=Have(target=Digest("a" * 64), manifest_version=3),
)
BYTES = strict_json.encode(REQUEST)


def strictly(data: bytes) -> PlainCheckIn | None:
    try:
        return strict_json.decode(data, PlainCheckIn)
    except InvalidJsonError:
        return None


def test_what_the_agent_writes_is_read() -> None:
    assert READER.read(BYTES) == REQUEST
    names = {field.encode_name for field in msgspec.structs.fields(CheckInRequest)}
    assert {"instanceId", "bootId", "facts", "report", "attempts"} <= names
    whole = CheckInRequest(**{name: getattr(REQUEST, name) for name in REQUEST.__struct_fields__})
    assert strict_json.encode(whole) == BYTES


@pytest.mark.parametrize(
    "data",
    [
        BYTES.replace(b'"seq":7', b'"seq": 7'),
        BYTES.replace(b'"seq":7', b'"seq":7,"seq":7'),
        BYTES.replace(b'"seq":7', b'"seq":7.0'),
        BYTES.replace(b'"seq":7', b'"seq":9007199254740992'),
        BYTES.replace(b'"protocol":2', b'"protocol":9007199254740992'),
        BYTES.replace(b'"protocol":2', b'"protocol":2,"unknown":1'),
        BYTES.replace(b"boot", b"\\u0000"),
        BYTES.replace(b"boot", b"\\ud800"),
        BYTES.replace(b"boot", b"\x00"),
        BYTES.replace(b"boot", b"\xed\xa0\x80"),
        BYTES.replace(b"boot", b"b\\u006fot"),
        b"\xef\xbb\xbf" + BYTES,
        BYTES + b"\n",
        BYTES[:-1],
        b"",
        b"[]",
        b"null",
        BYTES.replace(b'"manifestVersion":3,', b'"manifestVersion":0,'),
    ],
)
def test_whatever_is_spelled_otherwise_is_left_to_the_strict_reader(data: bytes) -> None:
    assert data != BYTES
    assert READER.read(data) is None


_PIECES = st.sampled_from(
    [b'"', b"\\", b"\x00", b"{", b"}", b"[", b",", b":", b"0", b"9" * 17, b" ", b"\\u0000", b"\xff", b"e1"]
)


@given(st.integers(0, len(BYTES)), st.integers(0, 12), st.one_of(st.binary(max_size=6), _PIECES))
@example(0, 0, b"")
def test_it_reads_nothing_that_the_strict_reader_reads_otherwise(start: int, left_out: int, put_in: bytes) -> None:
    data = BYTES[:start] + put_in + BYTES[start + left_out :]
    assert READER.read(data) in {None, strictly(data)}


@given(st.text(), st.integers(0, MAX_INTEGER), st.integers(1, MAX_INTEGER))
def test_texts_and_numbers_of_all_kinds_are_read_as_the_strict_reader_reads_them(
    boot: str, seq: int, protocol: int
) -> None:
    changed = msgspec.structs.replace(REQUEST, boot_id=boot, seq=seq, protocol=protocol)
    try:
        data = strict_json.encode(changed)
    except UnicodeEncodeError:  # half of a surrogate pair
        return
    assert READER.read(data) in {None, strictly(data)}


class Unbounded(msgspec.Struct):
    number: int


class HalfBounded(msgspec.Struct):
    number: Annotated[int, msgspec.Meta(ge=0)]


class OfAnyKind(msgspec.Struct):
    value: Any


@pytest.mark.parametrize("kind", [Unbounded, HalfBounded, OfAnyKind, CheckInRequest, float, dict[str, str]])
def test_what_is_not_bounded_is_not_read_like_this(kind: type[Any]) -> None:
    with pytest.raises(TypeError):
        Canonical(kind)
