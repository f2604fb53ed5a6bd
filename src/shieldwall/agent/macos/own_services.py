"""Our own jobs under launchd: on a protected device they stay as the package brought them, enabled and running.

Whoever is root can end everything; what is made here is that it neither happens by one word nor goes unheard. Source:
launchctl(1): ``print-disabled``, ``enable``, ``print``, ``bootstrap``.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from shieldwall.agent.host.ports import Host
from shieldwall.agent.macos.places import AGENT_JOB, APPLIER_JOB, JOBS, PACKAGED_JOBS, job_file

_SYSTEM: Final = "system"
_DISABLED: Final = re.compile(rb'"([^"]+)"\s*=>\s*(?:true|disabled)')
"""As ``print-disabled`` writes it: ``true`` up to macOS 12, ``disabled`` since."""
_SECONDS: Final = 60.0


class MacosServices(Struct, frozen=True):
    """Looks after our jobs."""

    host: Host

    def look(self, *, protected: bool, is_onboarded: bool) -> tuple[str, ...]:
        """Put back what somebody changed, and name it. Raises: HostError."""
        if not protected:
            return ()
        return (*self._files(), *self._enabled(), *(self._running() if is_onboarded else ()))

    def is_going_down(self) -> bool:
        """Take every end of our jobs for one of the machine, or of an upgrade: launchd does not tell which it is.

        Nothing is missed by that. A job that is killed is started again, and one that is unloaded or disabled is found
        by ``look``, brought back and told of.
        """
        return True

    def _files(self) -> tuple[str, ...]:
        found = []
        for job in (APPLIER_JOB, AGENT_JOB):
            packaged, path = self.host.read_file(job_file(PACKAGED_JOBS, job)), job_file(JOBS, job)
            if packaged is not None and self.host.read_file(path) != packaged:
                self.host.write_file(path, packaged)
                found.append(str(path))
        return tuple(found)

    def _enabled(self) -> tuple[str, ...]:
        control = self.host.find_program("launchctl")
        if control is None:
            return ()
        said = self.host.run([control, "print-disabled", _SYSTEM], timeout_seconds=_SECONDS).stdout
        disabled = {name.decode(errors="replace") for name in _DISABLED.findall(said)}
        found = tuple(job for job in (APPLIER_JOB, AGENT_JOB) if job in disabled)
        for job in found:
            self.host.run([control, "enable", f"{_SYSTEM}/{job}"], timeout_seconds=_SECONDS)
        return tuple(f"{job} (disabled)" for job in found)

    def _running(self) -> tuple[str, ...]:
        control = self.host.find_program("launchctl")
        if control is None:
            return ()
        known = self.host.run([control, "print", f"{_SYSTEM}/{AGENT_JOB}"], timeout_seconds=_SECONDS)
        if known.returncode == 0:
            return ()
        file = str(job_file(JOBS, AGENT_JOB))
        self.host.run([control, "bootstrap", _SYSTEM, file], timeout_seconds=_SECONDS)
        return (f"{AGENT_JOB} (unloaded)",)
