"""Debian's packages of the platform: updated in the window that policies say, to the version that they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers import landing, systemd, whole_files
from shieldwall.agent.providers.base import Desired, Files, Kept, Observation, ProviderError, Rendered, Support
from shieldwall.agent.providers.packages import plan as plans
from shieldwall.catalog.model import Catalog
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import SettingId

_PACKAGE: Final = "clamav-daemon"
"""The package by which the state of the platform shows."""
_EFFECTIVE: Final = Observation(effective=True)
_OFF: Final = Observation(effective=None, code="notInUse", reason="Platform update controls are off.")


class PackagesProvider:
    """Holds packages back outside a window and has them upgraded inside it."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._settings = tuple(setting for setting in plans.SUPPORTED if setting in catalog.definitions)

    @property
    def name(self) -> str:
        """Stable lower-case word that appears in statuses."""
        return "packages"

    def product_version(self, host: Host) -> str | None:
        """Return the installed version of ClamAV's daemon; ``None`` where packages are not Debian's."""
        if not _is_debian(host):
            return None
        try:
            return _installed(host) or "clamavNotInstalled"
        except HostError:
            return "unknownVersion"

    def support(self, host: Host, setting: SettingId) -> Support | None:
        """Say whether updates of packages can be steered by this setting."""
        if setting not in self._settings:
            return None
        if not _is_debian(host):
            return Support(
                applicable=False, reason="Only packages of Debian and its kin (apt) are updated on a schedule."
            )
        if not systemd.runs(host):
            reason = "Updates are started by a timer of systemd, which does not run this machine."
            return Support(applicable=False, reason=reason)
        return Support(applicable=True)

    def files(self) -> tuple[PurePosixPath, ...]:
        """Return the policy, the pins and the units."""
        return plans.FILES

    def render(self, files: Files, desired: Desired, kept: Kept) -> Rendered:
        """Compute the files that hold ``desired``. Pure."""
        planned = plans.plan(self._encoded(desired))
        rendered, keep = whole_files.render(
            {path: files.get(path) for path in plans.FILES},
            planned.files,
            kept,
            managed=bool(desired),
            was_managed=bool(plans.read(files.get(plans.POLICY))),
        )
        rejected = {setting: (status,) for setting, status in planned.rejected.items()}
        return Rendered(files=rendered, kept=keep, rejected=rejected)

    def read(self, files: Files) -> Desired:
        """Read the settings of the policy file, if all that follows from it is as it was written."""
        values = plans.read(files.get(plans.POLICY))
        try:
            planned = plans.plan(values)
        except (TypeError, KeyError, ValueError, IndexError, AttributeError):
            return {}  # not as we write it
        if any(files.get(path) != content for path, content in planned.files.items()):
            return {}
        decoded = {
            setting: landing.decode(self._catalog, setting, planned.values[setting])
            for setting in self._settings
            if setting in planned.values
        }
        return {setting: value for setting, value in decoded.items() if value is not None}

    def activate(self, host: Host) -> None:
        """Have systemd take the timer; pins are read by apt whenever it runs. Raises: ProviderError."""
        if not systemd.runs(host):
            return
        try:
            systemd.settle(host, (plans.TIMER,))
        except HostError as error:
            raise ProviderError(f"The window for updates cannot be set up: {error.cause}") from error

    def observe(self, host: Host, desired: Desired) -> Mapping[SettingId, Observation]:
        """Ask systemd for the window and apt for what it would install."""
        values = self._encoded(desired)
        if values.get(plans.FEATURE) != "enabled":
            return dict.fromkeys(desired, _OFF)
        try:
            window = _window(host, values)
            seen = dict.fromkeys(desired, window)
            if window.effective:
                seen[plans.FEATURE] = _held(host)
                version = _version(host, values)
                seen |= {name: version for name in (plans.VERSION, plans.FIXED) if name in desired}
        except ShieldwallError as error:
            return dict.fromkeys(desired, Observation(effective=None, code=error.code, reason=error.cause[:512]))
        return seen

    def supervise(self, host: Host, desired: Desired) -> Sequence[str]:
        """Start the timer again where it should run and does not. Never raises."""
        del desired
        try:
            if not systemd.runs(host) or host.read_file(plans.TIMER_FILE) is None:
                return ()
            if systemd.show(host, plans.TIMER, "ActiveState").get("ActiveState") == "active":
                return ()
            systemd.call(host, "start", plans.TIMER)
        except ShieldwallError:
            return ()
        return (f"{plans.TIMER} was not running and was started.",)

    def _encoded(self, desired: Desired) -> dict[str, Any]:
        return {name: landing.encode(self._catalog, name, desired[name]) for name in self._settings if name in desired}


def _is_debian(host: Host) -> bool:
    return host.find_program("apt-get") is not None and host.find_program("dpkg-query") is not None


def _window(host: Host, values: Mapping[str, Any]) -> Observation:
    shown = systemd.show(host, plans.TIMER, "ActiveState", "NeedDaemonReload", "TimersCalendar")
    state = shown.get("ActiveState", "unknown")
    if state != "active":
        return Observation(effective=False, code="timerNotActive", reason=f"{plans.TIMER} is {state}.")
    moment = f"OnCalendar={plans.calendar(values)} ;"
    if moment not in shown.get("TimersCalendar", "") or shown.get("NeedDaemonReload") == "yes":
        reason = f"systemd holds another time for {plans.TIMER} than its file says."
        return Observation(effective=False, code="otherTimes", reason=reason)
    result = systemd.show(host, plans.SERVICE, "Result").get("Result", "success")
    if result != "success":
        reason = f"The last update did not succeed ({result}); journalctl -u {plans.SERVICE} says more."
        return Observation(effective=False, code="updateFailed", reason=reason)
    return _EFFECTIVE


def _held(host: Host) -> Observation:
    """Ask apt what it would install outside the window: nothing but what is there."""
    program = host.find_program("apt-cache")
    if program is None:
        return Observation(effective=None, code="programMissing", reason="The program apt-cache is not on this device.")
    said = host.run([program, "policy", _PACKAGE]).stdout.decode(errors="replace")
    shown = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in said.splitlines())}
    candidate = shown.get("Candidate")
    if candidate is None:
        return Observation(effective=None, code="notInstalled", reason=f"apt knows no package {_PACKAGE}.")
    if candidate in ("(none)", shown.get("Installed")):
        return _EFFECTIVE
    reason = f"apt would install {_PACKAGE} {candidate[:64]} outside the window."
    return Observation(effective=False, code="notHeld", reason=reason)


def _version(host: Host, values: Mapping[str, Any]) -> Observation:
    if values.get(plans.VERSION) != "fixed":
        reason = "Whether it is the newest shows only when the window opens and repositories are asked."
        return Observation(effective=None, code="notProvable", reason=reason)
    installed, wanted = _installed(host), str(values[plans.FIXED])
    if installed is not None and _matches(installed, wanted):
        return _EFFECTIVE
    reason = f"{_PACKAGE} {installed or '(not installed)'} is there; {wanted} is installed when the window opens."
    return Observation(effective=None, code="waitsForWindow", reason=reason[:512])


def _installed(host: Host) -> str | None:
    program = host.find_program("dpkg-query")
    if program is None:
        return None
    done = host.run([program, "--show", "--showformat=${Version}", _PACKAGE])
    return done.stdout.decode(errors="replace").strip() or None if done.returncode == 0 else None


def _matches(installed: str, wanted: str) -> bool:
    """Say whether apt takes this version for the pinned one: only a star at the end stands for anything."""
    return installed.startswith(wanted[:-1]) if wanted.endswith("*") else installed == wanted
