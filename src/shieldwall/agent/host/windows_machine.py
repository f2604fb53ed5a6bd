"""Which Windows this is: client or server, domain controller, Server Core, how new.

Sources: Microsoft, *Win32_OperatingSystem class* (``Version``, ``ProductType``: 1 workstation, 2 domain controller,
3 server) and *Determining whether Server Core is running* (``InstallationType`` in the registry).
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from shieldwall.agent.host.cim import SYSTEM, Cim, CimError, LanguageModeError
from shieldwall.agent.host.ports import Host
from shieldwall.agent.host.registry.model import RegistryValue
from shieldwall.agent.host.registry.one_key import RegistryView

CURRENT_VERSION: Final = r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion"
_DOMAIN_CONTROLLER: Final = 2
_WORKSTATION: Final = 1
_SERVER_CORE: Final = "Server Core"
_PARTS: Final = 3
_LONGEST_NUMBER: Final = 9

BUILD_2012_R2: Final = 9600
BUILD_2016: Final = 14393
BUILD_2019: Final = 17763


class WindowsMachine(Struct, frozen=True, kw_only=True):
    """What a Windows machine says of itself; ``version`` is empty where it says nothing."""

    caption: str = "Windows"
    version: tuple[int, ...] = ()
    product_type: int = _WORKSTATION
    installation_type: str = ""

    @property
    def build(self) -> int:
        """The build, 0 where it is not known."""
        return self.version[2] if len(self.version) >= _PARTS else 0

    @property
    def is_server(self) -> bool:
        """Whether it is a server, a domain controller among them."""
        return self.product_type != _WORKSTATION

    @property
    def is_domain_controller(self) -> bool:
        """Whether it serves a domain."""
        return self.product_type == _DOMAIN_CONTROLLER

    @property
    def is_server_core(self) -> bool:
        """Whether it is a server without a desktop."""
        return self.installation_type == _SERVER_CORE

    @property
    def written_version(self) -> str:
        """The version as Windows writes it."""
        return ".".join(map(str, self.version))


def windows_machine(cim: Cim, host: Host) -> WindowsMachine:
    """Look at the machine. What cannot be read is left out.

    Raises:
        LanguageModeError: PowerShell may not answer here, so nothing can be known of anything.
    """
    try:
        rows = cim.instances(SYSTEM, "Win32_OperatingSystem")
    except LanguageModeError:
        raise
    except CimError:
        rows = ()
    system = rows[0] if rows else {}
    product_type = system.get("ProductType")
    return WindowsMachine(
        caption=str(system.get("Caption") or "Windows").removeprefix("Microsoft ").strip()[:128],
        version=parsed_version(str(system.get("Version") or "")),
        product_type=product_type if isinstance(product_type, int) else _WORKSTATION,
        installation_type=_installation_type(host),
    )


def parsed_version(text: str) -> tuple[int, ...]:
    """Read a version of numbers with dots; empty when it is none."""
    parts = text.split(".")
    if not all(part.isascii() and part.isdigit() and len(part) <= _LONGEST_NUMBER for part in parts):
        return ()
    return tuple(map(int, parts))


def _installation_type(host: Host) -> str:
    value = registry_value(host, CURRENT_VERSION, "InstallationType")
    return value.data if value is not None and isinstance(value.data, str) else ""


def registry_value(host: Host, key: str, name: str) -> RegistryValue | None:
    """Return one value of the registry, ``None`` when it is not there or cannot be read."""
    return RegistryView(host).value(key, name)
