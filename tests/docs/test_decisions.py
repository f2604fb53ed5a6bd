"""Decisions are written in one form, so that they can be skimmed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.support.documentation import DOCS

DECISIONS = sorted((DOCS / "decisions").glob("*.md"))


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.name)
def test_a_decision_follows_the_form(page: Path) -> None:
    text = page.read_text()
    number = page.name[:4]

    assert re.fullmatch(r"[0-9]{4}-[a-z0-9]+(-[a-z0-9]+)*\.md", page.name)
    assert re.match(rf"# {int(number)}\. [A-Z].*[^.]\n\n\*\*Status\*\*: ", text)
    assert re.search(
        r"^\*\*Status\*\*: (accepted|superseded by [0-9]{4}), [0-9]{4}-[0-9]{2}-[0-9]{2}$", text, re.MULTILINE
    )
    assert text.index("**Decision.**") < text.index("**Why.**")
    assert len(text.splitlines()) <= 25


def test_decisions_are_numbered_without_gaps() -> None:
    assert [page.name[:4] for page in DECISIONS] == [f"{number:04}" for number in range(1, len(DECISIONS) + 1)]
