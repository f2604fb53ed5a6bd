from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shieldwall.contract import strict_json
from shieldwall.server.directory.names import is_name, is_text


@pytest.mark.parametrize("name", ["a", "Zoë's laptop", "機械 1", "👩‍💻", "a-b (c) <d>", "x" * 256])
def test_what_people_call_things_is_a_name(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize("name", ["", " ", "\u2003", "x" * 257, "a\0", "a\nb", "\x1b[2J", "\x9b", "\ud800"])
def test_what_is_blank_too_long_or_a_command_to_a_terminal_is_none(name: str) -> None:
    assert not is_name(name)


def test_a_text_may_be_empty_and_have_lines() -> None:
    assert is_text("", 10)
    assert is_text("a\n\tb\r\n", 10)
    assert not is_text("x" * 11, 10)
    assert not is_text("a\0", 10)


@given(st.text())
def test_every_name_is_one_that_strict_json_can_carry(text: str) -> None:
    if is_name(text):
        assert strict_json.decode(strict_json.encode(text), str) == text
