"""Where the agent's programs and files are on a Mac, as the package lays them (``package/macos``)."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Final

PROGRAMS: Final = PurePosixPath("/Library/Shieldwall")
_STATE: Final = Path("/Library/Application Support/Shieldwall")
AGENT_STATE: Final = _STATE / "agent"
APPLIER_STATE: Final = _STATE / "applier"
APPLIER_SOCKET: Final = Path("/var/run/shieldwall/applier.sock")
AGENT_USER: Final = "_shieldwallagent"
AGENT_JOB: Final = "org.shieldwall.agent"
APPLIER_JOB: Final = "org.shieldwall.applier"
JOBS: Final = PurePosixPath("/Library/LaunchDaemons")
"""Where launchd looks for jobs of the system."""
PACKAGED_JOBS: Final = PROGRAMS / "launchd"
"""Copies of our jobs, beside the program that they start."""


def job_file(directory: PurePosixPath, job: str) -> PurePosixPath:
    """Return the file of a job in a directory."""
    return directory / f"{job}.plist"
