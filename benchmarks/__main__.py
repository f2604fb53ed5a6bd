"""``make bench``: measure the server's check-in and the agent, and print the figures for benchmarks/README.md."""

from __future__ import annotations

import platform
import tempfile
from pathlib import Path

from benchmarks import (
    agent,
    check_in,
    enrolment,
    fleet_changes,
    groups,
    inventory,
    listings,
    opens,
    portal,
    preview,
    tokens,
)


def main() -> None:
    """Measure everything, one part after the other."""
    print(f"Python {platform.python_version()}, {platform.machine()}, {platform.release()}\n", flush=True)
    for part in (
        check_in,
        agent,
        enrolment,
        preview,
        groups,
        fleet_changes,
        inventory,
        listings,
        tokens,
        opens,
        portal,
    ):
        with tempfile.TemporaryDirectory() as home:
            part.measure(Path(home))
        print(flush=True)


if __name__ == "__main__":
    main()
