"""One agent process at a time works in a state directory; the others can see who it is."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.service.errors import AgentBusyError
from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.strict_json import decode, encode

LOCK: Final = "lock"
_POLL_SECONDS: Final = 0.1


class Holder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The process at work, and whether it is the one that runs all the time."""

    pid: int
    running: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StateLock:
    """Held by the kernel for as long as the process lives, so no crash leaves it behind."""

    directory: Path
    monotonic: Callable[[], float]
    sleep: Callable[[float], None]

    @contextmanager
    def held(self, *, running: bool = False, patience_seconds: float = 30.0) -> Iterator[None]:
        """Work in the state directory. Raises: AgentBusyError, HostError."""
        descriptor = self._open()
        try:
            deadline = self.monotonic() + patience_seconds
            while not _taken(descriptor):
                if self.monotonic() > deadline:
                    holder = self.holder()
                    who = f"process {holder.pid}" if holder else "another process"
                    raise AgentBusyError(f"The agent is at work in {self.directory} already ({who}).")
                self.sleep(_POLL_SECONDS)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, encode(Holder(pid=os.getpid(), running=running)), 0)
            yield
        finally:
            os.close(descriptor)

    def holder(self) -> Holder | None:
        """Say who is at work, ``None`` when nobody is."""
        try:
            descriptor = os.open(self.directory / LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            if _taken(descriptor):
                return None
            return decode(os.pread(descriptor, 256, 0), Holder)
        except InvalidJsonError:
            return None  # taken this very moment
        finally:
            os.close(descriptor)

    def _open(self) -> int:
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            return os.open(self.directory / LOCK, flags, 0o600)
        except OSError as error:
            raise HostError(f"{self.directory} cannot be worked in: {error.strerror}.") from error


def ask_to_check_in(holder: Holder) -> None:
    """Tell the running agent to check in now."""
    _tell(holder, signal.SIGUSR1)


def ask_to_stop(holder: Holder) -> None:
    """Tell the running agent to stop."""
    _tell(holder, signal.SIGTERM)


def _tell(holder: Holder, number: Literal[signal.Signals.SIGUSR1, signal.Signals.SIGTERM]) -> None:
    try:
        os.kill(holder.pid, number)
    except ProcessLookupError:
        return  # gone in the meantime
    except PermissionError as error:
        raise AgentBusyError(f"The running agent (process {holder.pid}) belongs to another user.") from error


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
