"""The applier's directory: ``state.json`` and ``lock``.

Every write is durable when it returns and replaces the old state as a whole.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from shieldwall.agent.applier.state import State
from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.files import make_directory, read_bytes, replace, settle
from shieldwall.agent.host.locking import try_to_lock
from shieldwall.agent.host.opening import NOT_FOLLOWED, OURS_ALONE
from shieldwall.contract.errors import InvalidJsonError, ShieldwallError
from shieldwall.contract.ids import Digest
from shieldwall.contract.strict_json import decode, digest_of_bytes, encode

_PRIVATE_DIRECTORY: Final = 0o700
_PRIVATE_FILE: Final = 0o600
_MAX_DEPTH: Final = 64
"""What providers keep may hold a part of a product's own configuration."""


class BusyError(ShieldwallError):
    """Another process is changing this device's settings."""

    code = "applierBusy"
    remedy = "Wait until the other shieldwall-agent has finished, then try again."


class UnreadableStateError(ShieldwallError):
    """What the applier remembered cannot be understood; going on would lose the state from before management."""

    code = "stateUnreadable"
    remedy = "Restore state.json from a backup, or set the products back by hand, remove the file and onboard again."


def _opened(path: Path) -> int:
    """Open the lock; on a disk that became read-only the one that is there, for it keeps others out as well."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | NOT_FOLLOWED | OURS_ALONE, _PRIVATE_FILE)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
    return os.open(path, os.O_RDONLY | NOT_FOLLOWED | OURS_ALONE)


class Store:
    """What must survive, in one directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file = directory / "state.json"
        self._understood: tuple[Digest, State] | None = None
        """What the file said last. Read it is every time; understood only where it says something else."""

    @contextmanager
    def locked(self, *, whatever_the_disk_says: bool = False) -> Iterator[None]:
        """Keep every other applier out. The kernel lets go of the lock when the process ends, however it ends.

        ``whatever_the_disk_says`` is for whoever goes back, which has to be possible on a disk that takes nothing.

        Raises:
            BusyError: Another one is at work.
            HostError: The directory cannot be made or written.
        """
        path = self._directory / "lock"
        try:
            make_directory(self._directory, mode=_PRIVATE_DIRECTORY)
            lock = _opened(path)
        except OSError as error:
            raise HostError(f"{self._directory} cannot be used: {error.strerror}.") from error
        try:
            if not try_to_lock(lock):
                raise BusyError(f"Another process holds {path}.")
            try:  # whoever replaced the state last may have been killed before that was on disk
                settle(self._directory)
            except HostError:
                if not whatever_the_disk_says:
                    raise
            yield
        finally:
            os.close(lock)

    def load(self) -> State:
        """Return what is remembered; nothing on a device never managed.

        Raises:
            UnreadableStateError: It is there and makes no sense.
            HostError: It is there and cannot be read.
        """
        content = read_bytes(self._file)
        if content is None:
            return State()
        digest = digest_of_bytes(content)
        if self._understood is not None and self._understood[0] == digest:
            return self._understood[1]
        try:
            state = decode(content, State, max_depth=_MAX_DEPTH)
        except InvalidJsonError as error:
            raise UnreadableStateError(f"{self._file}: {error.cause}") from error
        self._understood = digest, state
        return state

    def holds(self, state: State) -> bool:
        """Say whether this is what is remembered. Raises: as ``load``."""
        return encode(self.load()) == encode(state)

    def save(self, state: State) -> None:
        """Remember, durably. Raises: HostError; ``load`` then says whether the old state is there, or the new one.

        The new one is, but not for certain on disk, where only the directory could not be written.
        """
        replace(self._file, encode(state), mode=_PRIVATE_FILE)
