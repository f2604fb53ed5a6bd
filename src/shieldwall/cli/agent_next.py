"""What comes after onboarding: who starts the agent on this machine, and where to look."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.providers import systemd
from shieldwall.agent.providers.base import ProviderError

SERVICE: Final = "shieldwall-agent.service"
PATH_UNIT: Final = "shieldwall-agent.path"
"""Starts the service as soon as there is an identity (package/units)."""
BY_HAND: Final = "Start the agent with: shieldwall-agent run"
_LOOK: Final = f"Look with: systemctl status {SERVICE}, journalctl -u {SERVICE}, shieldwall-agent status"


def what_is_next(root: Path, *, is_split: bool) -> str:
    """Say how the agent of this machine comes to run; ``is_split`` is whether an applier enforces beside it."""
    host = LocalHost(root)
    if not is_split or not systemd.runs(host):
        return BY_HAND
    try:
        units = {
            unit: systemd.show(host, unit, "LoadState", "ActiveState", "UnitFileState") for unit in (SERVICE, PATH_UNIT)
        }
    except (HostError, ProviderError):
        return BY_HAND
    return words(units[SERVICE], units[PATH_UNIT])


def words(service: Mapping[str, str], path_unit: Mapping[str, str]) -> str:
    """Say it of what systemd shows of the service, and of the unit that starts it. Pure."""
    if service.get("LoadState") != "loaded":
        return BY_HAND
    if service.get("ActiveState") == "active":
        started = "The agent runs."
    elif service.get("ActiveState") == "activating" or path_unit.get("ActiveState") == "active":
        started = "systemd starts the agent by itself now."
    else:
        return (
            f"The agent does not start by itself. Start it with: systemctl enable --now {PATH_UNIT} {SERVICE}\n{_LOOK}"
        )
    at_boot = service.get("UnitFileState") == "enabled" or path_unit.get("UnitFileState") == "enabled"
    if not at_boot:
        started += f" At the next boot it does not: systemctl enable {PATH_UNIT} {SERVICE}"
    return f"{started}\n{_LOOK}"
