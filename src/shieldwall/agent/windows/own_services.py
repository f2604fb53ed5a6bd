r"""Our own services on Windows: on a protected device they stay as they were installed, and running.

Whoever is SYSTEM can end everything; what is made here is that it neither happens by one word nor goes unheard. While
a device is protected, administrators may start and ask our services, and neither stop, change nor delete them; without
protection they may do what they may do with any service. Sources: Microsoft, *Service Security and Access Rights*,
*CurrentControlSet\\Services Registry Tree* (``Start``: 2 by itself, 4 disabled), *sc query* (``STATE``), *sc sdset*.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from msgspec import Struct, field

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
_ALL: Final = "CCDCLCSWRPWPDTLOCRSDRCWDWO"
OPEN: Final = f"D:(A;;{_ALL};;;SY)(A;;{_ALL};;;BA)(A;;CCLCSWLOCRRC;;;AU)"
"""Who may do what with our services: administrators all, as with any service."""
CLOSED: Final = f"D:P(A;;{_ALL};;;SY)(A;;CCLCSWRPLOCRRC;;;BA)(A;;CCLCSWLOCRRC;;;AU)"
"""The same while the device is protected: nobody but SYSTEM stops, changes, deletes or takes them."""
_ALLOWED: Final = re.compile(r"\(A;[A-Z]*;([A-Z]+);[^;]*;[^;]*;([^)]+)\)")
_ENDING: Final = frozenset({"DC", "WP", "DT", "SD", "WD", "WO", "GA", "GW"})
_SECONDS: Final = 60.0


class WindowsServices(Struct, frozen=True, kw_only=True):
    """Looks after our services. ``going_down`` says whether Windows told our own service that it shuts down."""

    host: Host
    registry: RegistryBackend
    going_down: Callable[[], bool]
    closed: set[str] = field(default_factory=set)
    """What was closed by this process: opened again, it was somebody's doing."""

    def look(self, *, protected: bool, is_onboarded: bool) -> tuple[str, ...]:
        """Put back what somebody changed, and name it. Raises: HostError."""
        if self.going_down():
            return ()
        control = self.host.find_program("sc.exe")
        view = RegistryView(self.host)
        found: list[str] = []
        if control is not None:
            found += self._held(control, protected=protected)
        if not protected:
            return ()
        for name in (APPLIER_SERVICE, AGENT_SERVICE):
            key = f"{SERVICES}\\{name}"
            start = view.number(key, "Start")
            if start is not None and start != _BY_ITSELF:
                self.registry.carry_out(key, SetValue("", "Start", RegistryValue.dword(_BY_ITSELF)))
                found.append(f"{name} (disabled)")
        if is_onboarded and control is not None and self._is_stopped(control):
            self.host.run([control, "start", AGENT_SERVICE], timeout_seconds=_SECONDS)
            found.append(f"{AGENT_SERVICE} (stopped)")
        return tuple(found)

    def _held(self, control: str, *, protected: bool) -> Iterator[str]:
        """Give services the rights that they shall have; name those that somebody had opened meanwhile."""
        for name in (APPLIER_SERVICE, AGENT_SERVICE):
            shown = self.host.run([control, "sdshow", name], timeout_seconds=_SECONDS)
            if shown.returncode != 0 or is_open(shown.stdout.decode(errors="replace")) is not protected:
                continue
            self.host.run([control, "sdset", name, CLOSED if protected else OPEN], timeout_seconds=_SECONDS)
            if protected and name in self.closed:
                yield f"{name} (opened)"
            self.closed.add(name) if protected else self.closed.discard(name)

    def is_going_down(self) -> bool:
        """Say whether our services end because Windows does."""
        return self.going_down()

    def _is_stopped(self, control: str) -> bool:
        asked = self.host.run([control, "query", AGENT_SERVICE], timeout_seconds=_SECONDS)
        state = _STATE.search(asked.stdout)
        return state is not None and int(state[1]) == _STOPPED


def is_open(sddl: str) -> bool:
    """Say whether somebody beside SYSTEM may stop, change, delete or take a service. Pure."""
    for rights, who in _ALLOWED.findall(sddl.partition("S:(")[0]):
        words = {rights[place : place + 2] for place in range(0, len(rights), 2)}
        if who != "SY" and words & _ENDING:
            return True
    return False
