"""What is left out: the same for the gate as for clamd, whatever the names."""

from __future__ import annotations

import re
import string
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shieldwall.agent.broker.matching import Matcher
from shieldwall.agent.broker.settings import Left
from shieldwall.agent.providers.clamav import exclusions, onaccess
from shieldwall.contract.status import ItemStatus

LETTERS = st.sampled_from("ab.")
SEGMENT = st.text(LETTERS, min_size=1, max_size=3).filter(lambda text: set(text) != {"."})
PATTERN_SEGMENT = st.text(st.sampled_from("ab.*?"), min_size=1, max_size=4).filter(lambda text: set(text) != {"."})
PATHS = st.lists(SEGMENT, min_size=1, max_size=5).map(lambda parts: "/" + "/".join(parts))
PATTERNS = st.lists(PATTERN_SEGMENT, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))


@st.composite
def path_exclusions(draw: st.DrawFn) -> dict[str, object]:
    """Exclusions of paths, of every shape that ``exclusions.expression`` takes."""
    path = draw(PATTERNS) + draw(st.sampled_from(["", "", "/"]))
    return {"$type": "excludedPath", "path": path, "isDirectory": draw(st.booleans())}


@given(item=path_exclusions(), path=PATHS)
def test_the_gate_and_clamd_leave_out_the_same(item: dict[str, object], path: str) -> None:
    expression = exclusions.expression(item, literal=False)
    if isinstance(expression, ItemStatus):
        return

    assert Matcher(onaccess.left_out([item])).leaves_out_file(path) is (re.search(expression, path) is not None)


@given(extension=st.text(string.ascii_lowercase + ".", min_size=1, max_size=4), path=PATHS)
def test_extensions_too(extension: str, path: str) -> None:
    item = {"$type": "excludedFileExtension", "extension": extension}
    expression = exclusions.expression(item, literal=False)
    if isinstance(expression, ItemStatus):
        return

    assert Matcher(onaccess.left_out([item])).leaves_out_file(path) is (re.search(expression, path) is not None)


@pytest.mark.parametrize(
    ("process", "program", "left_out"),
    [
        ("cat", "/usr/bin/cat", True),
        ("cat", "/usr/bin/concat", False),
        ("cat", "/usr/bin/cat2", False),
        ("c?t", "/usr/bin/cut", True),
        ("c*", "/opt/c", True),
        ("/usr/bin/cat", "/usr/bin/cat", True),
        ("/usr/bin/cat", "/home/x/usr/bin/cat", False),
        ("/opt/*/bin/tool", "/opt/a/bin/tool", True),
        ("/opt/*/bin/tool", "/opt/a/b/bin/tool", False),
        ("/opt/app/*", "/opt/app/bin/tool", True),
    ],
)
def test_processes(process: str, program: str, left_out: bool) -> None:
    assert Matcher(Left(processes=(process,))).leaves_out_process(program) is left_out


def test_a_name_made_to_keep_it_busy_does_not() -> None:
    matcher = Matcher(Left(files=("/srv/" + "*a" * 60 + "b",)))
    started = time.process_time()

    assert not matcher.leaves_out_file("/srv/" + "a" * 255)
    assert time.process_time() - started < 0.1
