"""Every link in the documentation leads somewhere."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.support.documentation import DOCS, ROOT, anchors, links, pages


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_within_the_repository_resolves(page: Path) -> None:
    for link in links(page):
        parts = urlsplit(link)
        if parts.scheme:
            continue
        target = (page.parent / parts.path).resolve() if parts.path else page
        assert target.exists(), f"{link} leads nowhere"
        assert target.is_relative_to(ROOT), f"{link} leads out of the repository"
        if parts.fragment:
            assert parts.fragment in anchors(target), f"{link}: no such heading"


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_elsewhere_are_secure_and_name_a_host(page: Path) -> None:
    for link in links(page):
        parts = urlsplit(link)
        if parts.scheme:
            assert (parts.scheme, bool(parts.hostname)) == ("https", True), link


def test_every_page_of_docs_is_reached_from_the_index() -> None:
    index = DOCS / "README.md"
    reached = {(index.parent / urlsplit(link).path).resolve() for link in links(index)}
    decisions = DOCS / "decisions"

    missing = {page for page in DOCS.glob("*.md") if page != index} - reached
    assert not missing
    assert decisions in reached
