"""Parts that measure both engines: what stands there where PostgreSQL is not installed, and whose work is counted."""

from __future__ import annotations

import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from benchmarks.bars import KILLS_LOST
from benchmarks.clusters import Cluster, Storage, on_each_engine
from benchmarks.figures import POSTGRESQL, SQLITE, Figure

from benchmarks import clusters


def _measured(there: Storage) -> list[Figure]:
    assert there.words == ()
    assert there.processor_seconds() == 0
    return [
        Figure("lost", 0, "", engine=there.engine, bar=KILLS_LOST, note="what was seen"),
        Figure("took", 1.0, "s", engine=there.engine),
    ]


def test_without_postgresql_what_has_a_bar_is_named_as_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "programs", lambda: None)

    *measured, missing = on_each_engine(tmp_path, _measured)

    assert [(each.what, each.engine) for each in measured] == [("lost", SQLITE), ("took", SQLITE)]
    assert missing == Figure.missing("lost", "", "needs PostgreSQL", engine=POSTGRESQL, bar=KILLS_LOST)


_COMING_AND_GOING = """
n=0
while [ $n -lt 20000 ]; do
    n=$((n+1))
    sh -c 'i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done' & wait
done
"""


def test_work_is_counted_once_while_processes_end() -> None:
    with subprocess.Popen(["sh", "-c", _COMING_AND_GOING]) as parent:
        cluster = Cluster("", parent.pid)
        try:
            worked = [cluster.processor_seconds() for _ in range(100)]
        finally:
            parent.kill()

    assert worked[-1] > worked[0]
    assert min(later - earlier for earlier, later in pairwise(worked)) > -0.03  # of three processes, a tick each
