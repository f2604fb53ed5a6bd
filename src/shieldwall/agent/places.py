"""Where the agent's programs and files are on an installed machine, and whether this is one."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from shieldwall.agent.host.running_system import ADMINISTRATOR, own_user

RUNTIME: Final = Path("/run/shieldwall")
APPLIER_SOCKET: Final = RUNTIME / "applier.sock"
APPLIER_STATE: Final = Path("/var/lib/shieldwall-applier")
AGENT_USER: Final = "shieldwall-agent"
_UNITS: Final = (
    Path("/usr/lib/systemd/system/shieldwall-applier.service"),
    Path("/lib/systemd/system/shieldwall-applier.service"),
    Path("/etc/systemd/system/shieldwall-applier.service"),
)


def applier_for(root: Path) -> Path | None:
    """Return the socket of the applier that enforces for this root, ``None`` where the agent does so itself.

    A root of its own is a sample or a test. On the real machine the applier's process is asked wherever it is
    installed, also while it is down: two that enforce would undo each other's work. Whoever is not root asks it in any
    case, for there is nothing that they could enforce.
    """
    if root.resolve() != Path("/"):
        return None
    is_installed = APPLIER_SOCKET.exists() or any(unit.exists() for unit in _UNITS)
    return APPLIER_SOCKET if is_installed or own_user() != ADMINISTRATOR else None
