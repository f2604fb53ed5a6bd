"""``python -m shieldwall.agent.edr``: read the kernel's audit, and write what somebody should know into the spool."""

from __future__ import annotations

import argparse
import contextlib
import os
import pwd
import select
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

from shieldwall.agent.detections import notices as notices_of
from shieldwall.agent.detections.notices import Notice
from shieldwall.agent.detections.spool import DIRECTORY, append_lines
from shieldwall.agent.edr.events import AuditEvent
from shieldwall.agent.edr.findings import STEM
from shieldwall.agent.edr.netlink import Listener
from shieldwall.agent.edr.rules import Surroundings, load_rules
from shieldwall.agent.edr.watching import Watch, lines
from shieldwall.agent.edr.web_servers import WEB_USERS
from shieldwall.agent.host.kernel_files import shown
from shieldwall.trust import moments

EXIT_UNAVAILABLE: Final = 69
"""EX_UNAVAILABLE of sysexits.h: this kernel, or this container, lets nobody read its audit."""
TICK_SECONDS: Final = 1.0
GATHER_SECONDS: Final = 0.05
"""Records are taken in heaps: waking up for each would cost more than reading it."""
MOST_AT_ONCE: Final = 4_000
AUDITD: Final = "auditd.service"
_OWN: Final = ("shieldwall-applier.service",)
"""What changes this device for its policies. The agent's network side changes nothing, and is watched like all."""
_OF_SYSTEM: Final = "/system.slice/"
_OF_INIT: Final = "/init.scope"
_BY_SYSTEMD: Final = ("", "name=systemd")
"""The trees of control groups that systemd keeps: that of version 2, which has no name, and its own of version 1."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Read until a signal ends it; the exit codes are those of sysexits.h."""
    parser = argparse.ArgumentParser(prog="shieldwall-edr", description=__doc__)
    parser.add_argument("--spool", type=Path, default=Path(DIRECTORY), help="directory of the spool")
    parser.add_argument("--no-own", action="store_true", help="report also what the agent does itself")
    options = parser.parse_args(arguments)
    try:
        listener = Listener()
    except OSError as error:
        sys.stderr.write(f"The kernel's audit cannot be read: {error.strerror or error}.\n")
        return EXIT_UNAVAILABLE
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    around = Surroundings(web_users=_web_users(), is_own=_nobody if options.no_own else is_own)
    watch = Watch(rules=load_rules(), around=around, name_of=_user_name, now=_now)
    sys.stderr.write("listening\n")
    sys.stderr.flush()
    with contextlib.suppress(KeyboardInterrupt):
        _run(watch, listener, options.spool)
    return 0


def _run(watch: Watch, listener: Listener, spool: Path) -> None:
    """Read for ever. A full disk loses lines and ends nothing: it may have room again."""
    full = False
    ticked = time.monotonic()
    while True:
        ready, _, _ = select.select([listener], [], [], TICK_SECONDS)
        found = watch.take(listener.messages(MOST_AT_ONCE), time.monotonic()) if ready else []
        now = time.monotonic()
        said: list[Notice] = []
        if now - ticked >= TICK_SECONDS:
            ticked = now
            found += watch.tick(now)
            said, told = watch.notices(listener.lost, now)
            listener.lost = 0 if told else listener.lost
        try:
            append_lines(spool, STEM, lines(found))
            append_lines(spool, notices_of.STEM, lines(said))
            full = False
        except OSError as error:
            if not full:
                sys.stderr.write(f"The spool cannot be written: {error}.\n")
            full = True
        if ready:
            time.sleep(GATHER_SECONDS)


def is_own(event: AuditEvent, proc: Path = Path("/proc")) -> bool:
    """Say whether a process of the applier, or one that it started, made an event: its control group tells.

    auditd loads all rules anew when it starts, and nobody has to hear of that.
    """
    units = (*_OWN, AUDITD) if "CONFIG_CHANGE" in event.kinds else _OWN
    top = next((group.removesuffix(_OF_INIT) for group in _groups(proc / "1") if group.endswith(_OF_INIT)), "")
    own = {f"{top}{_OF_SYSTEM}{unit}" for unit in units}
    # The whole way counts: below their own group people make groups of any name, ``systemd-run --user`` for instance.
    pids = (pid for pid in (event.pid, event.parent) if pid is not None)
    return any(group in own for pid in pids for group in _groups(proc / str(pid)))


def _groups(process: Path) -> list[str]:
    """Return the control groups of a process as systemd knows them, from the root; none of one that has ended."""
    try:
        lines = shown(process / "cgroup").split("\n")
    except OSError:  # whoever started it is asked as well
        return []
    fields = (line.split(":", 2) for line in lines if line.count(":") >= 2)
    return [group.rstrip("/") for _, tree, group in fields if tree in _BY_SYSTEMD]


def _nobody(_event: AuditEvent) -> bool:
    return False


@lru_cache(maxsize=256)
def _user_name(uid: int) -> str:
    try:
        return f"{pwd.getpwuid(uid).pw_name} ({uid})"
    except (KeyError, OverflowError):
        return str(uid)


def _web_users() -> frozenset[int]:
    found = set()
    for name in WEB_USERS:
        with contextlib.suppress(KeyError):
            found.add(pwd.getpwnam(name).pw_uid)
    return frozenset(found)


def _now() -> str:
    return moments.write(datetime.now(UTC))  # noqa: TID251 - this is the edge where time comes in


def _end(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    os.umask(0o027)
    sys.exit(main())
