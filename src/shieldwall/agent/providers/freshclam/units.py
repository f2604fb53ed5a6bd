"""When definitions are fetched: a timer and a service of our own instead of freshclam's daemon. Pure.

The daemon counts in checks a day, at most fifty, and keeps to itself how they end. The timer counts in seconds, and the
service notes how each run ended. While policies say when, the daemon is kept from starting by a condition of a drop-in,
which is plain content and goes again with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from shieldwall.agent.providers import systemd
from shieldwall.agent.providers.freshclam import directives

DAEMON: Final = "clamav-freshclam.service"
SERVICE: Final = "shieldwall-definitions.service"
TIMER: Final = "shieldwall-definitions.timer"
SERVICE_FILE: Final = systemd.UNITS / SERVICE
TIMER_FILE: Final = systemd.UNITS / TIMER
DAEMON_OFF: Final = systemd.UNITS / f"{DAEMON}.d/shieldwall.conf"
WANTED: Final = systemd.wanted_by(systemd.TIMERS, "shieldwall-definitions", ())[0]
FILES: Final = (SERVICE_FILE, TIMER_FILE, DAEMON_OFF, WANTED)
"""Every file of systemd that is ever written here."""

_HEAD: Final = systemd.HEAD


def render(values: Mapping[str, Any], program: Sequence[str]) -> dict[PurePosixPath, bytes | None]:
    """Return the units for ``values``; ``program`` starts the scan program."""
    if not directives.governs(values):
        off = _daemon_off() if directives.is_off(values) else None
        return {SERVICE_FILE: None, TIMER_FILE: None, WANTED: None, DAEMON_OFF: off}
    seconds = directives.seconds(values)
    path, wanted = systemd.wanted_by(systemd.TIMERS, "shieldwall-definitions", [TIMER])
    return {
        SERVICE_FILE: _service(program).encode(),
        TIMER_FILE: _timer(seconds).encode(),
        DAEMON_OFF: _daemon_off(),
        path: wanted,
    }


def _timer(seconds: int) -> str:
    return (
        f"{_HEAD}[Unit]\nDescription=Look for new definitions of ClamAV, as policies say\n\n"
        f"[Timer]\nOnBootSec=2min\nOnActiveSec={seconds}s\nOnUnitActiveSec={seconds}s\nAccuracySec=5s\n"
        # A fleet that started together must not come to the mirror together.
        f"RandomizedDelaySec={min(seconds // 10, 900)}s\n"
    )


def _service(program: Sequence[str]) -> str:
    return (
        f"{_HEAD}[Unit]\nDescription=Look for new definitions of ClamAV\nDocumentation=man:freshclam(1)\n"
        "Wants=network-online.target\nAfter=network-online.target\n\n"
        f"[Service]\nType=oneshot\nExecStart={' '.join(program)} definitions\nTimeoutStartSec=35min\nNice=10\n"
        "UMask=0027\nCapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER\n"
        "NoNewPrivileges=yes\nPrivateDevices=yes\nPrivateTmp=yes\nProtectHome=yes\nProtectKernelTunables=yes\n"
        "ProtectSystem=strict\nStateDirectory=shieldwall-applier\nStateDirectoryMode=0700\n"
        "ReadWritePaths=-/var/lib/clamav -/var/log/clamav -/run/clamav\n"
    )


def _daemon_off() -> bytes:
    return f"{_HEAD}[Unit]\nConditionPathExists=!{DAEMON_OFF}\n".encode()
