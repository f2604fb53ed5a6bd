"""The file from which the kernel's values come at a restart, and the later files of others that would undo it.

All files of all directories are read in the order of their names, and the last word on a value stands (sysctl.d(5)).
Debian's ``99-sysctl.conf`` is ``/etc/sysctl.conf``, so ours has to come after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Final

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.ports import Host

SYSCTL_FILE: Final = PurePosixPath("/etc/sysctl.d/99-zz-shieldwall.conf")

_HEADING: Final = (
    "# Written by shieldwall-agent; a change made here is put back. A leading - passes over what is missing.\n"
)
_DIRECTORIES: Final = tuple(
    map(PurePosixPath, ("/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d"))
)


def sysctl_file(values: Mapping[str, str]) -> bytes:
    """Write values, by their path below ``/proc/sys``."""
    return (_HEADING + "".join(f"-{_key(name)} = {value}\n" for name, value in values.items())).encode()


def values_in(content: bytes | None) -> Mapping[str, str]:
    """Read a file of sysctl.d: the last word on each value, by its path below ``/proc/sys``."""
    values: dict[str, str] = {}
    for line in (content or b"").decode(errors="replace").splitlines():
        text = line.strip()
        name, equals, value = text.partition("=")
        if equals and not text.startswith(("#", ";")):
            values[_name(name.strip().removeprefix("-").strip())] = value.strip()
    return values


def later_words(host: Host, names: Iterable[str]) -> Mapping[str, tuple[PurePosixPath, str]]:
    """Return what files that are read after ours say about some values, and which file it is."""
    wanted = set(names)
    said: dict[str, tuple[PurePosixPath, str]] = {}
    for path in _later_files(host):
        try:
            values = values_in(host.read_file(path))
        except HostError:
            continue
        said.update({name: (path, value) for name, value in values.items() if name in wanted})
    return said


def _later_files(host: Host) -> Iterable[PurePosixPath]:
    found: dict[str, PurePosixPath] = {}
    for directory in _DIRECTORIES:
        located = host.locate(directory)
        names = [entry.name for entry in located.iterdir()] if located.is_dir() else []
        for name in names:
            if name.endswith(".conf") and name > SYSCTL_FILE.name:
                found.setdefault(name, directory / name)  # of one name the first directory counts
    return (found[name] for name in sorted(found))


def _key(name: str) -> str:
    return name.replace("/", ".")


def _name(key: str) -> str:
    """Bring a key into its form with slashes; whichever separator comes first is the one (sysctl.d(5))."""
    slash, dot = key.find("/"), key.find(".")
    return key if slash != -1 and (dot == -1 or slash < dot) else key.replace(".", "/")
