"""Microsoft Defender for Endpoint on Linux, through its documented managed configuration file.

Where Microsoft's own channel writes (``mdeattach_managed.json``), the device is Microsoft's: the product then ignores
our file for most settings, and we do not fight over it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from msgspec import Struct

from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers import landing
from shieldwall.agent.providers.base import Desired, Files, Kept, Observation, Rendered, Support
from shieldwall.agent.providers.mdatp import asking, exclusions, health, managed
from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import SettingId
from shieldwall.contract.status import ItemStatus

DIRECTORY: Final = PurePosixPath("/etc/opt/microsoft/mdatp")
MANAGED: Final = DIRECTORY / "managed/mdatp_managed.json"
ATTACHED: Final = DIRECTORY / "managed/mdeattach_managed.json"

_PREFIX: Final = "linux_"
_LANDING: Final = re.compile(r"[A-Za-z]+(\.[A-Za-z]+)+\Z")


class MdatpProvider(Struct, frozen=True):
    """Writes ``mdatp_managed.json`` and asks ``mdatp health`` what came of it."""

    catalog: Catalog

    @property
    def name(self) -> str:
        """Stable lower-case word that appears in statuses."""
        return "mdatp"

    def product_version(self, host: Host) -> str | None:
        """Return the version, or a word on why it is not known; ``None`` when the product is not here."""
        return asking.product_version(host) if _present(host) else None

    def support(self, host: Host, setting: SettingId) -> Support | None:
        """Say whether the product takes this setting from us on this machine."""
        definition = self.catalog.definitions.get(setting)
        if definition is None or definition.platform != "linux" or not _is_microsofts(setting):
            return None
        if not _present(host):
            return Support(applicable=False, reason="Microsoft Defender for Endpoint is not on this device.")
        if host.read_file(ATTACHED) is not None:
            return Support(
                applicable=False,
                reason=f"Conflict: Microsoft's own channel manages Defender on this device ({ATTACHED.name} is there).",
            )
        if _path(definition.landing) is None:
            return Support(applicable=False, reason="Nothing is published about where Defender keeps this setting.")
        return Support(applicable=True)

    def files(self) -> tuple[PurePosixPath, ...]:
        """Return the managed configuration file."""
        return (MANAGED,)

    def render(self, files: Files, desired: Desired, kept: Kept) -> Rendered:
        """Compute the file that holds ``desired`` beside everything no policy speaks about.

        Raises:
            ProviderError: The file is not strict JSON; it is left alone.
        """
        values: dict[tuple[str, ...], Any] = {}
        rejected: dict[SettingId, tuple[ItemStatus, ...]] = {}
        for setting in sorted(desired):
            path = _path(self.catalog.definition(setting).landing)
            if path is None:
                continue
            value = landing.encode(self.catalog, setting, desired[setting])
            if ".".join(path) in exclusions.LANDINGS:
                value, refused = exclusions.accept(".".join(path), value)
                if refused:
                    rejected[setting] = refused
            values[path] = value
        content, now_kept = managed.apply(managed.undo(files.get(MANAGED), kept), values)
        return Rendered(files={MANAGED: content}, kept=now_kept, rejected=rejected)

    def read(self, files: Files) -> Desired:
        """Read every setting of the catalog that stands in the file."""
        paths = {
            path: setting
            for setting, definition in self.catalog.definitions.items()
            if _is_microsofts(setting) and (path := _path(definition.landing)) is not None
        }
        found: dict[SettingId, Any] = {}
        for path, raw in managed.read(files.get(MANAGED), paths).items():
            plain = exclusions.without_scope(raw) if ".".join(path) == exclusions.GLOBAL else raw
            value = landing.decode(self.catalog, paths[path], plain)
            if value is not None:
                found[paths[path]] = value
        return found

    def activate(self, host: Host) -> None:
        """Do nothing: the product watches its managed file and takes changes without a restart."""

    def observe(self, host: Host, desired: Desired) -> Mapping[SettingId, Observation]:
        """Compare each setting with ``mdatp health``."""
        answer = asking.ask_health(host)
        if isinstance(answer, Observation):
            return dict.fromkeys(desired, answer)
        return {
            setting: health.judge(
                self.catalog.definition(setting).landing or "", landing.encode(self.catalog, setting, value), answer
            )
            for setting, value in desired.items()
        }


def _present(host: Host) -> bool:
    return host.locate(DIRECTORY).is_dir() or host.find_program(asking.PROGRAM) is not None


def _is_microsofts(setting: SettingId) -> bool:
    return setting.startswith(_PREFIX) and not setting.startswith("linux_shieldwall_")


def _path(where: str | None) -> tuple[str, ...] | None:
    return tuple(where.split(".")) if where is not None and _LANDING.match(where) else None
