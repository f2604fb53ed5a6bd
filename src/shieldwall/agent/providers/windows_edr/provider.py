"""The provider of Defender for Endpoint on Windows."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Final

from shieldwall.agent.host.cim import Cim
from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.ports import Host
from shieldwall.agent.host.windows_machine import registry_value
from shieldwall.agent.providers.base import Desired, Files, Kept, Observation, Rendered, Support
from shieldwall.agent.providers.windows_edr import sensing, writing
from shieldwall.agent.providers.windows_edr.writing import (
    FREQUENCY,
    FROM_CONNECTOR,
    NOTES,
    OFFBOARD,
    OFFBOARDING,
    ONBOARDING,
    POLICY,
    PREFIX,
    SAMPLES,
    TYPE,
)
from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import SettingId

_START_SECONDS: Final = 60.0
_NOT_HERE: Final = "Defender for Endpoint's service Sense is not on this device."
_NOT_OURS: Final[Mapping[SettingId, str]] = {
    FREQUENCY: "Defender for Endpoint does not know this setting any more; it reports at one rate.",
    FROM_CONNECTOR: "Only a service that is connected to Defender for Endpoint knows this package; take an own one.",
}
_NOT_PROBED: Final = Observation(
    effective=None, code="notProbed", reason="Defender for Endpoint shows nowhere whether samples may be fetched."
)


class WindowsEdrProvider:
    """Keeps the packages and the policy of Defender for Endpoint in the registry, and asks its sensor."""

    def __init__(self, catalog: Catalog, cim: Cim) -> None:
        """Make the provider of one machine."""
        self._catalog = catalog
        self._cim = cim

    @property
    def name(self) -> str:
        """Word in statuses."""
        return "windowsedr"

    def product_version(self, host: Host) -> str | None:
        """Return in a word whether the device is onboarded."""
        if not sensing.is_here(host):
            return None
        state = registry_value(host, sensing.STATUS_KEY, "OnboardingState")
        return "onboarded" if state is not None and state.data == 1 else "notOnboarded"

    def support(self, host: Host, setting: SettingId) -> Support | None:
        """Claim the settings of Defender for Endpoint, and say which nobody can enforce."""
        if not setting.startswith(PREFIX) or setting not in self._catalog.definitions:
            return None
        reason = _NOT_OURS.get(setting) or ("" if sensing.is_here(host) else _NOT_HERE)
        return Support(applicable=not reason, reason=reason)

    def files(self) -> tuple[PurePosixPath, ...]:
        """Return the policy and our notes beside it."""
        return (POLICY, NOTES)

    def render(self, files: Files, desired: Desired, kept: Kept) -> Rendered:
        """Compute what the registry shall hold. Raises: HostError: A part of it cannot be read as one."""
        return writing.render(files, desired, kept)

    def read(self, files: Files) -> Desired:
        """Read back what we wrote, where it still stands."""
        return writing.read(files)

    def activate(self, host: Host) -> None:
        """Start the sensor where a package waits for it; it takes up its policy by itself.

        Where it cannot be started it may start later: what came of it is what ``observe`` looks at.
        """
        found = self.read({path: host.read_file(path) for path in self.files()})
        program = host.find_program("sc.exe")
        if TYPE in found and program is not None:
            with contextlib.suppress(HostError):
                host.run([program, "start", sensing.SERVICE], timeout_seconds=_START_SECONDS)

    def observe(self, host: Host, desired: Desired) -> Mapping[SettingId, Observation]:
        """Ask the sensor what came of the package."""
        found = sensing.sensed(self._cim, host)
        come = (
            sensing.offboarding(found)
            if desired.get(TYPE) == OFFBOARD
            else sensing.onboarding(found, desired.get(ONBOARDING))
        )
        judged = {TYPE: come, ONBOARDING: come, OFFBOARDING: come, SAMPLES: _NOT_PROBED}
        return {setting: judged[setting] for setting in desired if setting in judged}
