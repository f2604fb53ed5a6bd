"""One agent process at a time works in a state directory; the others can see who it is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.locking import try_to_lock
from shieldwall.agent.host.opening import NOT_FOLLOWED, OURS_ALONE
from shieldwall.agent.host.telling import CHECK_IN, STOP, tell
from shieldwall.agent.service.errors import AgentBusyError
from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.strict_json import decode, encode

LOCK: Final = "lock"
_POLL_SECONDS: Final = 0.1


class Holder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The process at work, and whether it is the one that runs all the time."""

    pid: int
    running: bool


class StateLock(Struct, frozen=True, kw_only=True):
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
            while not try_to_lock(descriptor):
                if self.monotonic() > deadline:
                    holder = self.holder()
                    who = f"process {holder.pid}" if holder else "another process"
                    raise AgentBusyError(f"The agent is at work in {self.directory} already ({who}).")
                self.sleep(_POLL_SECONDS)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, encode(Holder(pid=os.getpid(), running=running)))
            yield
        finally:
            os.close(descriptor)

    def holder(self) -> Holder | None:
        """Say who is at work, ``None`` when nobody is."""
        try:
            descriptor = os.open(self.directory / LOCK, os.O_RDWR | NOT_FOLLOWED | OURS_ALONE)
        except OSError:
            return None
        try:
            if try_to_lock(descriptor):
                return None
            return decode(os.read(descriptor, 256), Holder)
        except InvalidJsonError:
            return None  # taken this very moment
        finally:
            os.close(descriptor)

    def _open(self) -> int:
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | NOT_FOLLOWED | OURS_ALONE
            return os.open(self.directory / LOCK, flags, 0o600)
        except OSError as error:
            raise HostError(f"{self.directory} cannot be worked in: {error.strerror}.") from error


def ask_to_check_in(holder: Holder) -> None:
    """Tell the running agent to check in now. Raises: AgentBusyError."""
    _tell(holder, CHECK_IN)


def ask_to_stop(holder: Holder) -> None:
    """Tell the running agent to stop. Raises: AgentBusyError."""
    _tell(holder, STOP)


def _tell(holder: Holder, word: int) -> None:
    try:
        tell(holder.pid, word)
    except ProcessLookupError:
        return  # gone in the meantime
    except PermissionError as error:
        raise AgentBusyError(f"The running agent (process {holder.pid}) belongs to another user.") from error
