"""``shieldwall-scan``: what the timers start, and what an administrator may start by hand.

It ends with 0 when nothing was found, 1 when something was, 2 when the scan failed, 3 when it did not begin.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from shieldwall.agent.broker.processes import SCAN_PROCESS
from shieldwall.agent.detections.model import Source
from shieldwall.agent.host.local import PROGRAM_DIRECTORIES, LocalHost
from shieldwall.agent.providers.freshclam import updating
from shieldwall.agent.scanning import history
from shieldwall.agent.scanning.history import Ended, ScanResult
from shieldwall.agent.scanning.session import Kind, Session
from shieldwall.contract.errors import ShieldwallError

FOUND: Final = 1
FAILED: Final = 2
SKIPPED: Final = 3


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """See ``Clock.now``."""
        return datetime.now(UTC)  # noqa: TID251 - this is the edge where time comes in


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit code."""
    asked = _parser().parse_args(arguments)
    # By this name the gate lets pass what is opened in order to be judged here.
    Path("/proc/self/comm").write_text(SCAN_PROCESS)
    session = _session(asked.root)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: session.cancelled.set())
    try:
        return _carry_out(session, asked)
    except (ShieldwallError, OSError) as error:
        _say(f"The scan failed: {error}")
        return FAILED


def run() -> None:
    """Run the command line as a program."""
    sys.exit(main())


def _carry_out(session: Session, asked: argparse.Namespace) -> int:
    source = Source.SCHEDULED_SCAN if asked.scheduled else Source.ON_DEMAND_SCAN
    match asked.command:
        case "definitions":
            run = updating.update(session.host, session.clock)
            _say(f"{run.outcome}: {run.said}")
            return 0 if run.outcome in updating.GOOD else FAILED
        case "history":
            for each in history.read(session.host.locate(history.DIRECTORY)):
                _say(msgspec.json.encode(each).decode())
            return 0
        case "updated":
            result = session.scan_after_update()
            return 0 if result is None else _told(result)
        case "paths":
            return _told(session.scan(Kind.PATHS, source, [str(path.absolute()) for path in asked.path]))
        case kind:
            return _told(session.scan(Kind(kind), source))


def _told(result: ScanResult) -> int:
    _say(
        f"{result.kind} scan {result.ended}: {result.files} files, {result.detections} threats, "
        f"{result.quarantined} moved to quarantine, {result.excluded} left out, {result.unreadable} not readable."
    )
    for reason in result.reasons:
        _say(reason)
    if result.detections:
        return FOUND
    return {Ended.COMPLETED: 0, Ended.SKIPPED: SKIPPED}.get(result.ended, FAILED)


def _session(root: Path) -> Session:
    directories = None if root == Path("/") else [Path(str(each)) for each in PROGRAM_DIRECTORIES]
    cancelled = threading.Event()
    return Session(
        host=LocalHost(root, program_directories=directories),
        clock=SystemClock(),
        monotonic=time.monotonic,
        sleep=cancelled.wait,
        cancelled=cancelled,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="shieldwall-scan", description="Scans this device with ClamAV's daemon.")
    parser.add_argument("--root", type=Path, default=Path("/"), help="the system to scan, if it is not this one")
    parser.add_argument(
        "--scheduled", action="store_true", help="started by the schedule: what policies say of it holds"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("quick", help="the places where malware settles, and what runs")
    commands.add_parser("full", help="every file system of this machine")
    commands.add_parser("programs", help="what runs right now")
    commands.add_parser("updated", help="what runs right now, if there are new definitions")
    commands.add_parser("definitions", help="look for new definitions")
    commands.add_parser("history", help="the results that are kept, as lines of JSON")
    commands.add_parser("paths", help="files and directories of your choice").add_argument("path", nargs="+", type=Path)
    return parser


def _say(text: str) -> None:
    sys.stdout.write(os.fsencode(text).decode(errors="replace") + "\n")
