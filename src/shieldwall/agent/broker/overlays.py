"""Does the kernel tell of the real file, when a file of an overlay is opened?

Since Linux 6.5 it does; before, whoever watches the file systems below an overlay sees nothing of what is opened in it,
and the overlay has to be watched itself. Vendors move such changes into older kernels, so the version says little: it
is tried, on a tmpfs in a mount namespace of its own. ``python -m shieldwall.agent.broker.overlays`` is that trial.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path
from typing import Final

from shieldwall.agent.broker.fanotify import Group
from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.processes import run_to_end
from shieldwall.contract.errors import ShieldwallError

_TOLD: Final = 0
_NOT_TOLD: Final = 10
_FAILED: Final = 11
_SECONDS: Final = 20.0
_CLONE_NEWNS: Final = 0x20000
_MS_REC_PRIVATE: Final = 0x4000 | 0x40000
_PLACE: Final = Path("/run")
"""Covered in the namespace of the trial alone."""

_libc: Final = ctypes.CDLL(None, use_errno=True)


def tells_of_layers() -> bool | None:
    """Try it in a process of its own; ``None`` where it cannot be tried."""
    command = [sys.executable, "-I", "-m", "shieldwall.agent.broker.overlays"]
    try:
        done = run_to_end(command, stdin=b"", timeout_seconds=_SECONDS)
    except HostError:
        return None
    return {_TOLD: True, _NOT_TOLD: False}.get(done.returncode)


def main() -> int:
    """Try it, and say by the exit code what came of it."""
    try:
        return _TOLD if _tried() else _NOT_TOLD
    except (OSError, ShieldwallError) as error:
        sys.stderr.write(f"It cannot be tried: {error}\n")
        return _FAILED


def _tried() -> bool:
    if _libc.unshare(_CLONE_NEWNS) != 0:
        raise _error()
    _mount("none", Path("/"), None, _MS_REC_PRIVATE)
    _mount("tmpfs", _PLACE, "tmpfs")
    lower, upper, work, merged = (_PLACE / name for name in ("lower", "upper", "work", "merged"))
    for folder in (lower, upper, work, merged):
        folder.mkdir()
    (lower / "file").write_bytes(b"x")
    _mount("overlay", merged, "overlay", options=f"lowerdir={lower},upperdir={upper},workdir={work}")
    group = Group()
    group.notice(str(_PLACE))
    os.close(os.open(merged / "file", os.O_RDONLY))
    return any(group.events())


def _mount(source: str, target: Path, kind: str | None, flags: int = 0, options: str | None = None) -> None:
    words = (None if word is None else os.fsencode(word) for word in (source, target, kind))
    if _libc.mount(*words, ctypes.c_ulong(flags), None if options is None else os.fsencode(options)) != 0:
        raise _error()


def _error() -> OSError:
    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))


if __name__ == "__main__":
    sys.exit(main())
