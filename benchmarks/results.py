"""Results that are kept: what each part found, when, and on which machine; the table of the README is made of them."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.figures import Figure
from benchmarks.table import for_markdown, summary

FILE: Final = Path(__file__).with_name("results.json")
README: Final = Path(__file__).with_name("README.md")
BEGIN: Final = "<!-- table of results.json: python -m benchmarks --write -->"
END: Final = "<!-- end of the table -->"


@dataclass(frozen=True, slots=True)
class Machine:
    """What the figures were measured on, and how busy it was with other work."""

    processor: str
    cores: int
    memory_gib: float
    system: str
    python: str
    load: float
    """Processes that ran or wanted to, over the minute before (getloadavg(3)); other work than ours makes it larger."""

    def __str__(self) -> str:
        """Name it as a reader would."""
        return f"{self.processor}, {self.cores} cores, {self.memory_gib:.0f} GiB, {self.system}, Python {self.python}"


@dataclass(frozen=True, slots=True)
class Result:
    """One run of one part."""

    part: str
    day: str
    machine: Machine
    figures: list[Figure] = field(default_factory=list)
    failure: str = ""
    """Why the part came to no end."""


def this_machine() -> Machine:
    """Look at the machine that this runs on."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 1,
        memory_gib=round(pages * size / 2**30, 1),
        system=_system(),
        python=_python(),
        load=round(os.getloadavg()[0], 1),
    )


def result(part: str, machine: Machine, figures: Iterable[Figure] = (), failure: str = "") -> Result:
    """Put together what a part found today."""
    return Result(part, datetime.now(UTC).date().isoformat(), machine, list(figures), failure)


def encode(results: Iterable[Result]) -> bytes:
    """Write results as JSON that people can compare line by line."""
    return msgspec.json.format(msgspec.json.encode(list(results)), indent=1) + b"\n"


def read(file: Path = FILE) -> list[Result]:
    """Read the results that are kept; none where there is no file yet. Raises: msgspec.ValidationError."""
    return msgspec.json.decode(file.read_bytes(), type=list[Result]) if file.exists() else []


def keep(new: Iterable[Result], file: Path = FILE) -> list[Result]:
    """Put new results in the place of earlier ones of the same parts; returns all."""
    newer = {each.part: each for each in new}
    every = {each.part: each for each in read(file)} | newer
    file.write_bytes(encode(every.values()))
    return list(every.values())


def document(results: Iterable[Result], page: Path = README) -> None:
    """Bring the table of the page to what the results say. Raises: ValueError where the page has no place for it."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page.name} has no place for the table: {BEGIN} … {END}")
    page.write_text(f"{before}{BEGIN}\n{described(list(results))}\n{END}{after}")


def described(results: list[Result]) -> str:
    """Write all results as Markdown: machines, the table, what failed."""
    figures = [each for one in results for each in one.figures]
    on = sorted({str(one.machine) for one in results})
    days = sorted({one.day for one in results})
    loads = [one.machine.load for one in results]
    lines = [f"Measured on: {'; '.join(on)}." if on else "Nothing is measured yet."]
    if days:
        busy = f"load {min(loads):.1f} to {max(loads):.1f} when the parts began"
        lines.append(f"Between {days[0]} and {days[-1]}; {busy}. {summary(figures)}.")
    lines += ["", for_markdown(figures)]
    failed = [f"* `{one.part}` came to no end: {one.failure}" for one in results if one.failure]
    return "\n".join([*lines, *(["", *failed] if failed else [])])


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _python() -> str:
    """Name the interpreter: a system's own is built with profiles, which one that somebody compiled often is not."""
    own = Path(sys.executable).resolve().is_relative_to("/usr/bin")
    return f"{platform.python_version()} of the system" if own else platform.python_version()


def _system() -> str:
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return platform.system()
