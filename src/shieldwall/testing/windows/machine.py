"""A pretended Windows machine: its registry, its management and its files, held together.

Assumptions, and where they are written:

* ``Win32_OperatingSystem`` tells version, build, SKU and ``ProductType``: 1 workstation, 2 domain controller, 3 server.
  Microsoft, *Win32_OperatingSystem class*.
* ``InstallationType`` under ``CurrentVersion`` is ``Client``, ``Server`` or ``Server Core``. Microsoft, *Determining
  whether Server Core is running*.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Final

from shieldwall.agent.host.documents import DocumentHost, DocumentStore
from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.host.registry import MOUNT, RegistryStore, RegistryValue
from shieldwall.agent.host.registry.one_key import KEYS, OneKeyStore
from shieldwall.testing.windows.cim import CimComponent, PretendCim, PretendClass
from shieldwall.testing.windows.registry import PretendRegistry

CURRENT_VERSION: Final = r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion"


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """Which Windows it is. ``sku`` is ``OperatingSystemSKU``, ``version`` ends with the build."""

    caption: str
    version: str
    product_type: int = 1
    sku: int = 4
    installation_type: str = "Client"

    @property
    def build(self) -> str:
        """The build, as text."""
        return self.version.rsplit(".", 1)[-1]


WINDOWS_11: Final = Edition(caption="Microsoft Windows 11 Enterprise", version="10.0.22631")
SERVER_2022: Final = Edition(
    caption="Microsoft Windows Server 2022 Standard",
    version="10.0.20348",
    product_type=3,
    sku=7,
    installation_type="Server",
)
SERVER_CORE_2022: Final = replace(SERVER_2022, sku=13, installation_type="Server Core")
DOMAIN_CONTROLLER_2022: Final = replace(SERVER_2022, product_type=2)


@dataclass(slots=True)
class PretendWindows:
    """One machine. Components join with ``add``; documents of theirs with ``mount``."""

    root: Path
    edition: Edition = WINDOWS_11
    registry: PretendRegistry = field(default_factory=PretendRegistry)
    cim: PretendCim = field(default_factory=PretendCim)
    stores: dict[PurePosixPath, DocumentStore] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Put into registry and management what the edition says of itself."""
        self.stores[MOUNT] = RegistryStore(self.registry)
        self.stores[KEYS] = OneKeyStore(self.registry)
        self.registry.fill(
            CURRENT_VERSION,
            {
                "InstallationType": RegistryValue.text(self.edition.installation_type),
                "CurrentBuildNumber": RegistryValue.text(self.edition.build),
                "ProductName": RegistryValue.text(self.edition.caption.removeprefix("Microsoft ")),
            },
        )
        self.cim.components.append(PretendClass("Win32_OperatingSystem", [_operating_system(self.edition)]))

    def add(self, component: CimComponent) -> None:
        """Let a component answer for its classes."""
        self.cim.components.append(component)

    def mount(self, path: PurePosixPath, store: DocumentStore) -> None:
        """Let a store have the documents below ``path``."""
        self.stores[path] = store

    @property
    def host(self) -> DocumentHost:
        """The machine as the engine sees it."""
        return DocumentHost(LocalHost(self.root, program_directories=()), self.stores)


def _operating_system(edition: Edition) -> Mapping[str, str | int]:
    return {
        "Caption": edition.caption,
        "Version": edition.version,
        "BuildNumber": edition.build,
        "ProductType": edition.product_type,
        "OperatingSystemSKU": edition.sku,
    }
