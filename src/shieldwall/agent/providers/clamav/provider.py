"""ClamAV: its daemon through ``clamd.conf`` and signatures of our own, and the look at files as they are opened."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers import landing, whole_files
from shieldwall.agent.providers.base import Desired, Files, Kept, Observation, ProviderError, Rendered, Support
from shieldwall.agent.providers.clamav import (
    access,
    canary,
    client,
    configuration,
    daemon,
    directives,
    landings,
    levels,
    onaccess,
    reasons,
    watchful,
)
from shieldwall.agent.providers.clamav.observing import observe
from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import SettingId
from shieldwall.contract.status import ItemStatus, SettingState

CONFIGURATION: Final = daemon.CONFIGURATION

_PREFIX: Final = "linux_"
_ON_ACCESS: Final = "onAccess"
_NEED_CURRENT_FILES: Final = directives.ON_ACCESS | {landings.EXCLUSIONS, landings.GLOBAL_EXCLUSIONS}
"""Settings that are not as they should be while the files of the look at opens are not."""


class ClamavProvider:
    """Holds a block in ``clamd.conf``, lets clamd and the look at opens run, and asks both whether they see."""

    def __init__(self, catalog: Catalog, *, python: Sequence[str] = (sys.executable, "-I", "-m")) -> None:
        """``python`` are the words before the name of a module that is to be run."""
        self._catalog = catalog
        self._python = tuple(python)
        self._watch = watchful.Watch(self._python)

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
        if landings.is_elsewhere(setting, definition.landing):
            return None
        if definition.landing not in directives.SUPPORTED:
            return Support(applicable=False, reason=reasons.why_not(setting, definition.landing))
        if host.read_file(CONFIGURATION) is None:
            return Support(applicable=False, reason="ClamAV's daemon is not on this device.")
        if definition.landing in directives.ON_ACCESS and (why := access.why_impossible(host)) is not None:
            return Support(applicable=False, reason=why)
        return Support(applicable=True)

    def files(self) -> tuple[PurePosixPath, ...]:
        """Return the configuration, our signatures, what the look at opens takes, and what only the device says."""
        return (CONFIGURATION, *canary.signatures(), *onaccess.FILES, onaccess.LOCAL)

    def render(self, files: Files, desired: Desired, kept: Kept) -> Rendered:
        """Compute the files that hold ``desired`` and leave every line of others as it is.

        Raises:
            ProviderError: There is no ``clamd.conf``, our block in it is damaged, or local choices make no sense.
        """
        content = files.get(CONFIGURATION)
        if content is None and desired:
            raise ProviderError("There is no clamd.conf.", remedy="Install the package clamav-daemon.")
        foreign = configuration.without_block(content) if content is not None else None
        wanted = bool(desired) and foreign is not None and takes_canary(foreign)
        was_managed = content is not None and configuration.is_managed(content)
        managed = bool(desired) and foreign is not None
        signatures, keep = canary.render(files, kept, wanted=wanted, was_managed=was_managed, managed=bool(desired))
        settings = {self._catalog.definition(setting).landing or "": setting for setting in desired}
        values, refused = _without_impossible(self._encoded(desired), foreign or b"")
        plan = directives.plan(values)
        only_ours = plan.values.get(landings.EXCLUSIONS_MERGE) == landings.ADMIN_ONLY
        new = (
            configuration.with_block(foreign, plan.lines, only_ours=only_ours)
            if managed and foreign is not None
            else foreign
        )
        watching, watching_kept = whole_files.render(
            {path: files.get(path) for path in onaccess.FILES},
            self._watching_files(plan, files, new) if managed else dict.fromkeys(onaccess.FILES),
            kept.get(_ON_ACCESS, {}),
            managed=bool(desired),
            was_managed=was_managed,
        )
        return Rendered(
            files={CONFIGURATION: new, **signatures, **watching},
            kept={**keep, _ON_ACCESS: watching_kept} if watching_kept else keep,
            rejected={settings[where]: statuses for where, statuses in {**plan.rejected, **refused}.items()},
        )

    def read(self, files: Files) -> Desired:
        """Read the settings of our block, as far as clamd and the look at opens see them as we wrote them."""
        content = files.get(CONFIGURATION) or b""
        plan = directives.read(configuration.block(content) or ())
        values = dict(plan.values)
        if values.get(landings.EXCLUSIONS_MERGE) == landings.ADMIN_ONLY and configuration.foreign_exclusions(content):
            del values[landings.EXCLUSIONS_MERGE]
        if not self._are_current(plan, files, content):
            values = {where: value for where, value in values.items() if where not in _NEED_CURRENT_FILES}
        return self._decoded(values)

    def activate(self, host: Host) -> None:
        """Restart clamd where it has to read its configuration anew, and let run what looks at opens, or end it.

        Raises:
            ProviderError: Something does not stop, does not start or does not answer.
        """
        try:
            self._watch.activate(host)
        except (HostError, OSError) as error:
            cause = error.cause if isinstance(error, HostError) else str(error)
            raise ProviderError(f"ClamAV cannot be restarted: {cause}") from error

    def observe(self, host: Host, desired: Desired) -> Mapping[SettingId, Observation]:
        """Ask the engine to find our markers, open files that must be denied, then look at each setting for itself."""
        try:
            content = host.read_file(CONFIGURATION) or b""
        except HostError as error:
            return dict.fromkeys(desired, Observation(effective=None, code=error.code, reason=error.cause[:512]))
        values = {self._catalog.definition(setting).landing or "": setting for setting in desired}
        seen = observe(host, content, self._encoded(desired), has_canary=takes_canary(content))
        self._watch.note(seen)
        return {setting: seen[where] for where, setting in values.items()}

    def supervise(self, host: Host, desired: Desired) -> Sequence[str]:
        """Bring back clamd, and what looks at opens, where they are needed and down; end what hangs. Never raises."""
        return self._watch.supervise(host) if desired else ()

    def local(self, files: Files, kept: Kept) -> Desired:
        """Read what ``clamd.conf`` says without us, as far as it is said in words of policies."""
        del kept
        try:
            foreign = configuration.without_block(files.get(CONFIGURATION) or b"")
        except ProviderError:
            return {}
        return self._decoded(directives.local(foreign))

    def _watching_files(
        self, plan: directives.Plan, files: Files, content: bytes | None
    ) -> Mapping[PurePosixPath, bytes | None]:
        chosen = onaccess.local(files.get(onaccess.LOCAL))
        return onaccess.files(plan.recorded, chosen, content or b"", self._python)

    def _are_current(self, plan: directives.Plan, files: Files, content: bytes) -> bool:
        """Say whether the files of the look at opens are as the block says; without one there is nothing to say."""
        try:
            wanted = self._watching_files(plan, files, content)
        except ProviderError:
            return False
        wants_any = any(ours is not None for ours in wanted.values())
        return not wants_any or all(files.get(path) == ours for path, ours in wanted.items() if ours is not None)

    def _encoded(self, desired: Desired) -> dict[str, Any]:
        return {
            where: landing.encode(self._catalog, setting, value)
            for setting, value in desired.items()
            if (where := self._catalog.definition(setting).landing or "") in directives.SUPPORTED
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


def _without_impossible(
    values: Mapping[str, Any], foreign: bytes
) -> tuple[Mapping[str, Any], Mapping[str, tuple[ItemStatus, ...]]]:
    """Leave out levels that ask for a look at opens where clamd has no socket at which it could be asked."""
    level = levels.level_of(values)
    if level is None or not level.watches or configuration.first_path(foreign, "LocalSocket") is not None:
        return values, {}
    reason = "clamd has no LocalSocket, so it cannot be asked about files that are opened."
    refused = ItemStatus(item=level.value, state=SettingState.ERROR, code="noLocalSocket", reason=reason)
    spoken = [where for where in levels.LANDINGS if where in values]
    return {where: value for where, value in values.items() if where not in spoken}, dict.fromkeys(spoken, (refused,))


def _is_antivirus_for_linux(setting: SettingId) -> bool:
    """Say whether this may be ours; on macOS other settings land in places of the same name."""
    return setting.startswith(_PREFIX) and not setting.startswith("linux_shieldwall_")


def takes_canary(content: bytes) -> bool:
    """Say whether clamd loads signatures of ours: from the usual place, and not only official ones.

    In a configuration for a clamd outside the managed root, that root stands in front of the usual place.
    """
    database = configuration.first(content, "DatabaseDirectory") or str(canary.DATABASE)
    usual = database.rstrip("/").endswith(str(canary.DATABASE))
    return usual and not configuration.is_on(content, "OfficialDatabaseOnly")
