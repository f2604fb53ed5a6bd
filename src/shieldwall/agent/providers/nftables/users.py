"""The numbers of users whom rules name, wherever a machine knows them from."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from pathlib import PurePosixPath
from typing import Final

from shieldwall.agent.host.facts import read_text
from shieldwall.agent.host.ports import Host

_SOURCES: Final = PurePosixPath("/etc/nsswitch.conf")
_USERS: Final = PurePosixPath("/etc/passwd")


def user_numbers(host: Host, users: AbstractSet[str]) -> dict[str, int]:
    """Return the numbers of users by their names; unknown ones are left out. Raises: HostError."""
    getent = host.find_program("getent")
    numbers = _first_asked(host, users)
    for user in sorted(users - numbers.keys()):
        completed = host.run([getent, "passwd", user]) if getent is not None else None
        fields = completed.stdout.decode(errors="replace").split("\n")[0].split(":") if completed else []
        if completed is not None and completed.returncode == 0 and len(fields) > 2 and fields[2].isdecimal():
            numbers[user] = int(fields[2])
    return dict(sorted(numbers.items()))


def _first_asked(host: Host, users: AbstractSet[str]) -> dict[str, int]:
    """Look users up in ``/etc/passwd``, where a machine asks that before all else and believes it (nsswitch.conf(5)).

    Those who stand there are who ``getent`` would say, and take no program every minute.
    """
    said = [line.partition("#")[0].split() for line in read_text(host, _SOURCES).splitlines()] if users else []
    sources = [rule[1:] for rule in said if rule[:1] == ["passwd:"]]
    if len(sources) != 1 or sources[0][:1] != ["files"] or "[" in "".join(sources[0]):
        return {}
    numbers: dict[str, int] = {}
    for line in read_text(host, _USERS).splitlines():
        name, *fields = line.split(":", 3)
        if name in users and len(fields) > 1 and fields[1].isdecimal():
            numbers.setdefault(name, int(fields[1]))
    return numbers
