"""The programs by which a Mac tells of itself, as small scripts: sw_vers, sysctl, ioreg, profiles.

What each prints has the form of the real one's output (manual pages sw_vers(1), sysctl(8), ioreg(8), profiles(1)); the
values are those given here.
"""

from __future__ import annotations

import plistlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_SHELL: Final = "#!/bin/sh\n"


@dataclass(frozen=True, kw_only=True)
class PretendMac:
    """A Mac as its programs describe it."""

    version: str = "14.5"
    build: str = "23F79"
    model: str = "Mac14,2"
    uuid: str = "6A2F1B9C-8E54-5D11-9C7A-3F0B1D2E4A55"
    host_name: str = "maria-mac.example"
    boot_session: str = "2B7C0C55-6AB4-4A0E-8C43-5C5C1A2D9E01"
    is_apple_silicon: bool = True
    mdm_server: str | None = None
    """The address of the MDM in which it is enrolled."""
    more: Mapping[str, str] = field(default_factory=dict)
    """Further values of sysctl."""

    def install(self, directory: Path) -> None:
        """Write the programs into a directory, in place of those that are there."""
        directory.mkdir(parents=True, exist_ok=True)
        outputs = {
            "sw_vers": f"ProductName:\t\tmacOS\nProductVersion:\t\t{self.version}\nBuildVersion:\t\t{self.build}\n",
            "ioreg": plistlib.dumps([{"IOPlatformUUID": self.uuid, "model": b"Mac\0"}]).decode(),
            "profiles": self._enrollment(),
        }
        for name, output in outputs.items():
            _write(directory / name, f"printf %s {shlex.quote(output)}\n")
        _write(directory / "sysctl", self._sysctl())

    def _enrollment(self) -> str:
        if self.mdm_server is None:
            return "Enrolled via DEP: No\nMDM enrollment: No\n"
        return f"Enrolled via DEP: No\nMDM enrollment: Yes (User Approved)\nMDM server: {self.mdm_server}\n"

    def _sysctl(self) -> str:
        values = {
            "hw.model": self.model,
            "kern.bootsessionuuid": self.boot_session,
            "kern.hostname": self.host_name,
            **({"hw.optional.arm64": "1"} if self.is_apple_silicon else {}),
            **self.more,
        }
        cases = "".join(
            f"    {name}) printf '%s: %s\\n' {name} {shlex.quote(value)} ;;\n" for name, value in values.items()
        )
        unknown = "    *) echo \"sysctl: unknown oid '$name'\" >&2; failed=1 ;;\n"
        return f'failed=0\nfor name; do\n  case "$name" in\n{cases}{unknown}  esac\ndone\nexit $failed\n'


def _write(path: Path, script: str) -> None:
    path.write_text(_SHELL + script)
    path.chmod(0o755)
