"""``shieldwall-broker``: holds every open of a file until ClamAV has said whether it is clean.

Under systemd it runs in the foreground. Elsewhere ``--background`` returns once files are watched. ``SIGHUP`` takes
new settings without a gap, ``SIGTERM`` ends it; whoever waits then is answered first.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from shieldwall.agent.broker import standing
from shieldwall.agent.broker.fanotify import FanotifyError, Group
from shieldwall.agent.broker.gate import Gate
from shieldwall.agent.broker.keeper import Keeper
from shieldwall.agent.broker.watchman import Watchman

EXIT_UNAVAILABLE: Final = 69
EXIT_SETTINGS: Final = 78
EXIT_RUNNING: Final = 75
_MOST_WAITING: Final = 4096
_RESERVED_DESCRIPTORS: Final = 512


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; the exit codes are those of sysexits.h."""
    parser = argparse.ArgumentParser(prog="shieldwall-broker", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("/"), help="directory that is / of the managed system")
    parser.add_argument("--background", action="store_true", help="return once files are watched")
    options = parser.parse_args(arguments)
    root = options.root.resolve()
    ready = _into_background() if options.background else lambda: None
    watchman = Watchman()
    try:
        lock = standing.Lock(root)
    except OSError as error:
        return _failed(f"It runs already, or its lock cannot be taken: {error}.", EXIT_RUNNING)
    try:
        return _run(root, ready, watchman)
    except FanotifyError as error:
        return _failed(error.cause, EXIT_UNAVAILABLE)
    except (OSError, msgspec.DecodeError) as error:
        return _failed(f"The settings cannot be read: {error}", EXIT_SETTINGS)
    finally:
        with contextlib.suppress(OSError):
            standing.write(root, None)
        del lock


def _run(root: Path, ready: Callable[[], None], watchman: Watchman) -> int:
    group = Group()
    keeper = Keeper(root, group)
    gate = Gate(group, keeper.load(), keeper.tell, watchman.sign, maximum_waiting=_room_for_waiting())
    signal.signal(signal.SIGIO, signal.SIG_IGN)  # the kernel's word on a lease that somebody wants to break
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: gate.stop())
    signal.signal(signal.SIGHUP, lambda *_: keeper.reload())
    thread = threading.Thread(target=keeper.run, args=(gate, ready), name="keeper", daemon=True)
    gc.collect()
    gc.freeze()  # what is there now stays; less to go through while somebody waits
    thread.start()
    gate.run()
    keeper.stop()
    thread.join(5.0)
    return 0


def _room_for_waiting() -> int:
    """Make room for open files, one for each who waits, and say for how many there is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return max(64, min(_MOST_WAITING, (hard - _RESERVED_DESCRIPTORS) // 2))


def _into_background() -> Callable[[], None]:
    """Go on in a child; the parent ends once the child is ready, or with it."""
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        if os.read(reader, 1):
            os._exit(0)
        _, status = os.waitpid(child, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF or 1)
    os.close(reader)
    os.setsid()

    def ready() -> None:
        nothing = os.open(os.devnull, os.O_RDWR)
        for standard in range(3):
            os.dup2(nothing, standard)
        os.close(nothing)
        os.write(writer, b"+")
        os.close(writer)

    return ready


def _failed(why: str, code: int) -> int:
    sys.stderr.write(f"shieldwall-broker: {why}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
