"""Microsoft Defender for Endpoint on macOS, through the preferences that its own channel uses.

Where an MDM or Microsoft's own channel manages Defender, the device is theirs (``host.macos.preferences``): we take our
file away, and do not fight. An MDM that comes later is thus obeyed at the next look, for the product ignores it as long
as anything of ours is there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from msgspec import Struct

from shieldwall.agent.host.macos.preferences import ATTACHED, FROM_MDM, find_owner
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers import landing
from shieldwall.agent.providers.base import Desired, Files, Kept, Observation, Rendered, Support
from shieldwall.agent.providers.macos import plist
from shieldwall.agent.providers.mdatp import asking, exclusions, health
from shieldwall.catalog.model import Catalog, Merge, SettingDefinition
from shieldwall.contract.ids import SettingId
from shieldwall.contract.status import ItemStatus, SettingState

APPLICATION: Final = PurePosixPath("/Applications/Microsoft Defender.app")
PREFIX: Final = "com.apple.managedclient.preferences_"
PLATFORM: Final = "macOS"
TAMPER_EXCLUSIONS: Final = "tamperProtection.exclusions"

_UNPUBLISHED: Final = "Nothing is published about where Defender keeps this setting."
_WHY_NOT: Final[Mapping[str, str]] = {
    f"{PREFIX}performanceprofiles": (
        "No published schema of Defender's preferences names performance profiles; on the Mac itself they are chosen "
        "by mdatp performance-profiles."
    ),
}
_PATIENCE_SECONDS: Final = 10.0
"""How long the product may take to notice its file; Microsoft's own scripts wait as long after exchanging it."""
_PAUSE_SECONDS: Final = 0.5


class MacosDefenderProvider(Struct, frozen=True):
    """Writes ``com.microsoft.mdeattach.plist`` and asks ``mdatp health`` what came of it."""

    catalog: Catalog
    path: PurePosixPath = ATTACHED
    """Where the product looks for what comes by MDE Attach."""
    patience_seconds: float = _PATIENCE_SECONDS
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    @property
    def name(self) -> str:
        """Stable lower-case word that appears in statuses: the product is the same as on Linux."""
        return "mdatp"

    def product_version(self, host: Host) -> str | None:
        """Return the version, or a word on why it is not known; ``None`` when the product is not here."""
        return asking.product_version(host) if _present(host) else None

    def support(self, host: Host, setting: SettingId) -> Support | None:
        """Say whether the product takes this setting from us on this machine. Raises: HostError."""
        definition = self.catalog.definitions.get(setting)
        if definition is None or not self.is_decided(definition):
            return None
        if not _present(host):
            return Support(applicable=False, reason="Microsoft Defender for Endpoint is not on this device.")
        owner = find_owner(host, self.path)
        if owner is not None:
            who = "An MDM" if owner in FROM_MDM else "Microsoft's own channel"
            reason = f"Conflict: {who} manages Defender on this device ({owner.name} is there)."
            return Support(applicable=False, reason=reason)
        if definition.landing is None:
            return Support(applicable=False, reason=why_not(setting))
        return Support(applicable=True)

    def files(self) -> tuple[PurePosixPath, ...]:
        """Return the property list of MDE Attach."""
        return (self.path,)

    def render(self, files: Files, desired: Desired, kept: Kept) -> Rendered:
        """Compute the file that holds ``desired`` beside everything no policy speaks about.

        Raises:
            ProviderError: The file is no property list; it is left alone.
        """
        values: dict[plist.Path, Any] = {}
        rejected: dict[SettingId, tuple[ItemStatus, ...]] = {}
        for setting in sorted(desired):
            definition = self.catalog.definition(setting)
            if definition.landing is None:
                continue
            value = landing.encode(self.catalog, setting, desired[setting])
            if not plist.can_hold(value):
                rejected[setting] = (_not_expressible(definition),)
                continue
            value, refused = _accept(definition, value)
            if refused:
                rejected[setting] = refused
            values[_path(definition.landing)] = value
        content, now_kept = plist.apply(plist.undo(files.get(self.path), kept), values)
        return Rendered(files={self.path: content}, kept=now_kept, rejected=rejected)

    def read(self, files: Files) -> Desired:
        """Read every setting of the catalog that stands in the file."""
        paths = {
            _path(definition.landing): definition
            for definition in self.catalog.definitions.values()
            if definition.landing is not None and self.is_decided(definition)
        }
        found: dict[SettingId, Any] = {}
        for path, raw in plist.read(files.get(self.path), paths).items():
            definition = paths[path]
            value = landing.decode(self.catalog, definition.id, raw)
            if value is not None:
                found[definition.id] = value
        return found

    def activate(self, host: Host) -> None:
        """Give the product, which watches its file, the time to take it; what it makes of it, ``observe`` says."""
        wanted = self.read({self.path: host.read_file(self.path)})
        deadline = self.monotonic() + self.patience_seconds
        while wanted and self.monotonic() < deadline:
            answer = asking.ask_health(host)
            if isinstance(answer, Observation) or all(
                seen.effective is not False for seen in self._judged(wanted, answer).values()
            ):
                return
            self.sleep(_PAUSE_SECONDS)

    def observe(self, host: Host, desired: Desired) -> Mapping[SettingId, Observation]:
        """Compare each setting with ``mdatp health``."""
        answer = asking.ask_health(host)
        if isinstance(answer, Observation):
            return dict.fromkeys(desired, answer)
        return self._judged(desired, answer)

    def is_decided(self, definition: SettingDefinition) -> bool:
        """Say whether policies decide this setting of Defender's by itself.

        What stands in an item goes with its group. The schedules are groups whose members are decided one by one, so
        there it is the other way round.
        """
        if definition.platform != PLATFORM or not definition.id.startswith(PREFIX) or definition.merge is Merge.MEMBERS:
            return False
        parents = (self.catalog.definition(each.parent) for each in definition.depends_on)
        return all(parent.merge is Merge.MEMBERS for parent in parents)

    def _judged(self, desired: Desired, answer: health.Health) -> dict[SettingId, Observation]:
        return {
            setting: health.judge(
                self.catalog.definition(setting).landing or "", landing.encode(self.catalog, setting, value), answer
            )
            for setting, value in desired.items()
        }


def why_not(setting: SettingId) -> str:
    """Say why a setting that lands nowhere does not."""
    return _WHY_NOT.get(setting, _UNPUBLISHED)


def _accept(definition: SettingDefinition, value: Any) -> tuple[Any, tuple[ItemStatus, ...]]:
    if definition.landing in {exclusions.ANTIVIRUS, TAMPER_EXCLUSIONS}:
        return exclusions.accept(definition.landing, value, maximum=None)
    return value, ()


def _not_expressible(definition: SettingDefinition) -> ItemStatus:
    return ItemStatus(
        item=definition.display_name[:1024],
        state=SettingState.ERROR,
        code="notExpressible",
        reason="A property list cannot hold this value: it has control characters in it.",
    )


def _path(where: str) -> plist.Path:
    return tuple(where.split("."))


def _present(host: Host) -> bool:
    return host.locate(APPLICATION).is_dir() or host.find_program(asking.PROGRAM) is not None
