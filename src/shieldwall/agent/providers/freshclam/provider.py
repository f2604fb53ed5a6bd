"""ClamAV's freshclam: where definitions come from and how often, through ``freshclam.conf`` and a timer of our own."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any, Final

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.in_time import HungError
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers import landing, marked_block, systemd, whole_files
from shieldwall.agent.providers.base import Desired, Files, Kept, Observation, ProviderError, Rendered, Support
from shieldwall.agent.providers.freshclam import directives, observing, units, updating
from shieldwall.catalog.model import Catalog
from shieldwall.contract.clock import Clock
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import SettingId

CONFIGURATION: Final = updating.CONFIGURATION
SCAN_PROGRAM: Final = (sys.executable, "-I", "-m", "shieldwall.agent.scanning")
"""How units start the scan program: with the very Python that runs the agent."""

_PREFIX: Final = "linux_"
_TRY_AGAIN: Final = timedelta(minutes=10)


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """See ``Clock.now``."""
        return datetime.now(UTC)  # noqa: TID251 - this is the edge where time comes in


class FreshclamProvider:
    """Holds a block in ``freshclam.conf`` and a timer, and looks at what the last run came to."""

    def __init__(self, catalog: Catalog, *, clock: Clock | None = None, program: Sequence[str] = SCAN_PROGRAM) -> None:
        self._catalog = catalog
        self._clock = clock or SystemClock()
        self._program = tuple(program)
        self._settings = {
            definition.landing: setting
            for setting, definition in catalog.definitions.items()
            if setting.startswith(_PREFIX) and definition.landing in directives.SUPPORTED
        }

    @property
    def name(self) -> str:
        """Stable lower-case word that appears in statuses."""
        return "freshclam"

    def product_version(self, host: Host) -> str | None:
        """Return the version of the vendor's daily database, or a word; ``None`` when there is no freshclam."""
        content = host.read_file(CONFIGURATION)
        if content is None:
            return None
        try:
            found = updating.databases(host, content)
        except HungError:
            return "notReadable"
        return f"daily {found.version}" if found.version else "ownDefinitions" if found.newest else "noDefinitions"

    def support(self, host: Host, setting: SettingId) -> Support | None:
        """Say whether freshclam can carry out this setting."""
        if setting not in self._settings.values():
            return None
        if host.read_file(CONFIGURATION) is None:
            return Support(applicable=False, reason="freshclam is not on this device.")
        return Support(applicable=True)

    def files(self) -> tuple[PurePosixPath, ...]:
        """Return the configuration and the units."""
        return (CONFIGURATION, *units.FILES)

    def render(self, files: Files, desired: Desired, kept: Kept) -> Rendered:
        """Compute the files that hold ``desired`` and leave every line of others as it is.

        Raises:
            ProviderError: There is no ``freshclam.conf``, or our block in it is damaged.
        """
        content = files.get(CONFIGURATION)
        if content is None and desired:
            raise ProviderError("There is no freshclam.conf.", remedy="Install the package clamav-freshclam.")
        foreign = directives.FILE.without_block(content) if content is not None else None
        planned = directives.plan(self._encoded(desired), foreign or b"")
        own, keep = whole_files.render(
            {path: files.get(path) for path in units.FILES},
            units.render(planned.values, self._program),
            kept,
            managed=bool(desired),
            was_managed=content is not None and marked_block.is_managed(content),
        )
        managed = directives.content(planned, foreign) if desired and foreign is not None else foreign
        return Rendered(
            files={CONFIGURATION: managed, **own},
            kept=keep,
            rejected={self._settings[where]: (status,) for where, status in planned.rejected.items()},
        )

    def read(self, files: Files) -> Desired:
        """Read the settings of our block, as far as file and units are as we wrote them."""
        values = self._found(files)
        decoded = {
            self._settings[where]: landing.decode(self._catalog, self._settings[where], value)
            for where, value in values.items()
        }
        return {setting: value for setting, value in decoded.items() if value is not None}

    def local(self, files: Files, kept: Kept) -> Desired:
        """Read what the lines of others say of the same settings. Pure."""
        del kept
        foreign = directives.FILE.without_block(files.get(CONFIGURATION) or b"")
        decoded = {
            self._settings[where]: landing.decode(self._catalog, self._settings[where], value)
            for where, value in directives.local(foreign).items()
        }
        return {setting: value for setting, value in decoded.items() if value is not None}

    def activate(self, host: Host) -> None:
        """Have definitions fetched as the files say: by the timer, or here and now where systemd does not run.

        An update that fails is no reason to go back, since a mirror that is down today answers tomorrow; it shows when
        the settings are observed.

        Raises:
            ProviderError: systemd refuses.
        """
        try:
            content = host.read_file(CONFIGURATION)
            should_run = content is not None and self._should_run(host, content)
            if systemd.runs(host):  # also where the package is gone: the timer goes with its file
                _activate_units(host, run_now=should_run)
            elif should_run:
                updating.update(host, self._clock)
        except HostError as error:
            raise ProviderError(f"Definitions cannot be updated: {error.cause}") from error

    def observe(self, host: Host, desired: Desired) -> Mapping[SettingId, Observation]:
        """Look at the last run, the age of the definitions and the timer."""
        try:
            content = host.read_file(CONFIGURATION) or b""
            seen = observing.observe(host, self._encoded(desired), content, self._clock.now())
        except ShieldwallError as error:
            return dict.fromkeys(desired, Observation(effective=None, code=error.code, reason=error.cause[:512]))
        return {self._settings[where]: observation for where, observation in seen.items()}

    def supervise(self, host: Host, desired: Desired) -> Sequence[str]:
        """Start the timer again, or where there is none run freshclam when its time has come. Never raises."""
        values = self._encoded(desired)
        if not directives.governs(values):
            return ()
        try:
            if systemd.runs(host):
                if systemd.show(host, units.TIMER, "ActiveState").get("ActiveState") == "active":
                    return ()
                systemd.call(host, "start", units.TIMER)
                return (f"{units.TIMER} was not running and was started.",)
            run = updating.last(host)
            due = timedelta(seconds=directives.seconds(values))
            if run is not None and _is_within(self._clock.now() - datetime.fromisoformat(run.at), due):
                return ()
            return (f"freshclam was run: {updating.update(host, self._clock).outcome}.",)
        except ShieldwallError:
            return ()

    def _should_run(self, host: Host, content: bytes) -> bool:
        """Say whether to run freshclam now: the block asks for it, and the same did not fail a moment ago."""
        values = directives.read(marked_block.block(content) or ())
        if not directives.governs(values):
            return False
        run = updating.last(host)
        failed_lately = (
            run is not None
            and run.configuration == updating.digest_of(content)
            and run.outcome not in updating.GOOD
            and _is_within(self._clock.now() - datetime.fromisoformat(run.at), _TRY_AGAIN)
        )
        return not failed_lately

    def _found(self, files: Files) -> Mapping[str, Any]:
        content = files.get(CONFIGURATION) or b""
        values = directives.read(marked_block.block(content) or ())
        try:
            foreign = directives.FILE.without_block(content)
            planned = directives.plan(values, foreign)
            if not values or directives.content(planned, foreign) != content:
                return {}
        except (ProviderError, TypeError, ValueError):
            return {}
        as_written = all(files.get(path) == ours for path, ours in units.render(values, self._program).items())
        timed = (directives.AUTOMATIC, directives.INTERVAL)
        return {where: value for where, value in planned.values.items() if as_written or where not in timed}

    def _encoded(self, desired: Desired) -> dict[str, Any]:
        return {
            where: landing.encode(self._catalog, setting, desired[setting])
            for where, setting in self._settings.items()
            if setting in desired and where is not None
        }


def _is_within(passed: timedelta, time: timedelta) -> bool:
    """Say whether so much time has not passed yet; what a clock that was ahead noted for the future is over."""
    return timedelta(0) <= passed < time


def _activate_units(host: Host, *, run_now: bool) -> None:
    systemd.settle(host, (units.TIMER,))
    if host.read_file(units.DAEMON_OFF) is not None:
        systemd.stop(host, units.DAEMON)
    elif systemd.call(host, "is-enabled", "--quiet", units.DAEMON, tolerate=True):
        systemd.call(host, "restart", "--no-block", units.DAEMON)
    else:
        systemd.call(host, "try-restart", units.DAEMON, tolerate=True)
    if run_now and host.read_file(units.SERVICE_FILE) is not None:
        systemd.call(host, "start", "--no-block", units.SERVICE)
