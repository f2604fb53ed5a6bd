"""Running a program to its end: cleared environment, bounded time, bounded output, nothing left running."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess  # noqa: TID251 - the edge shell: the one place where the agent starts programs
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import IO, Any, Final

from shieldwall.agent.host.errors import ProgramError
from shieldwall.agent.host.ports import Completed

MAX_OUTPUT_BYTES: Final = 16 * 1024 * 1024
_CHUNK: Final = 65_536
_KILLED_SECONDS: Final = 5.0
"""A killed program ends at once, but for one that waits for a file system which does not answer."""


if sys.platform == "win32":
    _SYSTEM: Final = os.environ.get("SystemRoot", r"C:\Windows")  # noqa: SIM112 - as the system spells it
    HOME: Final = _SYSTEM
    ENVIRONMENT: Final = {
        "SystemRoot": _SYSTEM,
        "windir": _SYSTEM,
        "SystemDrive": _SYSTEM[:2],
        "PATH": rf"{_SYSTEM}\System32;{_SYSTEM};{_SYSTEM}\System32\Wbem;{_SYSTEM}\System32\WindowsPowerShell\v1.0",
        "PATHEXT": ".COM;.EXE",
        "ProgramData": os.environ.get("ProgramData", r"C:\ProgramData"),  # noqa: SIM112 - as above
        "ProgramFiles": os.environ.get("ProgramFiles", r"C:\Program Files"),  # noqa: SIM112 - as above
        "TEMP": rf"{_SYSTEM}\Temp",
        "TMP": rf"{_SYSTEM}\Temp",
    }
    OWN_GROUP: Final[Mapping[str, Any]] = {
        "creationflags": subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
    }
else:
    HOME: Final = "/"
    ENVIRONMENT: Final = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": HOME}
    OWN_GROUP: Final[Mapping[str, Any]] = {"start_new_session": True}
"""ENVIRONMENT is all that a program gets to see; what the agent was started with stays outside. OWN_GROUP makes its
children end with it."""


def run_to_end(command: Sequence[str], *, stdin: bytes, timeout_seconds: float) -> Completed:
    """Run ``command``. Raises: ProgramError when it cannot start, says too much or does not end in time."""
    try:
        process = subprocess.Popen(  # noqa: S603 - a list of words from providers, never a shell line
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT,
            cwd=HOME,
            close_fds=True,
            **OWN_GROUP,
        )
    except OSError as error:
        raise ProgramError(f"{command[0]} cannot be started: {error.strerror}.") from error
    try:
        stdout, stderr = _talk(process, stdin, time.monotonic() + timeout_seconds)
        return Completed(returncode=process.returncode, stdout=stdout, stderr=stderr)
    except TimeoutError:
        _kill(process)
        raise ProgramError(f"{command[0]} did not end within {timeout_seconds:g} seconds.") from None
    except OverflowError:
        _kill(process)
        raise ProgramError(f"{command[0]} printed more than {MAX_OUTPUT_BYTES} bytes.") from None
    except BaseException:
        _kill(process)
        raise
    finally:
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                _close(pipe)


def _left(deadline: float) -> float:
    if (left := deadline - time.monotonic()) <= 0:
        raise TimeoutError
    return left


def _close(pipe: IO[bytes]) -> None:
    with contextlib.suppress(BrokenPipeError):
        pipe.close()


if sys.platform == "win32":

    def _talk(process: subprocess.Popen[bytes], stdin: bytes, deadline: float) -> tuple[bytes, bytes]:
        """Talk by threads: pipes of Windows cannot be waited for together."""
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        heard: dict[IO[bytes], bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
        too_much = threading.Event()

        def hear(stream: IO[bytes]) -> None:
            while chunk := os.read(stream.fileno(), _CHUNK):
                heard[stream] += chunk
                if len(heard[stream]) > MAX_OUTPUT_BYTES:
                    too_much.set()
                    _kill(process)
                    return

        def say(stream: IO[bytes]) -> None:
            with contextlib.suppress(
                OSError
            ):  # it does not want to hear the rest; its exit code says whether that is fine
                stream.write(stdin)
            with contextlib.suppress(OSError):
                stream.close()

        threads = [threading.Thread(target=hear, args=(stream,), daemon=True) for stream in heard]
        threads.append(threading.Thread(target=say, args=(process.stdin,), daemon=True))
        for thread in threads:
            thread.start()
        try:
            process.wait(_left(deadline))
        except subprocess.TimeoutExpired:
            raise TimeoutError from None
        for thread in threads:
            thread.join(_left(deadline))
        if too_much.is_set():
            raise OverflowError
        return bytes(heard[process.stdout]), bytes(heard[process.stderr])

    def _kill(process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(OSError):
            process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_KILLED_SECONDS)

else:

    def _talk(process: subprocess.Popen[bytes], stdin: bytes, deadline: float) -> tuple[bytes, bytes]:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        heard: dict[IO[bytes], bytearray] = {process.stdout: bytearray(), process.stderr: bytearray()}
        unsent = memoryview(stdin)
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdin, selectors.EVENT_WRITE)
            for stream in heard:
                selector.register(stream, selectors.EVENT_READ)
            os.set_blocking(process.stdin.fileno(), False)
            while selector.get_map():
                ready = selector.select(_left(deadline))
                for key, _ in ready:
                    if key.fileobj is process.stdin:
                        unsent = _send(process.stdin, unsent)
                        if not unsent:
                            selector.unregister(process.stdin)
                            _close(process.stdin)
                        continue
                    stream = process.stdout if key.fileobj is process.stdout else process.stderr
                    chunk = os.read(stream.fileno(), _CHUNK)
                    heard[stream] += chunk
                    if not chunk:
                        selector.unregister(stream)
                    if len(heard[stream]) > MAX_OUTPUT_BYTES:
                        raise OverflowError
        try:
            process.wait(_left(deadline))
        except subprocess.TimeoutExpired:
            raise TimeoutError from None
        return bytes(heard[process.stdout]), bytes(heard[process.stderr])

    def _send(pipe: IO[bytes], unsent: memoryview) -> memoryview:
        if not unsent:
            return unsent
        try:
            return unsent[os.write(pipe.fileno(), unsent[:_CHUNK]) :]
        except BlockingIOError:
            return unsent
        except BrokenPipeError:  # it does not want to hear the rest; its exit code says whether that is fine
            return unsent[:0]

    def _kill(process: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):  # it ends with what it waits for
            process.wait(_KILLED_SECONDS)
