"""The units that start scans: timers for set times, a watch on the directory of definitions. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from shieldwall.agent.providers import systemd
from shieldwall.agent.providers.scans import schedule
from shieldwall.agent.providers.scans.schedule import Schedule
from shieldwall.agent.scanning import policy

QUICK: Final = "shieldwall-scan-quick"
FULL: Final = "shieldwall-scan-full"
UPDATED: Final = "shieldwall-scan-updated"
TIMERS: Final = (f"{QUICK}.timer", f"{FULL}.timer")
PATH_UNIT: Final = f"{UPDATED}.path"
_NAME: Final = "shieldwall-scan"
_TIMERS_WANTED: Final = systemd.wanted_by(systemd.TIMERS, _NAME, ())[0]
_PATHS_WANTED: Final = systemd.wanted_by(systemd.PATHS, _NAME, ())[0]
FILES: Final = (
    *(systemd.UNITS / f"{name}{ending}" for name in (QUICK, FULL) for ending in (".service", ".timer")),
    *(systemd.UNITS / f"{UPDATED}{ending}" for ending in (".service", ".path")),
    _TIMERS_WANTED,
    _PATHS_WANTED,
)
"""Every file of systemd that is ever written here."""

SCHEDULED: Final = frozenset(
    {
        *(schedule.DAILY_TIME, schedule.DAILY_HOURS, schedule.WEEKLY_DAY, schedule.WEEKLY_TIME),
        *(schedule.WEEKLY_TYPE, schedule.RANDOMIZE_HOURS, policy.LOW_PRIORITY, policy.WHEN_IDLE),
        *(policy.IGNORE_EXCLUSIONS, policy.DEFINITIONS_FIRST),
    }
)
"""Where the settings land that say when and how scheduled scans run."""


def render(values: Mapping[str, Any], program: Sequence[str]) -> dict[PurePosixPath, bytes | None]:
    """Return the units for ``values``; those that nothing asks for are no files."""
    times = schedule.of_values(values)
    wanted = {QUICK: times.quick, FULL: times.full}
    files: dict[PurePosixPath, bytes | None] = dict.fromkeys(FILES)
    for name, moments in wanted.items():
        if moments:
            kind = name.rpartition("-")[2]
            files[systemd.UNITS / f"{name}.service"] = _service(f"--scheduled {kind}", values, program)
            files[systemd.UNITS / f"{name}.timer"] = _timer(kind, moments, times)
    files.update([systemd.wanted_by(systemd.TIMERS, _NAME, [f"{name}.timer" for name in wanted if wanted[name]])])
    if values.get(policy.SCAN_AFTER_UPDATE) is True:
        files[systemd.UNITS / f"{UPDATED}.service"] = _service("updated", values, program)
        files[systemd.UNITS / PATH_UNIT] = _path_unit()
        files.update([systemd.wanted_by(systemd.PATHS, _NAME, [PATH_UNIT])])
    return files


def _timer(kind: str, moments: Sequence[str], times: Schedule) -> bytes:
    calendar = "".join(f"OnCalendar={moment}\n" for moment in moments)
    return (
        f"{systemd.HEAD}[Unit]\nDescription=Start a {kind} scan, as policies say\n\n"
        f"[Timer]\n{calendar}RandomizedDelaySec={times.spread_seconds}\n"
        "Persistent=true\n"  # a device that was off at the time scans when it is on again
    ).encode()


def _path_unit() -> bytes:
    return (
        f"{systemd.HEAD}[Unit]\nDescription=Scan what runs once there are new definitions\n\n"
        "[Path]\nPathChanged=/var/lib/clamav\n"
    ).encode()


def _service(words: str, values: Mapping[str, Any], program: Sequence[str]) -> bytes:
    low = "Nice=19\nIOSchedulingClass=idle\nCPUSchedulingPolicy=idle\n" if values.get(policy.LOW_PRIORITY) else ""
    updates = values.get(policy.DEFINITIONS_FIRST) is True
    families = "AF_UNIX AF_INET AF_INET6 AF_NETLINK" if updates else "AF_UNIX"
    return (
        f"{systemd.HEAD}[Unit]\nDescription=Scan this device with ClamAV ({words.removeprefix('--scheduled ')})\n"
        "After=clamav-daemon.service\n\n"
        f"[Service]\nType=oneshot\nExecStart={' '.join(program)} {words}\n"
        # 1: threats were found, 3: the scan did not begin. Neither is a failure of the unit.
        "SuccessExitStatus=1 3\nTimeoutStartSec=infinity\nTimeoutStopSec=60\nUMask=0077\n"
        f"{low}"
        # It reads everything and takes away what it finds, so file systems stay open to it; little else does.
        "CapabilityBoundingSet=CAP_DAC_READ_SEARCH CAP_DAC_OVERRIDE CAP_FOWNER CAP_CHOWN CAP_SYS_PTRACE"
        f"{' CAP_SETUID CAP_SETGID' if updates else ''}\n"
        f"RestrictAddressFamilies={families}\nNoNewPrivileges=yes\nLockPersonality=yes\nRestrictRealtime=yes\n"
        "RestrictNamespaces=yes\nMemoryDenyWriteExecute=yes\nProtectClock=yes\nProtectHostname=yes\n"
        "ProtectKernelLogs=yes\nProtectKernelModules=yes\nSystemCallArchitectures=native\n"
    ).encode()
