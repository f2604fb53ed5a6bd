"""Scans with ClamAV's daemon: when they run, what becomes of what they find, and what they let pass."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers import landing, marked_block, systemd, whole_files
from shieldwall.agent.providers.base import Desired, Files, Kept, Observation, ProviderError, Rendered, Support
from shieldwall.agent.providers.clamav import client, daemon
from shieldwall.agent.providers.freshclam.provider import SCAN_PROGRAM
from shieldwall.agent.providers.scans import lists, observing, units
from shieldwall.agent.scanning import policy
from shieldwall.catalog.model import Catalog
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import SettingId

_CLAMD: Final = daemon.CONFIGURATION
_PLAIN: Final = frozenset(
    {
        *(policy.ENFORCEMENT_LEVEL, policy.PASSIVE_MODE, policy.THREAT_TYPES, policy.THREADS),
        *(policy.RETENTION_DAYS, policy.HISTORY_ITEMS, policy.DISALLOWED_ACTIONS),
    }
)
"""Where the settings land that the scan program reads from its policy file and that need nothing else."""
_NEED_SYSTEMD: Final = units.SCHEDULED | {policy.SCAN_AFTER_UPDATE}
_SUPPORTED: Final = _PLAIN | _NEED_SYSTEMD | lists.LISTED
_PREFIX: Final = "linux_"
_LOAD_SECONDS: Final = 180.0
_POLL_SECONDS: Final = 0.2


class ScansProvider:
    """Writes the policy of scans, their units and the lists that clamd judges by."""

    def __init__(
        self,
        catalog: Catalog,
        *,
        program: Sequence[str] = SCAN_PROGRAM,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._catalog = catalog
        self._program = tuple(program)
        self._monotonic = monotonic
        self._sleep = sleep
        self._settings = {
            definition.landing: setting
            for setting, definition in catalog.definitions.items()
            if setting.startswith(_PREFIX) and definition.landing in _SUPPORTED
        }

    @property
    def name(self) -> str:
        """Stable lower-case word that appears in statuses."""
        return "scans"

    def product_version(self, host: Host) -> str | None:
        """Return a word on the state of what scans ask; ``None`` when there is no clamd."""
        content = host.read_file(_CLAMD)
        if content is None:
            return None
        address = daemon.address(host, content)
        return "ready" if address is not None and client.is_alive(address) else "engineNotRunning"

    def support(self, host: Host, setting: SettingId) -> Support | None:
        """Say whether scans can heed this setting."""
        definition = self._catalog.definitions.get(setting)
        if definition is None or setting not in self._settings.values():
            return None
        content = host.read_file(_CLAMD)
        if content is None:
            return Support(applicable=False, reason="ClamAV's daemon is not on this device.")
        if definition.landing in _NEED_SYSTEMD and not systemd.runs(host):
            reason = "Scans are started by timers of systemd, which does not run this machine."
            return Support(applicable=False, reason=reason)
        if definition.landing in lists.LISTED and not _takes_lists(content):
            reason = "clamd takes official signatures alone, or has them in another place, and so no lists of ours."
            return Support(applicable=False, reason=reason)
        return Support(applicable=True)

    def files(self) -> tuple[PurePosixPath, ...]:
        """Return the policy of scans, their units and the lists."""
        return (policy.FILE, *units.FILES, *lists.FILES)

    def render(self, files: Files, desired: Desired, kept: Kept) -> Rendered:
        """Compute the files that hold ``desired``. Pure."""
        planned = lists.plan(self._encoded(desired))
        wanted = self._written(self._encoded(desired), planned)
        rendered, keep = whole_files.render(
            {path: files.get(path) for path in self.files()},
            wanted,
            kept,
            managed=bool(desired),
            was_managed=policy.is_ours(files.get(policy.FILE)),
        )
        rejected = {self._settings[where]: items for where, items in planned.rejected.items()}
        return Rendered(files=rendered, kept=keep, rejected=rejected)

    def read(self, files: Files) -> Desired:
        """Read the settings of the policy file, as far as units and lists are as they follow from it."""
        content = files.get(policy.FILE)
        values = {where: value for where, value in policy.decode(content).items() if where in _SUPPORTED}
        found: dict[SettingId, Any] = {}
        try:
            expected = self._written(values, lists.plan(values))
        except (TypeError, KeyError, ValueError, AttributeError):
            return {}  # not as we write it
        if expected[policy.FILE] != content:
            return {}
        units_right = all(files.get(path) == expected[path] for path in units.FILES)
        lists_right = all(files.get(path) == expected[path] for path in lists.FILES)
        for where, value in values.items():
            right = units_right if where in _NEED_SYSTEMD else lists_right if where in lists.LISTED else True
            decoded = landing.decode(self._catalog, self._settings[where], value) if right else None
            if decoded is not None:
                found[self._settings[where]] = decoded
        return found

    def activate(self, host: Host) -> None:
        """Have systemd take the units and clamd the lists; where one of them does not run there is nothing to do.

        Raises:
            ProviderError: systemd refuses, or clamd does not load the lists.
        """
        try:
            if systemd.runs(host):
                systemd.settle(host, (*units.TIMERS, units.PATH_UNIT))
            content = host.read_file(_CLAMD)
            address = daemon.address(host, content) if content is not None else None
            if content is not None and address is not None and _takes_lists(content) and client.is_alive(address):
                self._load(host, address)
        except HostError as error:
            raise ProviderError(f"Scans cannot be set up: {error.cause}") from error
        except OSError as error:
            raise ProviderError(f"clamd cannot be asked to load the lists: {error}") from error

    def observe(self, host: Host, desired: Desired) -> Mapping[SettingId, Observation]:
        """Ask clamd and systemd, and read the policy as the scan program does."""
        values = self._encoded(desired)
        try:
            seen = self._observed(host, values)
        except ShieldwallError as error:
            return dict.fromkeys(desired, Observation(effective=None, code=error.code, reason=error.cause[:512]))
        return {self._settings[where]: observation for where, observation in seen.items()}

    def supervise(self, host: Host, desired: Desired) -> Sequence[str]:
        """Start timers and the watch again where they should run and do not. Never raises."""
        del desired
        done: list[str] = []
        try:
            if systemd.runs(host):
                for unit in (*units.TIMERS, units.PATH_UNIT):
                    wanted = host.read_file(systemd.UNITS / unit) is not None
                    if wanted and systemd.show(host, unit, "ActiveState").get("ActiveState") != "active":
                        systemd.call(host, "start", unit)
                        done.append(f"{unit} was not running and was started.")
        except ShieldwallError:
            pass  # it shows when the settings are observed
        return tuple(done)

    def _observed(self, host: Host, values: Mapping[str, Any]) -> Mapping[str, Observation]:
        content = host.read_file(_CLAMD) or b""
        takes_lists = _takes_lists(content)
        address = daemon.address(host, content)
        engine = observing.engine(address, lists.plan(values), takes_lists=takes_lists)
        if address is None or not engine.effective:
            return dict.fromkeys(values, engine)
        seen: dict[str, Observation] = {}
        for where in values:
            if where in lists.LISTED:
                seen[where] = observing.listed(address, where, takes_lists=takes_lists)
            elif where == policy.SCAN_AFTER_UPDATE:
                seen[where] = observing.after_updates(host, values)
            elif where in units.SCHEDULED:
                seen[where] = observing.scheduled(host, values)
            else:
                seen[where] = observing.policy_file(host, values)
        return seen

    def _load(self, host: Host, address: Path) -> None:
        written = host.read_file(lists.HASHES)
        values = policy.decode(host.read_file(policy.FILE))
        planned = lists.plan({where: value for where, value in values.items() if where in lists.LISTED})
        if written is None or written != planned.files[lists.HASHES]:
            client.ask(address, "RELOAD")  # the lists went, or are not ours: whatever is there now counts
            return
        if observing.is_loaded(address, planned):
            return
        client.ask(address, "RELOAD")
        deadline = self._monotonic() + _LOAD_SECONDS
        while not observing.is_loaded(address, planned):
            if self._monotonic() > deadline:
                raise ProviderError(f"clamd does not load the lists within {_LOAD_SECONDS:g} seconds.")
            self._sleep(_POLL_SECONDS)

    def _written(self, values: Mapping[str, Any], planned: lists.Lists) -> dict[PurePosixPath, bytes | None]:
        accepted = {**values, **planned.values}
        return {policy.FILE: policy.encode(accepted), **units.render(accepted, self._program), **planned.files}

    def _encoded(self, desired: Desired) -> dict[str, Any]:
        return {
            where: landing.encode(self._catalog, setting, desired[setting])
            for where, setting in self._settings.items()
            if setting in desired and where is not None
        }


def _takes_lists(content: bytes) -> bool:
    """Say whether clamd loads signatures of ours: from the usual place, and not only official ones.

    In a configuration for a clamd outside the managed root, that root stands in front of the usual place.
    """
    places = marked_block.arguments(content, "DatabaseDirectory") or (str(lists.DATABASE),)
    official = marked_block.arguments(content, "OfficialDatabaseOnly") or ("no",)
    return places[0].rstrip("/").endswith(str(lists.DATABASE)) and official[0].lower() not in ("yes", "true", "1")
