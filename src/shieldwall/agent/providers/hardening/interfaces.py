"""Values that every network interface has for itself. Interfaces come and go, so these are no files to be declared.

What stood there before is written down first, in a file of our own, and given back from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Final

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.ports import Host
from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.strict_json import decode_any, encode

BEFORE: Final = PurePosixPath("/var/lib/shieldwall-applier/interface-values.json")
"""What the values of interfaces were, by their path."""

_SYSCTL: Final = PurePosixPath("/proc/sys")
_GENERAL: Final = frozenset({"all", "default"})
_ON: Final = b"1\n"
_OFF: Final = b"0\n"


def switch_off(host: Host, patterns: Iterable[str]) -> None:
    """Make values like ``net/ipv4/conf/*/accept_redirects`` 0 for every interface, and give back all others.

    Raises:
        HostError: A value cannot be written; what stood before is written down already.
    """
    before = dict(_before(host))
    wanted = set(found(host, patterns))
    on = {path for path in wanted if host.read_file(path) not in {_OFF, None}}
    kept = {path: text for path, text in before.items() if PurePosixPath(path) in wanted}
    kept |= {str(path): (host.read_file(path) or _ON).decode() for path in on if str(path) not in kept}
    if kept | before != before:
        host.write_file(BEFORE, encode(kept | before), mode=0o600)
    for path in sorted(on):
        _set(host, path, _OFF)
    for name in sorted(before.keys() - kept.keys()):
        _set(host, PurePosixPath(name), before[name].encode())
    if kept != before or not kept:
        host.write_file(BEFORE, encode(kept) if kept else None, mode=0o600)


def still_on(host: Host, patterns: Iterable[str]) -> tuple[PurePosixPath, ...]:
    """Return the values of interfaces that are not 0."""
    return tuple(path for path in found(host, patterns) if host.read_file(path) not in {_OFF, None})


def found(host: Host, patterns: Iterable[str]) -> tuple[PurePosixPath, ...]:
    """Return the paths of these values for every interface that is there."""
    paths: list[PurePosixPath] = []
    for pattern in patterns:
        above, _, below = pattern.partition("/*/")
        located = host.locate(_SYSCTL / above)
        names = sorted(entry.name for entry in located.iterdir()) if located.is_dir() else []
        paths += [_SYSCTL / above / name / below for name in names if name not in _GENERAL]
    return tuple(paths)


def _set(host: Host, path: PurePosixPath, value: bytes) -> None:
    """Set a value, unless its interface went away, now or in this very moment. Raises: HostError."""
    try:
        if host.read_file(path) is not None:
            host.write_file(path, value)
    except HostError:
        if host.read_file(path) is not None:
            raise


def _before(host: Host) -> Mapping[str, str]:
    content = host.read_file(BEFORE)
    if content is None:
        return {}
    try:
        return {str(path): str(value) for path, value in decode_any(content).items()}
    except (InvalidJsonError, AttributeError) as error:
        raise HostError(f"{BEFORE} is damaged, so what interfaces held before is not known ({error}).") from error
