"""Files that the kernel shows below ``/proc`` and ``/sys``: written in place, for they are values and not contents.

A temporary file beside them cannot be made and a rename cannot replace them, and neither is needed: the kernel takes a
value whole or refuses it.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path, PurePosixPath
from typing import Final

from shieldwall.agent.host.errors import HostError

_KERNEL: Final = (("/", "proc"), ("/", "sys"))
_REASONS: Final = {
    errno.EINVAL: "the kernel does not take this value, or does not take it any more before a restart",
    errno.EPERM: "the kernel does not let this value be changed",
    errno.EROFS: "the file system of the kernel's values is read-only here, as in a container",
}


class KernelValueError(HostError):
    """The kernel did not take a value."""

    code = "kernelValueRefused"
    remedy = "Some values hold until the next restart; in a container they belong to the host."


def is_kernel_file(path: PurePosixPath) -> bool:
    """Say whether a path of the managed system is a value of its kernel."""
    return path.parts[:2] in _KERNEL


def shown(path: Path) -> str:
    """Return what the kernel shows as text, every character as it stands; its lines end with line feeds alone.

    Whoever names a folder, a stick or a library writes into lists of the kernel, and a line feed is all of a name that
    it keeps from ending a line. A file read as text has lines that end at carriage returns as well, and
    ``str.splitlines`` knows eight characters more: what has such a name would be seen by nobody.

    Raises:
        OSError: It cannot be read.
    """
    return os.fsdecode(path.read_bytes())


def is_read_only(path: Path) -> bool:
    """Say whether a value is shown and can be changed by nobody here, as in most containers."""
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def write_value(path: Path, content: bytes | None) -> None:
    """Hand a value to the kernel; nothing is made and nothing removed.

    Raises:
        KernelValueError: There is no such value, it cannot be taken away, or the kernel refuses.
    """
    if content is None:
        if path.exists():
            raise KernelValueError(f"{path} is a value of the kernel and cannot be removed.")
        return
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            # One write: the kernel reads a value from a single call.
            written = os.write(descriptor, content)
            if path.is_file() and not _on_kernel_file_system(descriptor):
                os.ftruncate(descriptor, written)  # a pretended kernel, in a root that holds files alone
        finally:
            os.close(descriptor)
    except OSError as error:
        reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
        raise KernelValueError(
            f"{path} could not be set to {content.decode(errors='replace').strip()!r}: {reason}."
        ) from error


def _on_kernel_file_system(descriptor: int) -> bool:
    """Say whether a file has no blocks of its own, as all that the kernel makes up when asked."""
    return os.fstatvfs(descriptor).f_blocks == 0
