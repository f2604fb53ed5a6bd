"""``python -m shieldwall.agent.firewall_log DIRECTORY SCRIPT ZONE:GROUP:KIB …``: listen to groups, write the logs."""

from __future__ import annotations

import select
import signal
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from shieldwall.agent.firewall_log.entries import entry, names_in
from shieldwall.agent.firewall_log.files import BoundedLog
from shieldwall.agent.firewall_log.netlink import Listener
from shieldwall.contract.clock import Clock

_USAGE: Final = "usage: python -m shieldwall.agent.firewall_log DIRECTORY SCRIPT ZONE:GROUP:KIB …"


class SystemClock:
    """The time of the machine."""

    def now(self) -> datetime:
        """Return the moment, in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - this is the edge where time comes in


def main(arguments: Sequence[str]) -> int:
    """Write until a signal ends it."""
    try:
        directory, script, *zones = arguments
        wanted = [(zone, int(group), int(kib)) for zone, group, kib in (text.split(":") for text in zones)]
    except ValueError:
        sys.stderr.write(f"{_USAGE}\n")
        return 2
    Path(directory).mkdir(mode=0o750, parents=True, exist_ok=True)
    logs = {group: BoundedLog(Path(directory) / f"firewall-{zone}.log", kib * 1024) for zone, group, kib in wanted}
    listener = Listener(tuple(logs))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    sys.stderr.write("listening\n")
    _write(listener, logs, Names(Path(script)), SystemClock())
    return 0


class Names:
    """What the rules are called, read again whenever the script is another one."""

    def __init__(self, script: Path) -> None:
        """Read nothing yet."""
        self._script = script
        self._seen: tuple[int, int] | None = None
        self._names: Mapping[str, str] = {}

    def now(self) -> Mapping[str, str]:
        """Return the names by the ids of rules; none without a script, which is better than no log."""
        try:
            found = self._script.stat()
            if (found.st_ino, found.st_mtime_ns) != self._seen:
                self._names = names_in(self._script.read_text(encoding="utf-8", errors="replace"))
                self._seen = (found.st_ino, found.st_mtime_ns)
        except OSError:
            self._names, self._seen = {}, None
        return self._names


def _write(listener: Listener, logs: Mapping[int, BoundedLog], names: Names, clock: Clock) -> None:
    """Write what is heard. A full disk loses lines and ends nothing: it may have room again."""
    full = False
    while True:
        select.select([listener], [], [])
        called = names.now()
        for note in listener.notes():
            try:
                if note.group in logs:
                    logs[note.group].write(entry(note, clock.now(), called))
                full = False
            except OSError as error:
                if not full:
                    sys.stderr.write(f"The log cannot be written: {error}.\n")
                full = True


def _end(_number: int, _frame: object) -> None:
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
