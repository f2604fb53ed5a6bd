"""Strict JSON: one meaning per document, bounded cost, and types that are never bent."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import policies as p

from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.messages import CheckInRequest, Have, WaitRequest
from shieldwall.contract.settings import PolicyDocument
from shieldwall.contract.strict_json import (
    MAX_DEPTH,
    MAX_INTEGER,
    decode,
    decode_any,
    digest_of,
    digest_of_bytes,
    encode,
)

# Text as JSON may carry it: no halves of surrogate pairs, no NUL.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=20)
values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-MAX_INTEGER, MAX_INTEGER),
        st.floats(allow_nan=False, allow_infinity=False),
        texts,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=20,
)


@given(values)
def test_what_is_written_is_what_is_read(value: Any) -> None:
    assert decode_any(encode(value)) == value


@given(st.dictionaries(texts, values, max_size=5))
def test_equal_values_give_equal_bytes(value: dict[str, Any]) -> None:
    backwards = dict(reversed(value.items()))

    assert encode(backwards) == encode(value)
    assert digest_of(backwards) == digest_of(value) == digest_of_bytes(encode(value))


@given(st.dictionaries(texts, values, min_size=1, max_size=5))
def test_any_other_writer_of_json_is_understood(value: dict[str, Any]) -> None:
    assert decode_any(json.dumps(value, indent=1).encode()) == value
    assert decode_any(json.dumps(value, ensure_ascii=False).encode()) == value


@given(st.binary(max_size=100))
def test_garbage_raises_nothing_but_invalid_json(data: bytes) -> None:
    try:
        value = decode_any(data)
    except InvalidJsonError:
        return
    assert decode_any(encode(value)) == value


@given(
    st.lists(
        st.sampled_from([b"{", b"}", b"[", b"]", b'"', b"\\", b"\\u", b"d800", b":", b",", b"1", b"1e9", b"-", b"null"])
    )
)
def test_almost_json_raises_nothing_but_invalid_json(parts: list[bytes]) -> None:
    with suppress(InvalidJsonError):
        decode_any(b"".join(parts))


@pytest.mark.parametrize(
    "data",
    [
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b'{"\\udc00": 1}',
        b'[["a", {"b": "\\ud83d"}]]',
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"1e999",
        b"[-1e999]",
        b'"\\u0000"',
        b'{"\\u0000": 1}',
        b'"\x00"',
        b'{"a": 1, "a": 1}',
        b'{"a": 1, "\\u0061": 2}',
        b'[{"b": {"a": 1, "a": 2}}]',
        b"1" * 5_000,
        b"-" + b"9" * 17,
        b"9007199254740992",
        b"-9007199254740992",
        b'"\xff"',
        b'"\xed\xa0\x80"',
        "{}".encode("utf-16"),
        "{}".encode("utf-16-le"),
        "{}".encode("utf-32-le"),
        b"\xef\xbb\xbf{}",
        b"",
        b" ",
        b"{} {}",
        b"{}\x00",
        b"{'a': 1}",
        b'{"a": 1,}',
        b"[1,]",
        b"// comment\n{}",
        b"01",
        b"+1",
        b".5",
        b'"a\nb"',
        b'"\\x41"',
        b"True",
    ],
)
def test_what_two_parsers_could_read_differently_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidJsonError):
        decode_any(data)


@pytest.mark.parametrize(
    "value",
    [b"true", b'"7"', b"1.0", b"1e0", b"null", b"-1", b"9007199254740992", b"[1]"],
)
def test_nothing_but_an_integer_in_range_is_an_integer(value: bytes) -> None:
    with pytest.raises(InvalidJsonError):
        decode(b'{"manifestVersion":' + value + b"}", Have)
    assert decode(b'{"manifestVersion":9007199254740991}', Have).manifest_version == MAX_INTEGER


def test_an_unknown_member_is_named() -> None:
    with pytest.raises(InvalidJsonError, match="isApproved"):
        decode(b'{"seq":1,"epoch":1,"seconds":30,"isApproved":true}', WaitRequest)


def test_members_have_one_spelling() -> None:
    with pytest.raises(InvalidJsonError):
        decode(b'{"Seq":1,"epoch":1,"seconds":30}', WaitRequest)


def test_depth_is_bounded() -> None:
    assert decode_any(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH) is not None
    with pytest.raises(InvalidJsonError, match="deeper"):
        decode_any(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))
    with pytest.raises(InvalidJsonError, match="deeper"):
        decode_any(b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1))


def test_brackets_inside_texts_are_not_depth() -> None:
    text = '[{"\\' * 100

    assert decode_any(json.dumps([text, text]).encode()) == [text, text]


def test_many_shallow_brackets_are_not_depth() -> None:
    assert decode_any(b"[" + b",".join([b"[]"] * 1000) + b"]") == [[]] * 1000


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"9" * 100_000,
        b"1e" + b"9" * 100_000,
        b"[" * 33 + b'"' + b'\\"' * 100_000,
        b"[" * 33 + b'"' + b'\\"' * 100_000 + b"\\",
        b"[" * 33 + b'"' * 100_000,
        b"[" * 33 + b"\\" * 100_000,
        b'"' + b"\\ud800" * 20_000 + b'"',
    ],
)
def test_a_hostile_document_costs_next_to_nothing(data: bytes) -> None:
    before = time.process_time()
    with pytest.raises(InvalidJsonError):
        decode_any(data)

    assert time.process_time() - before < 0.25  # some milliseconds; the bound only tells them from minutes


@given(p.documents())
def test_a_policy_document_survives_the_wire(documents: list[PolicyDocument]) -> None:
    for document in documents:
        data = encode(document)

        assert decode(data, PolicyDocument) == document
        assert encode(decode(data, PolicyDocument)) == data


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"revision":1', b'"revision":0'),
        (b'"revision":1', b'"revision":true'),
        (b'"kind":"choice"', b'"kind":"choices"'),
        (b'"policyId":"b', b'"policyId":"B'),
        (b'"name":"Policy 1"', b'"name":""'),
        (b'"settings":[', b'"class":"strengthen","settings":['),
    ],
)
def test_a_policy_document_of_another_shape_is_refused(old: bytes, new: bytes) -> None:
    data = encode(p.document(1, p.choice(p.LEVEL, "_0")))
    assert old in data

    with pytest.raises(InvalidJsonError):
        decode(data.replace(old, new), PolicyDocument)


def test_a_strange_member_fills_no_log_and_steers_no_terminal() -> None:
    with pytest.raises(InvalidJsonError) as long:
        decode(b'{"seq":1,"epoch":1,"have":{"' + b"x" * 200_000 + b'":1}}', CheckInRequest)
    with pytest.raises(InvalidJsonError) as steering:
        decode(rb'{"\u001b[2J\u202e":1}', Have)

    assert len(long.value.cause) < 300
    assert long.value.cause.endswith("`$.have`")
    assert steering.value.cause == r"Object contains unknown field `\x1b[2J\u202e`"
