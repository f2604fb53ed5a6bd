"""A machine in memory that systemd runs: what is asked of systemctl is remembered, and units are active or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from tests.support.memory_host import MemoryHost, Program

from shieldwall.agent.host.ports import Completed


class SystemdHost(MemoryHost):
    """``MemoryHost`` whose first process is systemd."""

    def __init__(
        self, files: Mapping[PurePosixPath, bytes] | None = None, *, programs: Mapping[str, Program] | None = None
    ) -> None:
        super().__init__(files, programs={"systemctl": self._systemctl, **(programs or {})})
        self.files[PurePosixPath("/proc/1/comm")] = b"systemd\n"
        self.calls: list[str] = []
        self.active: set[str] = set()
        self.enabled: set[str] = set()
        self.properties: dict[str, str] = {}
        self.failing: str | None = None
        """The verb that fails."""

    @property
    def root(self) -> Path:
        return Path("/")

    def locate(self, path: PurePosixPath) -> Path:
        if path == PurePosixPath("/run/systemd/system"):
            return Path("/run")  # a directory, by which sd_booted(3) tells
        return Path("/nonexistent").joinpath(*path.parts[1:])

    def _systemctl(self, words: Sequence[str], _stdin: bytes) -> Completed:
        verb, units = words[0], [word for word in words[1:] if not word.startswith("--")]
        if verb == self.failing:
            return Completed(returncode=1, stdout=b"", stderr=b"Job failed.")
        if verb == "show":
            shown = {"ActiveState": "active" if units[0] in self.active else "inactive", **self.properties}
            asked = words[-1].removeprefix("--property=").split(",")
            text = "".join(f"{name}={shown[name]}\n" for name in asked if name in shown)
            return Completed(returncode=0, stdout=text.encode(), stderr=b"")
        if verb == "is-enabled":
            return Completed(returncode=0 if units[0] in self.enabled else 1, stdout=b"", stderr=b"")
        self.calls.append(" ".join(words))
        if verb in {"start", "restart"}:
            self.active.update(units)
        elif verb == "stop":
            self.active.difference_update(units)
        return Completed(returncode=0, stdout=b"", stderr=b"")
