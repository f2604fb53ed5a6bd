"""Values of the kernel, of which nobody gives notice: read again every few seconds, and told of when they changed.

Neither fanotify nor inotify nor audit sees a write below ``/proc/sys`` or ``/sys``. Looking for drift as a whole is
dear and comes every minute, or later where the agent that asks for it is held up; reading some forty values takes
two milliseconds of one processor, a hundredth of a percent. Whoever changed one is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePosixPath
from typing import Final

from msgspec import Struct, field

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.kernel_files import is_kernel_file
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.base import Provider

READ_SECONDS: Final = 15.0
"""A value that somebody changed is put back this much later, and the time of one look."""


class KernelValues(Struct, kw_only=True):
    """Remembers what the values were, and says which are others now."""

    host: Host
    paths: tuple[PurePosixPath, ...]
    monotonic: Callable[[], float]
    _known: Mapping[PurePosixPath, bytes | None] = field(default_factory=dict)
    _read_at: float | None = None

    @classmethod
    def of(cls, host: Host, providers: Iterable[Provider], monotonic: Callable[[], float]) -> KernelValues:
        """Watch all values that providers name."""
        paths = dict.fromkeys(path for provider in providers for path in provider.files() if is_kernel_file(path))
        return cls(host=host, paths=tuple(paths), monotonic=monotonic)

    def seconds_left(self) -> float:
        """Say how long until they are to be read again; for ever where there are none."""
        if not self.paths:
            return float("inf")
        return 0.0 if self._read_at is None else max(0.0, self._read_at + READ_SECONDS - self.monotonic())

    def changed(self) -> tuple[PurePosixPath, ...]:
        """Return the values that changed since they were read last; the first reading only remembers. Never raises."""
        if self.seconds_left() > 0:
            return ()
        is_first, before = self._read_at is None, self._known
        self._read_at = self.monotonic()
        self._known = {path: self._read(path) for path in self.paths}
        return () if is_first else tuple(path for path in self.paths if self._known[path] != before.get(path))

    def _read(self, path: PurePosixPath) -> bytes | None:
        try:
            return self.host.read_file(path)
        except HostError:
            return None
