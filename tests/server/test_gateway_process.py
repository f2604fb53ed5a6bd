"""How a gateway's threads take turns; each test asks on a thread of its own, as the kernel keeps that by thread."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from shieldwall.server.processes.gateway_process import let_others_finish


def _policy_after(*steps: Callable[[], object]) -> int:
    def run() -> int:
        for step in steps:
            step()
        return os.sched_getscheduler(0)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(run).result()


def _choose(policy: int) -> None:
    os.sched_setscheduler(0, policy, os.sched_param(0))


def test_who_wakes_up_waits_for_whoever_runs() -> None:
    assert _policy_after(lambda: _choose(os.SCHED_OTHER), let_others_finish) == os.SCHED_BATCH


def test_what_an_administrator_chose_stays() -> None:
    assert _policy_after(lambda: _choose(os.SCHED_IDLE), let_others_finish) == os.SCHED_IDLE


def test_a_gateway_starts_where_nobody_may_choose(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "sched_setscheduler", forbidden)
    let_others_finish()
