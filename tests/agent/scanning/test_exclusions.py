"""What scans leave out by expressions of clamd.conf, in a time that nobody who names a file can draw out."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shieldwall.agent.providers.clamav.exclusions import expression
from shieldwall.agent.scanning.exclusions import excluder

_names = st.text(alphabet="ab?*.", min_size=1, max_size=12).filter(lambda name: name not in {".", ".."})
_paths = st.lists(st.text(alphabet="ab.", min_size=1, max_size=8), min_size=1, max_size=3)


def written(path: str) -> str:
    found = expression({"$type": "excludedPath", "path": path, "isDirectory": False}, literal=False)
    assert isinstance(found, str)
    return found


@given(name=_names, path=_paths)
@example(name="*a?b*a*", path=["xaab"])
@example(name="a**b", path=["ab"])
@example(name="*.*.b*a", path=["a.b.ba"])
def test_an_expression_means_what_it_meant(name: str, path: list[str]) -> None:
    source, text = written(f"/srv/{name}/x"), f"/srv/{'/'.join(path)}/x"

    assert excluder(f"ExcludePath {source}\n".encode())(text) == (re.search(source, text) is not None)


def test_expressions_of_others_stay_as_they_are() -> None:
    for source in (r"^/srv/([^/]*a)[^/]*b$", r"^/srv/[^/]*\w[^/]*b$", r"^/srv/[^/]*(a|aab)[^/]*$", r"[^/]*a+[^/]*b"):
        is_excluded = excluder(f"ExcludePath {source}\n".encode())
        for text in ("/srv/aab", "/srv/xaxb", "/srv/c", "/srv/b"):
            assert is_excluded(text) == (re.search(source, text) is not None), (source, text)


@pytest.mark.parametrize("stars", ["*a" * 12 + "*", "*" * 12, "*?" * 12 + "*", "**a" * 12 + "**"])
def test_nobody_keeps_a_scan_busy_by_the_name_of_a_file(stars: str) -> None:
    is_excluded = excluder(f"ExcludePath {written(f'/srv/{stars}b')}\n".encode())

    begun = time.process_time()
    assert not is_excluded("/srv/" + "a" * 250)
    assert is_excluded("/srv/" + "a" * 249 + "b")
    assert time.process_time() - begun < 1
