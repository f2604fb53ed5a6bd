"""The simulation of the real server and the real agent: it ends well, repeats itself, and notices what it must."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select
from tests.support.migrated import migrated_sqlite

from shieldwall.server.manager import check_in, clone_watch, fetch
from shieldwall.server.manager.clones import CloneSign
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.check_ins.check_ins import Known
from shieldwall.server.storage.tables.schema import policy_revisions
from shieldwall.simulator.core import watch
from shieldwall.simulator.core.faults import NONE, Faults
from shieldwall.simulator.core.plan import Outcome, Plan
from shieldwall.simulator.core.world import simulate

STORMY = Faults(
    lost_request=0.05,
    lost_answer=0.08,
    repeated=0.08,
    late=0.05,
    killed=0.003,
    set_back_per_day=0.3,
    clock_jump_per_day=0.3,
    cloned_per_day=0.15,
    moved_per_day=0.2,
    server_restarts_per_day=6.0,
    server_commit_fails=0.01,
)

Simulate = Callable[..., Outcome]


@pytest.fixture
def run(tmp_path: Path) -> Simulate:
    """Runs a plan in a directory of its own, over a database that has its tables."""
    runs = iter(range(100))

    def simulated(out: io.StringIO | None = None, **plan: Any) -> Outcome:
        directory = tmp_path / str(next(runs))
        directory.mkdir()
        database = migrated_sqlite(directory / "simulated.db")
        return simulate(Plan(**({"acts_an_hour": 3.0} | plan)), directory, out=out, database=database)

    return simulated


def test_a_stormy_day_comes_right_and_the_same_seed_is_the_same_history(run: Simulate) -> None:
    first, second = io.StringIO(), io.StringIO()

    outcome = run(first, seed=3, devices=12, hours=16.0, faults=STORMY)
    again = run(second, seed=3, devices=12, hours=16.0, faults=STORMY)

    assert outcome.broken is None, outcome.last
    assert first.getvalue() == second.getvalue()
    assert outcome.digest == again.digest
    assert outcome.checks == again.checks > 500
    came_up = {"lost_request", "lost_answer", "repeated", "cameLate", "killed", "setBack", "clockJumped", "cloned"}
    assert came_up | {"serverRestarted", "commitFailed", "policyEdited", "ruleChanged"} <= outcome.counts.keys()


def test_another_seed_is_another_history_and_without_faults_nothing_fails(run: Simulate) -> None:
    one = run(seed=1, devices=6, hours=4.0, faults=NONE)
    other = run(seed=2, devices=6, hours=4.0, faults=NONE)

    assert one.broken is other.broken is None
    assert one.digest != other.digest
    assert not {"lost_request", "killed", "startFailed", "commitFailed", "onboardingFailed"} & one.counts.keys()


def _forget_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_ins, "set_status", lambda *_arguments: None)


def _answer_old_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every number, whatever came before: a request that comes late then has its effect after younger ones."""

    def take(connection: Any, device_id: Any, **request: Any) -> Known | None:
        connection.exec_driver_sql("UPDATE check_ins SET seq = 0 WHERE device_id = ?", (device_id,))
        return real(connection, device_id, **request)

    real = check_ins.check_in
    monkeypatch.setattr(check_ins, "check_in", take)


def _hand_out_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    def everything(connection: Any, *_arguments: Any) -> Any:
        found = connection.scalars(select(policy_revisions.c.digest))
        return SimpleNamespace(items=[SimpleNamespace(digest=digest) for digest in found])

    monkeypatch.setattr(fetch, "targets", SimpleNamespace(get=everything))


def _forget_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_in.CheckIn, "_to_hand_over", lambda *_arguments: None)


def _see_no_clone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clone_watch, "sign_of_clone", lambda _history: None)


def _see_clones_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        clone_watch, "sign_of_clone", lambda history: CloneSign.ALTERNATING if len(history) > 1 else None
    )


@pytest.mark.parametrize(
    ("mistake", "name", "plan"),
    [
        (_forget_reports, watch.KEPT, {}),
        (_answer_old_numbers, watch.ONCE, {}),
        (_forget_targets, watch.TRUE_NOW, {}),
        (_hand_out_anything, watch.OWN_ALONE, {"faults": Faults(curious=0.2)}),
        (_see_no_clone, watch.CLONES_FOUND, {"hours": 40.0, "devices": 4, "faults": Faults(cloned_per_day=2.0)}),
        (_see_clones_everywhere, watch.NO_FALSE_CLONE, {}),
    ],
)
def test_a_server_with_a_mistake_is_found_out(
    run: Simulate,
    monkeypatch: pytest.MonkeyPatch,
    mistake: Callable[[pytest.MonkeyPatch], None],
    name: str,
    plan: dict[str, Any],
) -> None:
    mistake(monkeypatch)

    outcome = run(**({"seed": 3, "devices": 8, "hours": 16.0, "faults": STORMY} | plan))

    assert outcome.broken is not None
    assert outcome.broken.startswith(name)
    assert outcome.last


def test_the_page_about_the_simulator_names_all_that_must_not_happen() -> None:
    page = (Path(__file__).parents[2] / "docs" / "simulator.md").read_text()

    assert [name for name in watch.NAMES if f"| {name} |" not in page] == []
