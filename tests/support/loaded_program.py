"""A program that loads its modules once and then runs as often as it is asked to, each time in a process of its own.

What a command does takes a tenth of a second, and loading what it is made of three times that; tests run hundreds of
them. Such a run has its own arguments, environment, files and end, as one that was started has.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any, Final, NoReturn

_RUN: Final = "from tests.support.loaded_program import serve; serve({}, {!r}, {}, {})()"
_MOST_BYTES: Final = 131_072
_SECONDS: Final = 60


class LoadedProgram:
    """Starts what ``main``, a ``module:function``, does."""

    def __init__(
        self,
        main: str,
        environment: Mapping[str, str],
        *,
        rehearsed: Sequence[str],
        besides: str,
        within: Sequence[str] = (),
    ) -> None:
        """``environment`` holds while it loads; each run has its own.

        What the words ``rehearsed`` need is loaded, however that ends, and the modules that are named ``besides``.
        ``within`` are words before its command: those that lead into a network namespace, say.
        """
        self._loading = (main, list(rehearsed), besides.split())
        self._environment = environment
        self._within = within
        self._asked: socket.socket | None = None
        self._loaded: subprocess.Popen[bytes] | None = None

    def __call__(
        self, words: Sequence[str], environment: Mapping[str, str], stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end. Raises: TimeoutError: it did not end within a minute, and was killed."""
        files = [os.memfd_create(name) for name in ("stdin", "stdout", "stderr")]
        os.pwrite(files[0], stdin.encode(), 0)
        run = self.start(words, environment, files)
        try:
            status = run.wait(_SECONDS)
        except TimeoutError:
            run.send_signal(signal.SIGKILL)
            raise
        _, stdout, stderr = (_content(each) for each in files)
        return subprocess.CompletedProcess(list(words), status, stdout, stderr)

    def start(self, words: Sequence[str], environment: Mapping[str, str], files: Sequence[int]) -> Run:
        """Begin to run it, with these files for its standard input, output and errors."""
        if self._asked is None:
            self._asked = self._load()
        here, there = socket.socketpair()
        request = json.dumps({"words": words, "environment": dict(environment), "directory": str(Path.cwd())})
        with there:
            socket.send_fds(self._asked, [request.encode()], [*files, there.fileno()])
        return Run(here)

    def end(self) -> None:
        """Let go of what was loaded; another run loads it again."""
        if self._asked is not None and self._loaded is not None:
            self._asked.close()
            self._loaded.wait()
            self._asked = None

    def _load(self) -> socket.socket:
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with there:
            self._loaded = subprocess.Popen(
                [*self._within, sys.executable, "-c", _RUN.format(there.fileno(), *self._loading)],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[there.fileno()],
            )
        atexit.register(self.end)
        return here


class Run:
    """One process of a loaded program, of which its keeper tells: its process id, then its exit status."""

    def __init__(self, keeper: socket.socket) -> None:
        self._keeper = keeper
        self._told = keeper.makefile("r")
        self.pid = int(self._told.readline())

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def wait(self, seconds: float) -> int:
        """Return its exit status, once. Raises: TimeoutError: it did not end within so many seconds."""
        self._keeper.settimeout(seconds)
        with self._keeper, self._told:
            return int(self._told.readline())


def _content(file: int) -> str:
    with open(file, newline=None) as stream:
        stream.seek(0)
        return stream.read()


def serve(asked: int, main: str, rehearsed: Sequence[str], besides: Sequence[str]) -> Callable[[], Any]:
    """Load ``main``, and return it in each process that shall run it; end once nobody can ask any more."""
    module, name = main.split(":")
    found: Callable[[], Any] = getattr(import_module(module), name)
    for each in besides:
        import_module(each)
    _rehearse(found, rehearsed)
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for keepers
    with socket.socket(fileno=asked) as requests:
        while True:
            request, files, _, _ = socket.recv_fds(requests, _MOST_BYTES, 4)
            if not request:
                sys.exit()
            if os.fork() == 0:
                break
            for file in files:
                os.close(file)
    return _keep(found, json.loads(request), files)


def _rehearse(main: Callable[[], Any], words: Sequence[str]) -> None:
    sys.argv = ["-c", *words]
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()), suppress(SystemExit):
        main()


def _keep(main: Callable[[], Any], request: Mapping[str, Any], files: Sequence[int]) -> Callable[[], Any]:
    """Return in the process that runs ``main``; the other one waits for its end and tells the status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    *streams, told = files
    process = os.fork()
    if process:
        _tell_end(process, told)
    os.close(told)
    for number, file in enumerate(streams):
        os.dup2(file, number)
        os.close(file)
    os.chdir(request["directory"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = ["-c", *request["words"]]
    return main


def _tell_end(process: int, told: int) -> NoReturn:
    os.write(told, f"{process}\n".encode())
    _, status = os.waitpid(process, 0)
    os.write(told, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)
