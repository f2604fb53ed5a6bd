"""What Defender says of itself, and which Windows it is on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from shieldwall.agent.host.cim import DEFENDER, Cim, CimError, CimValue, LanguageModeError
from shieldwall.agent.host.ports import Host
from shieldwall.agent.host.preferences import PREFERENCE_CLASS, SERVICE_STOPPED, STATUS_CLASS, not_answering
from shieldwall.agent.host.windows_machine import WindowsMachine, registry_value, windows_machine

FEATURES_KEY: Final = r"HKLM\SOFTWARE\Microsoft\Windows Defender\Features"
"""Where Defender says whether tamper protection is for exclusions as well. Source: Microsoft, *Tamper protection for
exclusions*."""
_SETTLE_SECONDS: Final = 10.0
"""Defender is told by the registry that its policies changed, and reads them in its own time."""
_STEP_SECONDS: Final = 1.0
TAMPER_EXCLUSIONS: Final = "TPExclusions"
_KEPT_SECONDS: Final = 60.0
"""Every question is a program that starts; which Windows it is does not change while one report is made."""
_ABSENT: Final = (0x8004100E, 0x80041010)


class Sayings(msgspec.Struct, frozen=True, kw_only=True):
    """One answer of Defender. ``failure`` is why there is none; ``absent``: Defender is not on this device.

    ``protects_exclusions``: tamper protection, where it is on, keeps the lists of exclusions too.
    """

    preferences: Mapping[str, CimValue] = msgspec.field(default_factory=dict)
    status: Mapping[str, CimValue] = msgspec.field(default_factory=dict)
    failure: CimError | None = None
    absent: bool = False
    protects_exclusions: bool = False

    def text(self, name: str) -> str:
        """Return a property of the status as text, empty where there is none."""
        value = self.status.get(name)
        return value if isinstance(value, str) else ""

    @property
    def is_tamper_protected(self) -> bool:
        """Whether tamper protection is on."""
        return self.status.get("IsTamperProtected") is True

    @property
    def needs_restart(self) -> bool:
        """Whether Defender waits for a restart of the machine."""
        return self.status.get("RebootRequired") is True


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """The machine and its Defender at one moment."""

    machine: WindowsMachine
    sayings: Sayings


def protects_exclusions(host: Host) -> bool:
    """Say whether tamper protection is for exclusions as well."""
    value = registry_value(host, FEATURES_KEY, TAMPER_EXCLUSIONS)
    return value is not None and value.data == 1


def ask(cim: Cim) -> Sayings:
    """Ask Defender. Never raises for one that does not answer."""
    try:
        preferences = cim.instances(DEFENDER, PREFERENCE_CLASS)
        status = cim.instances(DEFENDER, STATUS_CLASS)
    except CimError as error:
        if error.status in _ABSENT:
            return Sayings(absent=True)
        return Sayings(failure=not_answering(error) if error.status == SERVICE_STOPPED else error)
    return Sayings(preferences=preferences[0] if preferences else {}, status=status[0] if status else {})


@dataclass(slots=True)
class Memory:
    """Remembers for a minute what was seen; what a report says to be in effect is asked anew all the same."""

    cim: Cim
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _changed: float | None = field(default=None, init=False)
    _seen: tuple[float, Looked] | None = field(default=None, init=False)

    def changed(self) -> None:
        """Note that something was written: Defender may take a moment to read its policies."""
        self._changed = self.monotonic()

    def settles(self) -> bool:
        """Wait a second and return true, where something was written so lately that it may not show yet."""
        if self._changed is None or self.monotonic() - self._changed >= _SETTLE_SECONDS:
            return False
        self.sleep(_STEP_SECONDS)
        return True

    def look(self, host: Host) -> Looked:
        """Look at machine and Defender, or remember. Raises: LanguageModeError: PowerShell may not answer here."""
        now = self.monotonic()
        if self._seen is None or now - self._seen[0] >= _KEPT_SECONDS:
            sayings = ask(self.cim)
            if isinstance(sayings.failure, LanguageModeError):
                raise sayings.failure
            self._seen = (now, Looked(machine=windows_machine(self.cim, host), sayings=sayings))
        return self._seen[1]
