"""``shieldwall-sentry``: keeps programs from starting under the name of a system tool.

Under systemd it tells when it is ready. ``SIGTERM`` ends it; once it is gone the kernel lets every program start.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from shieldwall.agent.broker.fanotify import FanotifyError, Group
from shieldwall.agent.broker.watchman import Watchman
from shieldwall.agent.sentry.settings import CONFIGURATION, read
from shieldwall.agent.sentry.watch import Sentry

EXIT_UNAVAILABLE: Final = 69
EXIT_SETTINGS: Final = 78


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; the exit codes are those of sysexits.h."""
    parser = argparse.ArgumentParser(prog="shieldwall-sentry", description=__doc__)
    parser.add_argument("--settings", type=Path, default=Path(CONFIGURATION), help="file with settings")
    parser.add_argument("--within", help="look at mounts in this directory alone")
    options = parser.parse_args(arguments)
    try:
        settings = read(options.settings.read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        return _failed(f"The settings cannot be read: {error}", EXIT_SETTINGS)
    watchman = Watchman()
    try:
        group = Group()
    except FanotifyError as error:
        return _failed(error.cause, EXIT_UNAVAILABLE)
    os.set_blocking(2, False)
    sentry = Sentry(group, settings, within=options.within, alive=watchman.sign)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sentry.stop())
    if sentry.look_at_mounts() == 0:
        return _failed("No mount can be watched.", EXIT_UNAVAILABLE)
    _tell_ready()
    sentry.run()
    return 0


def _tell_ready() -> None:
    """Say so to systemd, if it asked (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
            connection.connect(f"\0{address[1:]}" if address.startswith("@") else address)
            connection.sendall(b"READY=1")
    else:
        with contextlib.suppress(OSError):
            os.write(1, b"ready\n")


def _failed(why: str, code: int) -> int:
    sys.stderr.write(f"shieldwall-sentry: {why}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
