"""Tests that hold opens of files, in namespaces of their own: nothing of the machine's can ever wait for them.

The body of such a test runs in a child with private mounts, a private ``/proc`` and process numbers of its own. It gets
a fresh tmpfs to work in, and only there may it watch anything. When the child ends, or is killed because it took too
long, the kernel ends every process that it started, and whoever waited goes on.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import select
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NoReturn

CLONE_NEWNS: Final = 0x00020000
CLONE_NEWPID: Final = 0x20000000
_libc: Final = ctypes.CDLL(None, use_errno=True)


def in_private_mounts(*, seconds: float = 90.0) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Run a test, which takes a directory, on a tmpfs of its own; kill everything after ``seconds``."""

    def decorate(body: Callable[..., None]) -> Callable[..., None]:
        def test(**parameters: Any) -> None:
            _run(body, parameters, seconds)

        test.__name__, test.__doc__, test.__module__ = body.__name__, body.__doc__, body.__module__
        test.__dict__.update(body.__dict__)  # the marks
        names = [name for name in body.__code__.co_varnames[: body.__code__.co_argcount] if name != "directory"]
        if names:
            import inspect  # noqa: PLC0415 - only for tests with parameters

            kind = inspect.Parameter.KEYWORD_ONLY
            test.__signature__ = inspect.Signature([inspect.Parameter(n, kind) for n in names])  # type: ignore[attr-defined]
        else:
            return _without_parameters(test)
        return test

    return decorate


def _without_parameters(test: Callable[..., None]) -> Callable[[], None]:
    def plain() -> None:
        test()

    plain.__name__, plain.__doc__, plain.__module__ = test.__name__, test.__doc__, test.__module__
    plain.__dict__.update(test.__dict__)
    return plain


def _run(body: Callable[..., None], parameters: dict[str, Any], seconds: float) -> None:
    directory = Path(tempfile.mkdtemp(prefix="held-")).resolve()  # a short name, because sockets need one
    said = tempfile.TemporaryFile()  # noqa: SIM115 - closed below, written by the child
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        _in_child(body, parameters, directory, said.fileno(), seconds)
    try:
        handle = os.pidfd_open(child)
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        if not poll.poll((seconds + 20) * 1000):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        os.close(handle)
        said.seek(0)
        words = said.read().decode(errors="replace")
        assert os.waitstatus_to_exitcode(status) == 0, f"{words}\n(exit {os.waitstatus_to_exitcode(status)})"
    finally:
        said.close()
        directory.rmdir()


def _in_child(
    body: Callable[..., None], parameters: dict[str, Any], directory: Path, said: int, seconds: float
) -> NoReturn:
    """Make the namespaces; process numbers begin anew with the grandchild."""
    code = 1
    try:
        _unshare(CLONE_NEWNS)
        _mount("--make-rprivate", "/")
        _mount("-t", "tmpfs", "-o", "mode=0755", "held", str(directory))
        _unshare(CLONE_NEWPID)  # the next child is the first process there
        first = os.fork()
        if first == 0:
            _first_process(body, parameters, directory, said)
        handle = os.pidfd_open(first)
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        if not poll.poll(seconds * 1000):
            os.write(said, b"It took too long.\n")
            signal.pidfd_send_signal(handle, signal.SIGUSR1)  # says where it stands
            poll.poll(1000)
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        _, status = os.waitpid(first, 0)
        code = 0 if os.waitstatus_to_exitcode(status) == 0 else 1
    except BaseException:  # noqa: BLE001 - told to the parent, whatever it is
        os.write(said, traceback.format_exc().encode())
    finally:
        os._exit(code)


def _first_process(body: Callable[..., None], parameters: dict[str, Any], directory: Path, said: int) -> NoReturn:
    code = 1
    try:
        _mount("-t", "proc", "proc", "/proc")
        faulthandler.register(signal.SIGUSR1, file=said, all_threads=True)
        body(directory=directory, **parameters)
        code = 0
    except BaseException:  # noqa: BLE001 - told to the parent, whatever it is
        os.write(said, traceback.format_exc().encode())
    finally:
        os._exit(code)


def _unshare(what: int) -> None:
    if _libc.unshare(what) != 0:
        raise OSError(ctypes.get_errno(), "unshare")


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True, timeout=20)
