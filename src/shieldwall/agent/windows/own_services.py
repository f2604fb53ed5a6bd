r"""Our own services on Windows: on a protected device they stay as they were installed, and running.

Whoever is SYSTEM can end everything; what is made here is that it neither happens by one word nor goes unheard. The
service's rights are part of its installation (``package/windows``): only SYSTEM may change or stop it there. Sources:
Microsoft, *CurrentControlSet\\Services Registry Tree* (``Start``: 2 by itself, 4 disabled), *sc query* (``STATE``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from shieldwall.agent.host.ports import Host
from shieldwall.agent.host.registry.backend import RegistryBackend
from shieldwall.agent.host.registry.model import RegistryValue
from shieldwall.agent.host.registry.one_key import RegistryView
from shieldwall.agent.host.registry.operations import SetValue
from shieldwall.agent.windows.identities import AGENT_SERVICE, APPLIER_SERVICE

SERVICES: Final = r"HKLM\SYSTEM\CurrentControlSet\Services"
_BY_ITSELF: Final = 2
_STATE: Final = re.compile(rb"^\s*STATE\s*:\s*(\d+)", re.MULTILINE)
_STOPPED: Final = 1
_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowsServices:
    """Looks after our services. ``going_down`` says whether Windows told our own service that it shuts down."""

    host: Host
    registry: RegistryBackend
    going_down: Callable[[], bool]

    def look(self, *, protected: bool, is_onboarded: bool) -> tuple[str, ...]:
        """Put back what somebody changed, and name it. Raises: HostError."""
        if not protected or self.going_down():
            return ()
        view, found = RegistryView(self.host), []
        for name in (APPLIER_SERVICE, AGENT_SERVICE):
            key = f"{SERVICES}\\{name}"
            start = view.number(key, "Start")
            if start is not None and start != _BY_ITSELF:
                self.registry.carry_out(key, SetValue("", "Start", RegistryValue.dword(_BY_ITSELF)))
                found.append(f"{name} (disabled)")
        control = self.host.find_program("sc.exe")
        if is_onboarded and control is not None and self._is_stopped(control):
            self.host.run([control, "start", AGENT_SERVICE], timeout_seconds=_SECONDS)
            found.append(f"{AGENT_SERVICE} (stopped)")
        return tuple(found)

    def is_going_down(self) -> bool:
        """Say whether our services end because Windows does."""
        return self.going_down()

    def _is_stopped(self, control: str) -> bool:
        asked = self.host.run([control, "query", AGENT_SERVICE], timeout_seconds=_SECONDS)
        state = _STATE.search(asked.stdout)
        return state is not None and int(state[1]) == _STOPPED
