"""Laws of editing JSON in place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.support.json_documents import documents, names, typed_values

from shieldwall.agent.providers.base import ProviderError
from shieldwall.agent.providers.mdatp import json_spans, managed

PATHS = st.lists(names(), min_size=1, max_size=3).map(tuple)


def assigned(document: Any, path: tuple[str, ...], value: Any) -> Any:
    """The same change on parsed JSON: the model that the editor is held against."""
    if not path:
        return value
    known = document if isinstance(document, dict) else {}
    return {**known, path[0]: assigned(known.get(path[0]), path[1:], value)}


def without_nested_paths(values: dict[tuple[str, ...], Any]) -> dict[tuple[str, ...], Any]:
    return {path: value for path, value in values.items() if not any(path[:n] in values for n in range(1, len(path)))}


VALUES = st.dictionaries(PATHS, typed_values(), max_size=5).map(without_nested_paths)


@given(content=st.none() | documents(), values=VALUES)
def test_the_document_holds_the_values_and_all_else_is_as_it_was(
    content: bytes | None, values: dict[tuple[str, ...], Any]
) -> None:
    expected = {} if content is None else json.loads(content)
    for path, value in values.items():
        expected = assigned(expected, path, value)

    result, _ = managed.apply(content, values)

    assert (json.loads(result) if result is not None else {}) == expected


@given(content=st.none() | documents(), values=VALUES)
def test_applying_and_undoing_gives_the_same_bytes(content: bytes | None, values: dict[tuple[str, ...], Any]) -> None:
    result, kept = managed.apply(content, values)

    assert managed.undo(result, kept) == content


@given(content=documents(), name=names(), value=typed_values())
def test_every_byte_outside_an_inserted_member_stays(content: bytes, name: str, value: Any) -> None:
    text = content.decode()
    present = json_spans.find(text, (name,))

    result = json_spans.put(text, (name,), json_spans.write(text, (name,), value))

    written = json_spans.find(result, (name,))
    assert written is not None
    assert json.loads(written) == value
    if present is None:
        assert json_spans.remove(result, (name,)) == text
    else:
        assert json_spans.put(result, (name,), present) == text


@given(content=st.none() | documents(), foreign=names(), values=VALUES)
@example(content=None, foreign="local", values={("antivirusEngine", "scanArchives"): True})
def test_a_member_added_by_others_meanwhile_survives(
    content: bytes | None, foreign: str, values: dict[tuple[str, ...], Any]
) -> None:
    result, kept = managed.apply(content, values)
    text = "{}" if result is None else result.decode()
    if json_spans.find(text, (foreign,)) is not None:
        return
    edited = json_spans.put(text, (foreign,), '"kept"')

    released = managed.undo(edited.encode(), kept)

    assert released is not None
    expected = {} if content is None else json.loads(content)
    assert json.loads(released) == {**expected, foreign: "kept"}


def test_a_value_that_others_put_into_an_object_of_ours_survives() -> None:
    result, kept = managed.apply(None, {("antivirusEngine", "scanArchives"): True})
    assert result is not None
    edited = json_spans.put(result.decode(), ("antivirusEngine", "behaviorMonitoring"), '"enabled"').encode()

    released = managed.undo(edited, kept)

    assert released is not None
    assert json.loads(released) == {"antivirusEngine": {"behaviorMonitoring": "enabled"}}


def test_a_file_that_somebody_removed_stays_removed() -> None:
    _, kept = managed.apply(b'{"a": 1}', {("a",): 2})

    assert managed.undo(None, kept) is None


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'"text"', b'{"a":1,"a":2}', b"\xef\xbb\xbf{}", b"{'a':1}", b"// no\n{}", b"\xff"]
)
def test_what_is_not_a_strict_json_object_is_refused(content: bytes) -> None:
    with pytest.raises(ProviderError, match=r"mdatp_managed\.json"):
        managed.apply(content, {("a",): 1})


@pytest.mark.parametrize("content", [b"", b"{", b"[]"])
def test_what_cannot_be_read_is_left_alone_where_nothing_is_asked(content: bytes) -> None:
    assert managed.apply(managed.undo(content, {}), {}) == (content, {})


def test_a_new_file_reads_well() -> None:
    result, _ = managed.apply(None, {("cloudService", "enabled"): True, ("edr", "tags"): [{"key": "GROUP"}]})

    assert result == (
        b'{\n  "cloudService": {\n    "enabled": true\n  },\n  "edr": {\n    "tags": [\n      {\n'
        b'        "key": "GROUP"\n      }\n    ]\n  }\n}\n'
    )


def test_lines_end_as_the_document_ends_its_lines() -> None:
    result, _ = managed.apply(b'{\r\n  "info": "ours"\r\n}\r\n', {("cloudService", "enabled"): True})

    assert result is not None
    assert result.count(b"\n") == result.count(b"\r\n")
