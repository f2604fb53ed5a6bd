"""What it costs to open a file while the gate holds it until clamd has said that it is clean.

Time on the clock of ``open`` and ``close`` in one process, on a tmpfs of its own; processor time of the gate beside it.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from tests.support.broker import guarded
from tests.support.private_mounts import in_private_mounts

from benchmarks.figures import Figure, Peer
from shieldwall.agent.broker.settings import Left

FILES = 1000
ROUNDS = 5
EXCLUSIONS = Left(
    files=tuple(f"/opt/app{number}/*/cache/file-?" for number in range(100)),
    folders=tuple(f"/srv/data{number}" for number in range(400)),
    extensions=tuple(f"x{number}" for number in range(50)),
    processes=tuple(f"/opt/app{number}/bin/tool" for number in range(50)),
)


def measure(home: Path, *, quick: bool = False) -> list[Figure]:
    """Measure in a process with mounts of its own, which writes down what it found; needs root and clamd."""
    del quick  # it takes half a minute, most of it at rest
    if os.geteuid() != 0 or not Path("/usr/sbin/clamd").exists():
        return [Figure.missing("a file opened under real-time protection", "µs", "needs root and clamd")]
    _in_its_own_namespace(found=home / "found.json")
    return msgspec.json.decode((home / "found.json").read_bytes(), type=list[Figure])


@in_private_mounts(seconds=300)
def _in_its_own_namespace(directory: Path, found: Path) -> None:
    with guarded(directory, started=False, left_out=EXCLUSIONS, cache_entries=100_000) as system:
        files = [system.write(f"clean/{number}", b"%d" % number * 200) for number in range(FILES)]
        time.sleep(0.1)  # files changed this very moment are not remembered
        baseline = _microseconds(files)
        system.start()
        assert system.broker is not None
        cold, cpu_cold = _timed(files, system.broker.pid)
        warm, cpu_warm = zip(*(_timed(files, system.broker.pid) for _ in range(ROUNDS)), strict=True)
        resident = _resident_mib(system.broker.pid)
        before = _cpu_seconds(system.broker.pid)
        time.sleep(20)
        idle = (_cpu_seconds(system.broker.pid) - before) / 20
    without, spent = Peer("without the gate", baseline), f"{statistics.median(cpu_warm):.0f} µs CPU of the gate"
    figures = [
        Figure.of(
            "a file opened and closed under real-time protection, seen before", warm, "µs", peer=without, note=spent
        ),
        Figure(
            "… for the first time: clamd looks at it",
            cold,
            "µs",
            peer=without,
            note=f"{cpu_cold:.0f} µs CPU of the gate",
        ),
        Figure(
            "… the gate while nobody opens anything", idle * 100, "% of a core", note=f"{resident:.1f} MiB resident"
        ),
    ]
    found.write_bytes(msgspec.json.encode(figures))


def _timed(files: Sequence[Path], gate: int) -> tuple[float, float]:
    """Return microseconds of the clock, and of the gate's processor time, for each open."""
    before = _cpu_seconds(gate)
    clock = _microseconds(files)
    return clock, (_cpu_seconds(gate) - before) / len(files) * 1e6


def _microseconds(files: Sequence[Path]) -> float:
    names = [os.fspath(path) for path in files]
    started = time.perf_counter()
    for name in names:
        os.close(os.open(name, os.O_RDONLY))
    return (time.perf_counter() - started) / len(names) * 1e6


def _cpu_seconds(pid: int) -> float:
    return sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def _resident_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


if __name__ == "__main__":
    print(measure(Path()))
