"""A process that gives up rights for good: no new privileges, and with Landlock no files but those it needs.

The service manager takes away more, where there is one (system calls among it). What a process does itself holds also
where nobody set it up well. Landlock: https://docs.kernel.org/userspace-api/landlock.html; numbers are those of
``linux/landlock.h`` and of the unified system call table.
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from msgspec import Struct

from shieldwall.contract.errors import ShieldwallError

_PR_SET_NO_NEW_PRIVS: Final = 38
_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
_ASK_VERSION: Final = 1
_PATH_BENEATH: Final = 1

_EXECUTE: Final = 1 << 0
_WRITE_FILE: Final = 1 << 1
_READ_FILE: Final = 1 << 2
_READ_DIR: Final = 1 << 3
_CHANGE_TREE: Final = sum(1 << bit for bit in range(4, 13))
"""Remove and make files, directories, links, pipes, sockets and devices."""
_REFER: Final = 1 << 13
_TRUNCATE: Final = 1 << 14
_READ: Final = _READ_FILE | _READ_DIR
_OF_FILES: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
"""What may be said of a single file; the rest is about directories."""
_BIND_TCP: Final = 1 << 0
_SCOPE_ABSTRACT_SOCKETS: Final = 1 << 0
_SCOPE_SIGNALS: Final = 1 << 1
_NET_SINCE: Final = 4
_SCOPES_SINCE: Final = 6


class SandboxError(ShieldwallError):
    """The kernel refused to take rights away although it can."""

    code = "sandboxFailed"
    remedy = "Look whether the unit of the agent was changed; report it with the cause given."


class _RulesetAttributes(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


class Files(Struct, frozen=True, kw_only=True):
    """What may be read, run and written, each with everything below it. Paths that are not there are passed over."""

    read: tuple[Path, ...] = ()
    run: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()


def refuse_new_privileges() -> None:
    """From now on no program started from here gains rights, setuid or not. Raises: SandboxError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise SandboxError(f"no_new_privs: {os.strerror(ctypes.get_errno())}.")


def landlock_version() -> int:
    """Return which Landlock this kernel offers, 0 where it offers none or has it switched off."""
    return max(_syscall(_CREATE_RULESET, None, 0, _ASK_VERSION), 0)


def confine(files: Files) -> int:
    """Let this process touch no files but these, listen on no TCP port and signal no other process, for good.

    Returns the version of Landlock that holds, 0 where the kernel has none and nothing was done.

    Raises:
        SandboxError: The kernel has Landlock and refuses.
    """
    refuse_new_privileges()
    version = landlock_version()
    if version == 0:
        return 0
    handled = _handled(version)
    attributes = _RulesetAttributes(
        files=handled,
        net=_BIND_TCP if version >= _NET_SINCE else 0,
        scopes=_SCOPE_ABSTRACT_SOCKETS | _SCOPE_SIGNALS if version >= _SCOPES_SINCE else 0,
    )
    ruleset = _syscall(_CREATE_RULESET, ctypes.byref(attributes), ctypes.sizeof(attributes), 0)
    if ruleset < 0:
        raise SandboxError(f"landlock_create_ruleset: {os.strerror(ctypes.get_errno())}.")
    try:
        _allow(ruleset, files.read, _READ & handled)
        _allow(ruleset, files.run, (_READ | _EXECUTE) & handled)
        _allow(ruleset, files.write, handled & ~_EXECUTE)
        if _syscall(_RESTRICT_SELF, ruleset, 0) != 0:
            raise SandboxError(f"landlock_restrict_self: {os.strerror(ctypes.get_errno())}.")
    finally:
        os.close(ruleset)
    return version


def agent_files(state: Path, *, runtime: Path, own: Iterable[Path] = ()) -> Files:
    """Say what the agent needs: its code, name service and certificates to read, its state and the socket to write.

    ``own`` are files it was told to use, such as the key of a registration that the machine has.
    """
    code = (sys.prefix, sys.base_prefix, sys.exec_prefix, *sys.path)
    system = ("/usr", "/lib", "/lib64", "/bin", "/etc", "/proc", "/sys", "/dev/urandom", "/dev/random", "/dev/null")
    names = ("/run/systemd/resolve", "/run/resolvconf", "/run/nscd", "/run/NetworkManager", "/var/lib/sss")
    return Files(
        read=tuple(Path(each) for each in (*code, *system, *names) if each) + tuple(path.parent for path in own),
        run=(Path("/usr/lib"), Path("/lib"), Path("/lib64"), Path(sys.prefix), Path(sys.base_prefix)),
        write=(state, runtime, Path("/dev/tpmrm0"), Path("/dev/tpm0"), Path("/dev/null")),
    )


def _handled(version: int) -> int:
    handled = _EXECUTE | _WRITE_FILE | _READ | _CHANGE_TREE
    if version >= 2:
        handled |= _REFER
    if version >= 3:
        handled |= _TRUNCATE
    return handled


def _allow(ruleset: int, paths: Iterable[Path], access: int) -> None:
    for path in paths:
        try:
            parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            is_directory = stat.S_ISDIR(os.fstat(parent).st_mode)
            rule = _PathBeneath(allowed=access if is_directory else access & _OF_FILES, parent=parent)
            if _syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0) != 0:
                raise SandboxError(f"landlock_add_rule for {path}: {os.strerror(ctypes.get_errno())}.")
        finally:
            os.close(parent)


def _syscall(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    converted = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    return int(libc.syscall(ctypes.c_long(number), *converted))
