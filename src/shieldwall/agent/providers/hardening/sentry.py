"""Programs under the name of a system tool: a guard of our own, for neither fapolicyd nor auditd knows bare names."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from shieldwall.agent.broker.fanotify import why_not
from shieldwall.agent.host.errors import ProgramError
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.base import Files, Observation
from shieldwall.agent.providers.hardening import systemd
from shieldwall.agent.providers.hardening.base import HardeningProvider, Refusal
from shieldwall.agent.providers.hardening.mount_plan import is_fit
from shieldwall.agent.providers.hardening.rules import Mode, Rules
from shieldwall.agent.sentry.settings import CONFIGURATION, PROBE, Settings, write
from shieldwall.catalog.model import Catalog

IMPERSONATION: Final = "blockImpersonatedSystemTools"
UNIT: Final = "shieldwall-sentry.service"

_TARGET: Final = "sysinit.target"
_PROGRAM: Final = b"#!/bin/sh\nexit 0\n"
_NO_SYSTEMD: Final = "The guard is run by systemd, which is not the init of this device."
_NO_PATTERN: Final = "An exclusion is one path in its shortest form."


class SentryProvider(HardeningProvider):
    """Runs ``shieldwall-sentry`` while a policy wants it."""

    rules = frozenset({IMPERSONATION})

    def __init__(self, catalog: Catalog, *, python: Sequence[str] = (sys.executable, "-I", "-m")) -> None:
        super().__init__(catalog)
        self._python = tuple(python)

    @property
    def name(self) -> str:
        """Word in statuses."""
        return "sentry"

    def product_version(self, host: Host) -> str | None:
        """Return whether the guard runs; ``None`` where it cannot."""
        if not systemd.runs(host):
            return None
        return "running" if systemd.is_active(host, UNIT) else "notRunning"

    def owned(self) -> tuple[PurePosixPath, ...]:
        """Return the guard's settings, its unit and what starts it."""
        return (CONFIGURATION, systemd.unit_path(UNIT), systemd.starter_path(_TARGET, UNIT))

    def lacking(self, host: Host, rule: str) -> str | None:  # noqa: ARG002
        """The guard needs systemd, and a kernel that asks before it starts programs."""
        if not systemd.runs(host):
            return _NO_SYSTEMD
        return why_not() if host.root == Path("/") else None

    def refusal(self, files: Files, rule: str, mode: Mode, rules: Rules) -> Refusal | None:  # noqa: ARG002
        """Refuse nothing."""
        return None

    def entry_refusal(self, rule: str, entry: str, *, exclusion: bool) -> Refusal | None:  # noqa: ARG002
        """Refuse patterns."""
        is_plain = is_fit(entry) and not set(entry) & set("*?")
        return None if is_plain else Refusal(code="pattern", reason=_NO_PATTERN)

    def contents(self, files: Files, rules: Rules) -> Mapping[PurePosixPath, bytes]:  # noqa: ARG002
        """Write settings and unit."""
        mode = rules.mode(IMPERSONATION)
        if mode is Mode.OFF:
            return {}
        said = Settings(mode="block" if mode is Mode.BLOCK else "audit", excluded=rules.exclusions(IMPERSONATION))
        return {
            CONFIGURATION: write(said),
            systemd.unit_path(UNIT): _unit(self._python),
            systemd.starter_path(_TARGET, UNIT): systemd.starter(UNIT),
        }

    def take(self, host: Host, rules: Rules) -> None:
        """Start the guard with these settings, or stop it. Raises: UnitError, HostError."""
        if not systemd.runs(host):
            if rules.mode(IMPERSONATION) is not Mode.OFF:
                raise systemd.UnitError(_NO_SYSTEMD)
            return
        systemd.reload(host)
        if rules.mode(IMPERSONATION) is not Mode.OFF:
            host.write_file(PROBE, _PROGRAM, mode=0o755)
            systemd.systemctl(host, "restart", UNIT)
            return
        if systemd.is_active(host, UNIT):
            systemd.systemctl(host, "stop", UNIT)
        host.write_file(PROBE, None)

    def effect(self, host: Host, rule: str, rules: Rules) -> Observation:
        """Start a program that pretends, and see whether it may."""
        if not systemd.is_active(host, UNIT):
            return Observation(effective=False, code="guardDown", reason=f"{UNIT} does not run.")
        if rules.mode(rule) is Mode.AUDIT:
            return Observation(effective=True)
        try:
            started = host.run([str(host.locate(PROBE))])
        except ProgramError as error:
            if "not permitted" in error.cause:
                return Observation(effective=True)
            return Observation(effective=None, code=error.code, reason=error.cause[:512])
        reason = f"A program that pretends was started; it ended with {started.returncode}."
        return Observation(effective=False, code="engineBlind", reason=reason)


def _unit(python: Sequence[str]) -> bytes:
    return f"""\
# Written by shieldwall-agent; a change made here is put back.
[Unit]
Description=Shieldwall sentry: no program starts under the name of a system tool
Documentation=man:fanotify(7)
DefaultDependencies=no
After=local-fs.target
Conflicts=shutdown.target
Before=shutdown.target
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart={" ".join(python)} shieldwall.agent.sentry.main
Restart=always
RestartSec=1
TimeoutStopSec=15
OOMScoreAdjust=-900
LimitCORE=0
UMask=0077
CapabilityBoundingSet=CAP_SYS_ADMIN CAP_DAC_READ_SEARCH CAP_SYS_PTRACE
NoNewPrivileges=yes
RestrictAddressFamilies=AF_UNIX
RestrictRealtime=yes
LockPersonality=yes
SystemCallArchitectures=native
""".encode()
