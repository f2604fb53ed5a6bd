"""``make bench``: measure, and print one table with every bar beside its figure.

python -m benchmarks                    all parts
python -m benchmarks check_in size      these parts
python -m benchmarks --quick            seconds instead of minutes, smaller fleets; nothing is kept
python -m benchmarks --json             results as JSON on standard output, everything else on standard error
python -m benchmarks --keep check_in    put the results into results.json, and the table into README.md
python -m benchmarks --table            print the table of the results that are kept; measure nothing
python -m benchmarks --write            bring README.md to what results.json says; measure nothing
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Final

from benchmarks import results, table
from benchmarks.figures import Figure

PARTS: Final = (
    "check_in",
    "against_peers",
    "kills",
    "herd",
    "returning",
    "commits",
    "million",
    "agent",
    "agent_check_in",
    "enrolment",
    "preview",
    "groups",
    "targeting",
    "fleet_changes",
    "reports",
    "inventory",
    "listings",
    "tokens",
    "opens",
    "portal",
    "simulated",
)
"""Modules of this package, in the order in which they are measured."""


def main(arguments: list[str] | None = None) -> int:
    """Do what the arguments ask; ends with 1 where a part came to no end. No bar that is missed is an error."""
    words = _parser()
    asked = words.parse_args(arguments)
    if asked.quick and asked.keep:
        words.error("what --quick measures is not kept")
    if asked.write:
        results.document(results.read())
        return 0
    if asked.table:
        print(_whole_table(results.read()))
        return 0
    with contextlib.redirect_stdout(sys.stderr) if asked.json else contextlib.nullcontext():
        found = [_run(part, quick=asked.quick) for part in asked.parts or PARTS]
        print(_whole_table(found, every_bar=not asked.parts), flush=True)
        if asked.keep:
            results.document(results.keep(found))
    if asked.json:
        sys.stdout.write(results.encode(found).decode())
    return 1 if any(each.failure for each in found) else 0


def _run(part: str, *, quick: bool) -> results.Result:
    """Run one part; what goes wrong in it is a result too."""
    machine = results.this_machine()
    print(f"── {part} (load {machine.load})", flush=True)
    try:
        module = importlib.import_module(f"benchmarks.{part}")
        with tempfile.TemporaryDirectory(prefix=f"bench-{part}-") as home:
            Path(home).chmod(0o711)  # programs that refuse to be root have a place in it
            figures: list[Figure] = module.measure(Path(home), quick=quick)
    except Exception as problem:  # noqa: BLE001 - one part that fails must not hide what the others found
        traceback.print_exc()
        return results.result(part, machine, failure=f"{type(problem).__name__}: {problem}")
    return results.result(part, machine, figures)


def _whole_table(found: list[results.Result], *, every_bar: bool = True) -> str:
    figures = [each for one in found for each in one.figures]
    failed = [f"{one.part} came to no end: {one.failure}" for one in found if one.failure]
    machines = sorted({str(one.machine) for one in found})
    shown, counted = (draw(figures, every_bar=every_bar) for draw in (table.for_terminal, table.summary))
    return "\n".join(["", *machines, "", shown, "", counted, *failed])


def _parser() -> argparse.ArgumentParser:
    words = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure Shieldwall.")
    words.add_argument("parts", nargs="*", metavar="NAME", choices=[*PARTS, []], help=", ".join(PARTS))
    words.add_argument("--quick", action="store_true", help="seconds instead of minutes; nothing is kept")
    words.add_argument("--json", action="store_true", help="results as JSON on standard output")
    words.add_argument("--keep", action="store_true", help="put the results into results.json and README.md")
    words.add_argument("--table", action="store_true", help="print the table of results.json, measure nothing")
    words.add_argument("--write", action="store_true", help="bring README.md to results.json, measure nothing")
    return words


if __name__ == "__main__":
    sys.exit(main())
