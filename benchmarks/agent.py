"""What an agent costs a device: memory while it waits, CPU of a check-in that changes nothing."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path

from benchmarks.programs import AGENT, Server, processor_seconds, resident_bytes, run, started, wait_until


def measure(home: Path, *, check_ins: int = 15) -> None:
    """Measure and print."""
    server = Server(home, admin_port=18453, gateway_port=18454)
    root, state = home / "root", home / "state"
    (root / "etc").mkdir(parents=True)
    (root / "etc/os-release").write_text('PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n')
    (root / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    (root / "etc/opt/microsoft/mdatp").mkdir(parents=True)
    places = ("--root", str(root), "--state", str(state))
    with server.running():
        run(AGENT, "onboard", str(server.package), *places)
        run(AGENT, "sync", *places)
        log = home / "agent.log"
        with started([AGENT, "run", *places], log) as pid:
            wait_until(lambda: log.exists() and log.stat().st_size > 0, "the agent's first word")
            time.sleep(5)
            before, moment = processor_seconds([pid]), time.monotonic()
            time.sleep(30)
            share = (processor_seconds([pid]) - before) / (time.monotonic() - moment)
            print(f"agent, waiting   {resident_bytes(pid) / 2**20:8.1f} MiB resident, {share:.2%} of one processor")
        print(f"sync, no change  {_median_cpu(check_ins, places) * 1e3:8.0f} ms CPU, start of the program included")


def _median_cpu(times: int, places: tuple[str, ...]) -> float:
    costs = []
    for _ in range(times):
        before = os.times()
        run(AGENT, "sync", *places)
        after = os.times()
        costs.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return statistics.median(costs)
