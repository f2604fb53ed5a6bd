"""Parts that measure both engines: what stands in the table where PostgreSQL is not installed."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.bars import KILLS_LOST
from benchmarks.clusters import Storage, on_each_engine
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
