"""Units of our own, started by a drop-in of a target: two plain files, so nothing is to be enabled or disabled."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final

from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.base import ProviderError

_UNITS: Final = PurePosixPath("/etc/systemd/system")
_RUNNING: Final = PurePosixPath("/run/systemd/system")


class UnitError(ProviderError):
    """systemd did not do what was asked of it."""

    code = "systemdFailed"
    remedy = "Look at `systemctl status` and the journal of the unit that is named."


def unit_path(unit: str) -> PurePosixPath:
    """Return where a unit of ours stands."""
    return _UNITS / unit


def starter_path(target: str, unit: str) -> PurePosixPath:
    """Return where it says that a target starts a unit."""
    return _UNITS / f"{target}.d" / f"50-{unit.removesuffix('.service')}.conf"


def starter(unit: str) -> bytes:
    """Write the drop-in by which a target starts a unit."""
    return f"# Written by shieldwall-agent.\n[Unit]\nWants={unit}\n".encode()


def runs(host: Host) -> bool:
    """Say whether systemd is the init of this machine (sd_booted(3))."""
    return host.locate(_RUNNING).is_dir() and host.find_program("systemctl") is not None


def systemctl(host: Host, *words: str, timeout_seconds: float = 60.0) -> bytes:
    """Run systemctl. Raises: UnitError when it fails, HostError when it does not end."""
    completed = host.run([host.find_program("systemctl") or "systemctl", *words], timeout_seconds=timeout_seconds)
    if completed.returncode != 0:
        said = completed.stderr.decode(errors="replace").strip()[:500]
        raise UnitError(f"systemctl {' '.join(words)} failed: {said or f'exit code {completed.returncode}'}.")
    return completed.stdout


def stop(host: Host, unit: str) -> None:
    """Stop a unit that may be gone with its package. Raises: UnitError when it goes on, HostError."""
    try:
        systemctl(host, "stop", unit)
    except UnitError:
        if is_active(host, unit):
            raise


def is_active(host: Host, unit: str) -> bool:
    """Say whether a unit runs. Raises: HostError."""
    words = ("is-active", "--quiet", unit)
    return host.run([host.find_program("systemctl") or "systemctl", *words]).returncode == 0


def reload(host: Host) -> None:
    """Make systemd read its unit files again, where it runs. Raises: UnitError."""
    if runs(host):
        systemctl(host, "daemon-reload")
