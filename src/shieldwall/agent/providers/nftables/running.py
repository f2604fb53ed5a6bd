"""Our units on this machine: started and stopped as their files say, and looked after. No systemd, nothing to do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.ports import Completed, Host
from shieldwall.agent.providers.base import Files, ProviderError
from shieldwall.agent.providers.nftables.survey import has_systemd
from shieldwall.agent.providers.nftables.units import BOOT, BOOT_UNIT, LOG, LOG_FILES, LOG_UNIT, UNIT_FILES

_SECONDS: Final = 60.0


class UnitError(ProviderError):
    """A unit of ours does not start, or does not end, or systemd does not read it."""

    code = "firewallUnitFailed"
    remedy = f"Look at `systemctl status {LOG}` on the device."


class Units:
    """Follows the files of our units. What systemd was told is not told again: a reload costs the whole machine."""

    def __init__(self) -> None:
        """Know nothing: the first time, systemd is told."""
        self._followed: tuple[Host, Files] | None = None

    def follow(self, host: Host) -> None:
        """Make systemd take the files as they are now. Raises: UnitError, HostError."""
        files = {path: host.read_file(path) for path in UNIT_FILES}
        if files[LOG_UNIT] is None and files[BOOT_UNIT] is None:
            _forget_logs(host)
        if not has_systemd(host):
            return
        if self._followed is not None and self._followed[0] is host and self._followed[1] == files:
            if files[LOG_UNIT] is not None:
                _started(host, "start")
            return
        self._followed = None
        _reloaded(host)
        if files[LOG_UNIT] is not None:
            _started(host, "restart")
        else:
            _stopped(host)
        if files[BOOT_UNIT] is None:
            _systemctl(host, "stop", BOOT)
        self._followed = (host, files)


def _forget_logs(host: Host) -> None:
    """Remove the logs: whoever lets go leaves nothing behind."""
    for path in LOG_FILES:
        if host.read_file(path) is not None:
            host.write_file(path, None)


def _reloaded(host: Host) -> None:
    completed = _systemctl(host, "daemon-reload")
    if completed.returncode != 0:
        raise UnitError(f"systemd does not read its units again: {_said(completed)}.")


def _started(host: Host, verb: str) -> None:
    completed = _systemctl(host, verb, LOG)
    if completed.returncode != 0:
        raise UnitError(f"{LOG} does not start: {_said(completed)}.")


def _stopped(host: Host) -> None:
    completed = _systemctl(host, "stop", LOG)  # there may be no such unit
    if completed.returncode != 0 and is_active(host, LOG):
        raise UnitError(f"{LOG} does not end: {_said(completed)}.")


def _said(completed: Completed) -> str:
    return completed.stderr.decode(errors="replace").strip()[:500] or str(completed.returncode)


def supervise(host: Host) -> Sequence[str]:
    """Start the program that writes the logs where it should run and does not; say so. Never raises."""
    try:
        if host.read_file(LOG_UNIT) is None or not has_systemd(host) or is_active(host, LOG):
            return ()
        started = _systemctl(host, "restart", LOG).returncode == 0
    except HostError:
        return ()
    return (f"{LOG} was down and was {'started' if started else 'not to be started'}.",)


def is_active(host: Host, unit: str) -> bool:
    """Say whether a unit runs. Raises: HostError."""
    return _systemctl(host, "is-active", "--quiet", unit).returncode == 0


def wanted_by(host: Host, unit: str) -> str:
    """Return the units that want one, in systemd's words. Raises: HostError."""
    return _systemctl(host, "show", "--property=WantedBy", "--value", unit).stdout.decode(errors="replace").strip()


def _systemctl(host: Host, *arguments: str) -> Completed:
    program = host.find_program("systemctl")
    if program is None:
        raise UnitError("The program systemctl is not installed.")
    return host.run([program, *arguments], timeout_seconds=_SECONDS)
