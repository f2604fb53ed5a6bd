"""The agent's own files: its program, its unit, what it keeps. Changed by anybody else, they are told of.

This hinders nobody who owns the machine; it makes the change heard of. What was told is the new normal, so one change
is one attempt. Another version of the agent brings other files, and they count from the start.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Final

from msgspec import Struct

from shieldwall import __version__
from shieldwall.agent.service.records import OwnFile, OwnFilesRecord
from shieldwall.agent.service.state import AgentState
from shieldwall.agent.service.state_files import IDENTITY, KEY
from shieldwall.contract.strict_json import digest_of_bytes

_READ_WHOLE: Final = 64 * 1024
"""Larger files, which are programs, are known by owner, mode and size."""
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class OwnFiles(Struct, frozen=True, kw_only=True):
    """Remembers what the agent's files looked like."""

    state: AgentState
    paths: tuple[Path, ...] = ()

    def changed(self) -> tuple[str, ...]:
        """Name what was changed since it was last looked at, each change once. Raises: StateCorruptError, HostError."""
        known = self.state.find_own_files()
        seen = {str(path): _look(path) for path in self.paths}
        open_ = sorted(str(path) for path in self._kept() if path.lstat().st_mode & _OTHERS)
        now = OwnFilesRecord(version=__version__, files=seen, open_to_others=tuple(open_))
        found: list[str] = []
        if known is not None and known.version == __version__:
            found += [path for path, file in seen.items() if path in known.files and known.files[path] != file]
            found += [path for path in open_ if path not in known.open_to_others]
        if self.state.is_seal_broken():
            found.append(str(self.state.directory / IDENTITY))
        if now != known:
            self.state.put_own_files(now)
        return tuple(found)

    def _kept(self) -> tuple[Path, ...]:
        directory = self.state.directory
        return tuple(path for path in (directory, *(directory / name for name in (KEY, IDENTITY))) if path.exists())


def _look(path: Path) -> OwnFile | None:
    try:
        about = path.stat()
        content = path.read_bytes() if stat.S_ISREG(about.st_mode) and about.st_size <= _READ_WHOLE else None
    except OSError:
        return None
    return OwnFile(
        mode=stat.S_IMODE(about.st_mode),
        owner=about.st_uid,
        size=about.st_size,
        digest=None if content is None else digest_of_bytes(content),
    )
