"""Values in property lists: put in and taken out again, with everything of others left alone."""

from __future__ import annotations

import plistlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.laws import law
from tests.support.plists import names, plists, values

from shieldwall.agent.host.macos.preferences import MARK, is_ours
from shieldwall.agent.providers.base import ProviderError
from shieldwall.agent.providers.macos import plist

PATHS = st.lists(names(), min_size=1, max_size=3).map(tuple)
WANTED: plist.Values = {("cloudService", "enabled"): True, ("antivirusEngine", "exclusionsMergePolicy"): "admin_only"}


def parsed(content: bytes | None) -> Any:
    assert content is not None
    return plistlib.loads(content)


def apart(paths: list[tuple[str, ...]]) -> bool:
    """Say whether no path leads through another, as no setting stands inside another."""
    return not any(one != other and other[: len(one)] == one for one in paths for other in paths)


@law
@given(st.none() | plists(), st.dictionaries(PATHS, values(), max_size=4).filter(lambda each: apart(list(each))))
def test_what_is_put_in_is_read_and_taken_out_without_a_trace(before: bytes | None, wanted: dict[Any, Any]) -> None:
    content, kept = plist.apply(before, wanted)

    assert plist.read(content, wanted) == wanted
    assert plist.undo(content, kept) == before


def test_a_file_that_we_made_carries_our_mark_and_goes_with_the_last_value() -> None:
    content, kept = plist.apply(None, WANTED)

    assert content is not None
    assert is_ours(content)
    assert parsed(content)["cloudService"] == {"enabled": True}
    assert plist.undo(content, kept) is None


@pytest.mark.parametrize("fmt", [plistlib.FMT_XML, plistlib.FMT_BINARY])
def test_what_others_added_meanwhile_stays_in_the_form_in_which_they_left_it(fmt: Any) -> None:
    content, kept = plist.apply(plistlib.dumps({"own": 1}), WANTED)
    theirs = parsed(content)
    theirs["cloudService"]["proxy"] = "http://proxy.example"
    theirs["added"] = [1, 2]

    released = plist.undo(plistlib.dumps(theirs, fmt=fmt), kept)

    assert released is not None
    assert parsed(released) == {"own": 1, "added": [1, 2], "cloudService": {"proxy": "http://proxy.example"}}
    assert released.startswith(b"bplist") == (fmt is plistlib.FMT_BINARY)


def test_a_change_that_was_taken_back_leaves_the_original_bytes() -> None:
    original = b"<plist><dict><key>b</key><true/><key>a</key><real>1</real></dict></plist>"
    content, kept = plist.apply(original, WANTED)

    assert plist.undo(plistlib.dumps(parsed(content), fmt=plistlib.FMT_BINARY), kept) == original


def test_a_value_of_another_type_is_no_value_that_was_taken_back() -> None:
    content, kept = plist.apply(plistlib.dumps({"own": 1}), WANTED)

    released = plist.undo(plistlib.dumps(parsed(content) | {"own": True}), kept)

    assert parsed(released) == {"own": True}
    assert parsed(released)["own"] is True


def test_a_file_that_somebody_wrote_anew_is_theirs_with_every_value_in_it() -> None:
    _, kept = plist.apply(None, WANTED)
    theirs = plistlib.dumps({"cloudService": {"enabled": True}})

    assert plist.undo(theirs, kept) == theirs


def test_a_file_that_is_gone_stays_gone() -> None:
    _, kept = plist.apply(plistlib.dumps({"own": 1}), WANTED)

    assert plist.undo(None, kept) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nonsense",
        b"bplist00broken",
        b"{ old = style; }",
        plistlib.dumps([1]),
        b"<plist><dict><key>a</key></dict></plist>",
        b'<!DOCTYPE p [<!ENTITY e "e">]><plist><dict><key>a</key><string>&e;</string></dict></plist>',
    ],
)
def test_what_is_no_property_list_is_left_alone(content: bytes) -> None:
    _, kept = plist.apply(None, WANTED)

    with pytest.raises(ProviderError, match="left alone"):
        plist.apply(content, WANTED)
    with pytest.raises(ProviderError, match="left alone"):
        plist.undo(content, kept)
    assert plist.apply(content, {}) == (content, {})
    assert plist.read(content, WANTED) == {}
    assert not is_ours(content)


def test_a_number_that_no_property_list_can_hold_is_left_where_it_is() -> None:
    content = b"<plist><dict><key>huge</key><integer>36893488147419103232</integer></dict></plist>"

    with pytest.raises(ProviderError, match="cannot be written again"):
        plist.apply(content, WANTED)


@pytest.mark.parametrize(("value", "fits"), [("text", True), ("\x07", False), (2**70, False), ([{"a": 1}], True)])
def test_what_a_property_list_can_hold_is_known_before(value: Any, fits: bool) -> None:
    assert plist.can_hold(value) is fits


@pytest.mark.parametrize("mark", [False, 1, "true", None])
def test_only_our_own_mark_makes_a_file_ours(mark: Any) -> None:
    document = {} if mark is None else {MARK: mark}

    assert not is_ours(plistlib.dumps(document))
    assert is_ours(plistlib.dumps({MARK: True}))
