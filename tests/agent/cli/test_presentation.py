"""Text of others is shown inert; errors are three lines."""

from __future__ import annotations

import io
import sys
import threading
import unicodedata

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from shieldwall.cli.presentation import (
    explained,
    in_words,
    printable,
    show_facts,
    show_table,
    speaking_plainly,
    waiting,
)
from shieldwall.contract.errors import InvalidIdError


@given(st.text())
def test_no_text_of_others_obeys_or_hides(text: str) -> None:
    shown = printable(text)

    assert all(unicodedata.category(each) not in {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"} for each in shown)


@given(st.text(alphabet=st.characters(categories=("L", "N", "P", "Zs"))))
def test_ordinary_text_is_shown_as_it_is(text: str) -> None:
    assert printable(text) == text


def test_an_escape_sequence_is_shown_and_not_obeyed() -> None:
    assert printable("\x1b[31mred\u202eder\n") == "\\x1b[31mred\\u202eder\\n"


def test_an_error_says_what_why_and_what_to_do() -> None:
    lines = explained("list devices", InvalidIdError("'x\n' is no id."))

    assert lines == (
        "Could not list devices.",
        "Why: 'x\\n' is no id. [invalidId]",
        f"What to do: {InvalidIdError.remedy}",
    )


def test_an_expected_error_becomes_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, speaking_plainly("do it", exit_code=lambda _error: 9):
        raise InvalidIdError("No.")

    assert ended.value.exit_code == 9
    assert capsys.readouterr().err.startswith("Could not do it.\n")


def test_a_bug_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), speaking_plainly("do it"):
        raise ZeroDivisionError


def test_a_table_shows_every_cell_inert(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("Name", "State"), [("[bold]laptop[/bold]", "\x1b]0;owned\x07"), ("desk", "ok")])

    shown = capsys.readouterr().out
    assert "[bold]laptop[/bold]" in shown
    assert "\x1b" not in shown


def test_values_are_one_line() -> None:
    assert in_words(None) == "-"
    assert in_words([]) == "(empty)"
    assert in_words(["a", {"port": 22, "name": "ssh"}]) == "a, port=22 name=ssh"


def test_an_empty_table_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("Name",), [], empty="No devices.")

    assert capsys.readouterr().out == "No devices.\n"


def test_facts_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    show_facts((("Name", "laptop"), ("Last seen", "today")))

    assert capsys.readouterr().out == "Name:      laptop\nLast seen: today\n"


def test_what_takes_long_is_shown_at_a_terminal_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: dict[bool, str] = {}
    for is_terminal in (True, False):
        stream = io.StringIO()
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv("FORCE_COLOR" if is_terminal else "NO_COLOR", "1")
        with waiting("Waiting for the server …", patience_seconds=0):
            for _ in range(1_000):
                if "Waiting" in stream.getvalue() or not is_terminal:
                    break
                threading.Event().wait(0.01)
        shown[is_terminal] = stream.getvalue()
        monkeypatch.delenv("FORCE_COLOR", raising=False)

    assert "Waiting for the server" in shown[True]
    assert shown[False] == ""


def test_what_is_done_at_once_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with waiting("Waiting for the server …", patience_seconds=3_600):
        pass

    assert "Waiting" not in stream.getvalue()
