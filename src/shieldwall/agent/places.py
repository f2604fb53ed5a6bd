"""Where the agent's programs and files are on an installed machine, and whether this is one."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from shieldwall.agent.host.running_system import ADMINISTRATOR, own_user

if sys.platform == "win32":
    AGENT_USER: Final = "shieldwall-agent"
    _DATA: Final = Path(os.environ.get("ProgramData", r"C:\ProgramData")) / "Shieldwall"  # noqa: SIM112 - so spelled
    DEFAULT_ROOT: Final = Path(os.environ.get("SystemDrive", "C:") + "\\")  # noqa: SIM112 - as above
    APPLIER_SOCKET: Final = Path(r"\\.\pipe\shieldwall-applier")
    APPLIER_STATE: Final = _DATA / "applier"
    AGENT_STATE: Final = _DATA / "agent"

    def _is_installed() -> bool:
        """The two services are always there together; without them nothing of this is."""
        return AGENT_STATE.exists()

elif sys.platform == "darwin":
    from shieldwall.agent.macos import places as mac

    AGENT_USER: Final = mac.AGENT_USER
    DEFAULT_ROOT: Final = Path("/")
    RUNTIME: Final = mac.APPLIER_SOCKET.parent
    APPLIER_SOCKET: Final = mac.APPLIER_SOCKET
    APPLIER_STATE: Final = mac.APPLIER_STATE
    AGENT_STATE: Final = mac.AGENT_STATE

    def _is_installed() -> bool:
        return APPLIER_SOCKET.exists() or Path(mac.job_file(mac.JOBS, mac.APPLIER_JOB)).exists()

else:
    AGENT_USER: Final = "shieldwall-agent"
    DEFAULT_ROOT: Final = Path("/")
    RUNTIME: Final = Path("/run/shieldwall")
    APPLIER_SOCKET: Final = RUNTIME / "applier.sock"
    APPLIER_STATE: Final = Path("/var/lib/shieldwall-applier")
    AGENT_STATE: Final = Path("/var/lib/shieldwall-agent")
    _UNITS: Final = (
        Path("/usr/lib/systemd/system/shieldwall-applier.service"),
        Path("/lib/systemd/system/shieldwall-applier.service"),
        Path("/etc/systemd/system/shieldwall-applier.service"),
    )

    def _is_installed() -> bool:
        return APPLIER_SOCKET.exists() or any(unit.exists() for unit in _UNITS)


def applier_for(root: Path) -> Path | None:
    """Return the socket of the applier that enforces for this root, ``None`` where the agent does so itself.

    A root of its own is a sample or a test. On the real machine the applier's process is asked wherever it is
    installed, also while it is down: two that enforce would undo each other's work. Whoever is not root asks it in any
    case, for there is nothing that they could enforce.
    """
    if root.resolve() != DEFAULT_ROOT:
        return None
    return APPLIER_SOCKET if _is_installed() or own_user() != ADMINISTRATOR else None
