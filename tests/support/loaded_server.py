"""A whole server whose processes are not started but forked: from one that has loaded everything and made the routes.

Four processes load for six seconds before they serve for one test file. These have process ids, ends and signals of
their own, and run the very modules that are started otherwise; what they are told on a command line they are told too.
Tests of starting, killing and replacing processes start the real ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import runpy
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO, Final, NoReturn, cast

from litestar import Litestar
from tests.support.loaded_program import LoadedProgram

from shieldwall.cli import shieldwall
from shieldwall.server import main as server
from shieldwall.server.processes import supervise

_LOADED: Final = LoadedProgram(
    "tests.support.loaded_server:main", os.environ, rehearsed=["server", "run", "--help"], besides=""
)
_MODULES: Final = (
    *(f"shieldwall.server.processes.{name}_process" for name in ("admin", "gateway", "targeting")),
    "shieldwall.server.signer.process",
)
_create_routes: Final = server.create_admin_routes


@contextlib.contextmanager
def serving(data: Path, log: IO[str], *, end: int = signal.SIGTERM) -> Iterator[str]:
    """Run the server in a directory until the block ends; tells the first line that it says once it is ready."""
    here, there = os.pipe()
    with Path(os.devnull).open() as nothing, os.fdopen(here) as told:
        run = _LOADED.start(["server", "run", "--data", str(data)], os.environ, [nothing.fileno(), there, log.fileno()])
        os.close(there)
        try:
            yield told.readline()
        finally:
            with contextlib.suppress(ProcessLookupError):  # it could not start
                run.send_signal(end)
            run.wait(60)


def main() -> None:
    """Be the command line, ``server run`` of which forks."""
    routes = _routes()
    gc.enable()
    server.create_admin_routes = lambda: routes
    supervise._start = _start
    shieldwall.main()


@cache
def _routes() -> Litestar:
    """Load what the processes are made of, in the process that all of them are forked from."""
    for module in _MODULES:
        import_module(module)
    return _create_routes()


class _Forked:
    """What a supervisor knows of a process of its own (``asyncio.subprocess.Process``)."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = asyncio.Event()
        handle = os.pidfd_open(pid)
        asyncio.get_running_loop().add_reader(handle, self._end, handle)

    def _end(self, handle: int) -> None:
        asyncio.get_running_loop().remove_reader(handle)
        os.close(handle)
        _, status = os.waitpid(self.pid, 0)
        self.returncode = os.waitstatus_to_exitcode(status)
        self._ended.set()

    async def wait(self) -> int | None:
        await self._ended.wait()
        return self.returncode

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


async def _start(plan: supervise.ProcessPlan) -> supervise._Running:
    _, _, module, *words = plan.command
    begin_as_child = supervise._end_with_parent(os.getpid())
    pid = os.fork()
    if pid == 0:
        _run(module, words, begin_as_child)
    return supervise._Running(plan=plan, process=cast("asyncio.subprocess.Process", _Forked(pid)))


def _run(module: str, words: Sequence[str], begin_as_child: Callable[[], None]) -> NoReturn:
    status = 1
    try:
        begin_as_child()
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(nothing, 1)
        os.closerange(3, 4096)  # what is open there belongs to the supervisor: its loop, its locks
        sys.argv = [module, *words]
        sys.modules.pop(module, None)  # or Python warns that it is there under two names
        runpy.run_module(module, run_name="__main__")
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - said, and this process ends
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)
