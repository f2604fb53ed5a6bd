"""ClamAV's daemon, for scans on demand, through ``clamd.conf`` and two signatures of our own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers import landing
from shieldwall.agent.providers.base import Desired, Files, Kept, Observation, ProviderError, Rendered, Support
from shieldwall.agent.providers.clamav import canary, client, configuration, daemon, directives, probes, reasons
from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import SettingId

CONFIGURATION: Final = daemon.CONFIGURATION

_PREFIX: Final = "linux_"


class ClamavProvider:
    """Holds a block in ``clamd.conf``, restarts clamd, and asks it whether it sees."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._stopped: Path | None = None
        """The program of a clamd that we ended and that did not come back, so that a roll-back brings it back."""

    @property
    def name(self) -> str:
        """Stable lower-case word that appears in statuses."""
        return "clamav"

    def product_version(self, host: Host) -> str | None:
        """Return clamd's version, or a word on its state; ``None`` when there is no ``clamd.conf``."""
        content = host.read_file(CONFIGURATION)
        if content is None:
            return None
        try:
            address = daemon.address(host, content)
            return "notRunning" if address is None else client.ask(address, "VERSION")[:128]
        except OSError:
            return "notRunning"

    def support(self, host: Host, setting: SettingId) -> Support | None:
        """Say whether clamd can carry out this setting."""
        definition = self._catalog.definitions.get(setting)
        if definition is None or not _is_antivirus_for_linux(setting):
            return None
        if definition.landing not in directives.SUPPORTED:
            return Support(applicable=False, reason=reasons.why_not(definition.landing))
        if host.read_file(CONFIGURATION) is None:
            return Support(applicable=False, reason="ClamAV's daemon is not on this device.")
        return Support(applicable=True)

    def files(self) -> tuple[PurePosixPath, ...]:
        """Return the configuration and our signatures."""
        return (CONFIGURATION, *canary.signatures())

    def render(self, files: Files, desired: Desired, kept: Kept) -> Rendered:
        """Compute the files that hold ``desired`` and leave every line of others as it is.

        Raises:
            ProviderError: There is no ``clamd.conf``, or our block in it is damaged.
        """
        content = files.get(CONFIGURATION)
        if content is None and desired:
            raise ProviderError("There is no clamd.conf.", remedy="Install the package clamav-daemon.")
        foreign = configuration.without_block(content) if content is not None else None
        wanted = bool(desired) and foreign is not None and _takes_canary(foreign)
        was_managed = content is not None and configuration.is_managed(content)
        signatures, keep = canary.render(files, kept, wanted=wanted, was_managed=was_managed, managed=bool(desired))
        if foreign is None or not desired:
            return Rendered(files={CONFIGURATION: foreign, **signatures}, kept=keep)
        settings = {self._catalog.definition(setting).landing or "": setting for setting in desired}
        plan = directives.plan(
            {
                where: landing.encode(self._catalog, setting, desired[setting])
                for where, setting in settings.items()
                if where in directives.SUPPORTED
            }
        )
        only_ours = plan.values.get(directives.EXCLUSIONS_MERGE) == directives.ADMIN_ONLY
        return Rendered(
            files={CONFIGURATION: configuration.with_block(foreign, plan.lines, only_ours=only_ours), **signatures},
            kept=keep,
            rejected={settings[where]: statuses for where, statuses in plan.rejected.items()},
        )

    def read(self, files: Files) -> Desired:
        """Read the settings of our block, as far as clamd sees it as we wrote it."""
        content = files.get(CONFIGURATION) or b""
        values = dict(directives.read(configuration.block(content) or ()))
        if values.get(directives.EXCLUSIONS_MERGE) == directives.ADMIN_ONLY and configuration.foreign_exclusions(
            content
        ):
            del values[directives.EXCLUSIONS_MERGE]
        return self._decoded(values)

    def activate(self, host: Host) -> None:
        """Restart clamd, because it reads its configuration only once; where none runs there is nothing to do.

        Raises:
            ProviderError: It does not stop, does not start or does not answer.
        """
        content = host.read_file(CONFIGURATION)
        if content is None:
            return
        try:
            self._restart(host, content)
        except HostError as error:
            raise ProviderError(f"clamd cannot be restarted: {error.cause}") from error

    def _restart(self, host: Host, content: bytes) -> None:
        if daemon.runs_under_systemd(host):
            daemon.restart_unit(host, content, start=configuration.is_managed(content))
            return
        running = daemon.find(host, content)
        if running is not None:
            daemon.check_restartable(running, content)
            self._stopped = running.program
            daemon.stop(running)
        if self._stopped is not None:
            daemon.start(host, self._stopped, content)
            self._stopped = None

    def observe(self, host: Host, desired: Desired) -> Mapping[SettingId, Observation]:
        """Ask the engine to find our markers, then each setting for its own effect."""
        try:
            content = host.read_file(CONFIGURATION) or b""
        except HostError as error:
            return dict.fromkeys(desired, Observation(effective=None, code=error.code, reason=error.cause[:512]))
        if configuration.first_path(content, "LocalSocket") is None:
            reason = "clamd has no LocalSocket at which it could be asked."
            return dict.fromkeys(desired, Observation(effective=None, code="noLocalSocket", reason=reason))
        address = daemon.address(host, content)
        engine = probes.engine(address, has_canary=_takes_canary(content))
        if address is None or not engine.effective:
            return dict.fromkeys(desired, engine)
        return {
            setting: probes.setting(
                address, self._catalog.definition(setting).landing or "", landing.encode(self._catalog, setting, value)
            )
            for setting, value in desired.items()
        }

    def _decoded(self, values: Mapping[str, Any]) -> Desired:
        settings = {
            definition.landing: setting
            for setting, definition in self._catalog.definitions.items()
            if definition.landing in values and _is_antivirus_for_linux(setting)
        }
        decoded = {
            setting: landing.decode(self._catalog, setting, values[where])
            for where, setting in settings.items()
            if where is not None
        }
        return {setting: value for setting, value in decoded.items() if value is not None}


def _is_antivirus_for_linux(setting: SettingId) -> bool:
    """Say whether this may be ours; on macOS other settings land in places of the same name."""
    return setting.startswith(_PREFIX) and not setting.startswith("linux_shieldwall_")


def _takes_canary(content: bytes) -> bool:
    """Say whether clamd loads signatures of ours: from the usual place, and not only official ones.

    In a configuration for a clamd outside the managed root, that root stands in front of the usual place.
    """
    database = configuration.first(content, "DatabaseDirectory") or str(canary.DATABASE)
    usual = database.rstrip("/").endswith(str(canary.DATABASE))
    return usual and not configuration.is_on(content, "OfficialDatabaseOnly")
