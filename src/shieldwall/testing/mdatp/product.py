"""Which value is in effect, and whence: the files of the product and their order of precedence.

Linux: ``mdeattach_managed.json`` replaces ``mdatp_managed.json`` as soon as it is there, but for a few groups; then
local values, then defaults. macOS: MDE Attach, MDM, local, defaults, where anything in Attach makes the product ignore
the MDM.
"""

from __future__ import annotations

import json
import plistlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

Platform = Literal["linux", "macos"]
Source = Literal["attach", "managed", "local", "default"]
"""``managed`` is what other management tools bring: the managed file on Linux, the MDM's profile on macOS."""

BEHAVIOUR: Final = "pretend-mdatp.json"
"""The file below the root that says what goes wrong."""

_STILL_MERGED: Final = ("exclusionSettings", "offlineDefinitionUpdate", "proxy")
_COMMON: Final[Mapping[str, Any]] = {
    "antivirusEngine.enableRealTimeProtection": None,
    "antivirusEngine.passiveMode": None,
    "cloudService.enabled": True,
    "cloudService.automaticSampleSubmissionConsent": "safe",
    "cloudService.automaticDefinitionUpdateEnabled": True,
}
DEFAULTS: Final[Mapping[Platform, Mapping[str, Any]]] = {
    "linux": {
        **_COMMON,
        "antivirusEngine.enforcementLevel": "passive",
        "antivirusEngine.behaviorMonitoring": "disabled",
        "networkProtection.enforcementLevel": "disabled",
    },
    "macos": {
        **_COMMON,
        "antivirusEngine.enforcementLevel": "real_time",
        "features.behaviorMonitoring": "disabled",
        "networkProtection.enforcementLevel": "audit",
        "tamperProtection.enforcementLevel": "audit",
        "edr.earlyPreview": False,
        "edr.groupIds": "",
        "edr.tags": [],
    },
}
"""What the product does by itself, by where the setting lands."""


@dataclass(frozen=True, kw_only=True)
class Files:
    """Where the product keeps what it is told, below the root."""

    attached: str
    managed: tuple[str, ...]
    local: str


FILES: Final[Mapping[Platform, Files]] = {
    "linux": Files(
        attached="etc/opt/microsoft/mdatp/managed/mdeattach_managed.json",
        managed=("etc/opt/microsoft/mdatp/managed/mdatp_managed.json",),
        local="etc/opt/microsoft/mdatp/wdavcfg",
    ),
    "macos": Files(
        attached="Library/Preferences/com.microsoft.mdeattach.plist",
        managed=(
            "Library/Managed Preferences/com.microsoft.wdav.plist",
            "Library/Managed Preferences/com.microsoft.wdav.ext.plist",
        ),
        local="Library/Application Support/Microsoft/Defender/wdavcfg",
    ),
}


@dataclass(frozen=True, kw_only=True)
class Product:
    """The product on the machine whose ``/`` is ``root``."""

    root: Path
    platform: Platform

    @property
    def behaviour(self) -> Mapping[str, Any]:
        """What goes wrong."""
        return _json(self.root / BEHAVIOUR)

    @property
    def files(self) -> Files:
        """Where things are."""
        return FILES[self.platform]

    @property
    def attached(self) -> Mapping[str, Any]:
        """What the channel of MDE Attach gives."""
        return self._read(self.root / self.files.attached)

    @property
    def is_attached(self) -> bool:
        """Whether the channel of MDE Attach owns the device: on Linux by an empty file as well."""
        return (self.root / self.files.attached).exists() if self.platform == "linux" else bool(self.attached)

    @property
    def managed(self) -> Mapping[str, Any]:
        """What other management tools give, as far as the product heeds it."""
        found: dict[str, Any] = {}
        for path in reversed(self.files.managed):  # of two profiles, the top level alone is put together
            found |= self._read(self.root / path)
        if not self.is_attached:
            return found
        kept = _STILL_MERGED if self.platform == "linux" else ()
        return {name: found[name] for name in kept if name in found}

    @property
    def local(self) -> dict[str, Any]:
        """What ``mdatp config`` has set."""
        return dict(_json(self.root / self.files.local))

    def effective(self, landing: str) -> tuple[Any, Source]:
        """Return the value in effect, and whence it comes."""
        return next(self._candidates(landing))

    def tamper_protection(self) -> tuple[str, str]:
        """Return the level in effect and its source, in the words of ``mdatp health --details tamper_protection``."""
        value, source = self.effective("tamperProtection.enforcementLevel")
        portal = self.behaviour.get("portalTamperProtection")
        if source == "default":
            return (portal, "portal") if portal is not None else (value, "defaults")
        return value, "local" if source == "local" else "mdm"

    def set_local(self, landing: str, value: Any) -> None:
        """Set a value as ``mdatp config`` does."""
        group, name = landing.split(".")
        local = self.local
        local.setdefault(group, {})[name] = value
        path = self.root / self.files.local
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(local))

    def _candidates(self, landing: str) -> Iterator[tuple[Any, Source]]:
        sources: tuple[tuple[Source, Mapping[str, Any]], ...] = (
            ("attach", self.attached),
            ("managed", self.managed),
            ("local", self.local),
        )
        for source, document in sources:
            value = get(document, landing)
            if value is not None:
                yield value, source
        yield DEFAULTS[self.platform][landing], "default"

    def _read(self, path: Path) -> Mapping[str, Any]:
        """Read a file that the product watches; what it has not noticed yet is as if it were not there."""
        try:
            now = time.time()  # noqa: TID251 - a program of its own, which has nobody to take a clock from
            if now - path.stat().st_mtime < self.behaviour.get("noticeSeconds", 0):
                return {}
            return _plist(path) if self.platform == "macos" else _json(path)
        except OSError:
            return {}


def get(document: Any, landing: str) -> Any:
    """Return what stands at a dotted place, ``None`` when nothing does."""
    for name in landing.split("."):
        document = document.get(name) if isinstance(document, dict) else None
    return document


def _json(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _plist(path: Path) -> Mapping[str, Any]:
    try:
        found = plistlib.loads(path.read_bytes())
    except Exception:  # noqa: BLE001 - a file that is no property list is one that the product does not heed
        return {}
    return found if isinstance(found, dict) else {}
