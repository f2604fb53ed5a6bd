"""Where the agent's state is kept. What is written is on disk when a call returns, old or new, never half of either."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from shieldwall.agent.host import files
from shieldwall.agent.host.errors import HostError


class Disk(Protocol):
    """Durable files; tests hand in one that fails."""

    def read(self, path: Path) -> bytes | None:
        """Return a file's content, ``None`` when there is none. Raises: HostError."""
        ...

    def write(self, path: Path, content: bytes) -> None:
        """Replace a file, readable for its owner alone. Raises: HostError."""
        ...

    def remove(self, path: Path) -> None:
        """Remove a file, if it is there. Raises: HostError."""
        ...

    def names(self, directory: Path) -> tuple[str, ...]:
        """List the files of a directory, none when it is not there. Raises: HostError."""
        ...


class LocalDisk:
    """The disk of this machine."""

    def read(self, path: Path) -> bytes | None:
        """See ``Disk.read``; a link or a pipe in the place of a file is refused."""
        return files.read_bytes(path)

    def write(self, path: Path, content: bytes) -> None:
        """See ``Disk.write``."""
        try:
            files.make_directory(path.parent, mode=0o700)
        except OSError as error:
            raise HostError(f"{path.parent} cannot be made: {error.strerror}.") from error
        files.replace(path, content, mode=0o600)

    def remove(self, path: Path) -> None:
        """See ``Disk.remove``."""
        files.remove(path)

    def names(self, directory: Path) -> tuple[str, ...]:
        """See ``Disk.names``; what an interrupted write left behind (a leading dot) does not count."""
        try:
            return tuple(
                sorted(name for name in (entry.name for entry in directory.iterdir()) if not name.startswith("."))
            )
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise HostError(f"{directory} cannot be listed: {error.strerror}.") from error
