"""A session of scans on the system of a test's clamd, with a clock that the test sets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.clamd import Clamd

from shieldwall.agent.host.ports import Host
from shieldwall.agent.scanning import policy
from shieldwall.agent.scanning.session import Session

ACTING: Mapping[str, Any] = {policy.ENFORCEMENT_LEVEL: "on_demand"}
"""A policy under which threats are moved to quarantine."""


@dataclass(kw_only=True)
class SetClock:
    """A clock that stands where it is set; sleeping moves it on."""

    moment: datetime = datetime(2026, 11, 26, 5, 0, tzinfo=UTC)
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.moment += timedelta(seconds=seconds)


def session_of(
    clamd: Clamd | Host,
    values: Mapping[str, Any],
    clock: SetClock | None = None,
    load: Callable[[], float] = lambda: 0.0,
) -> Session:
    """Put a session together whose policy is ``values``."""
    host = clamd.host if isinstance(clamd, Clamd) else clamd
    host.write_file(policy.FILE, policy.encode(values))
    clock = clock or SetClock()
    return Session(
        host=host,
        clock=clock,
        monotonic=clock.monotonic,
        sleep=clock.sleep,
        load=load,
        cancelled=threading.Event(),
    )


def files_below(directory: Path) -> set[str]:
    """Return the names of everything that lies below a directory."""
    return {str(path.relative_to(directory)) for path in directory.rglob("*")} if directory.exists() else set()
