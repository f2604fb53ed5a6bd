"""A Windows machine as the engine sees it: files, registry and preferences as one host, the management beside it."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final

from msgspec import Struct

from shieldwall.agent.host import preferences
from shieldwall.agent.host.cim import Cim
from shieldwall.agent.host.documents import DocumentHost, DocumentStore
from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.host.ports import Host
from shieldwall.agent.host.powershell_cim import PowerShellCim
from shieldwall.agent.host.registry import MOUNT, RegistryBackend, RegistryStore
from shieldwall.agent.host.registry.one_key import KEYS, OneKeyStore
from shieldwall.agent.host.registry.winreg_backend import WinregBackend
from shieldwall.agent.places import DEFAULT_ROOT
from shieldwall.agent.platforms import WINDOWS, catalog_of
from shieldwall.agent.providers.registry import Management
from shieldwall.agent.providers.windows_defender.landings import landings, properties

_PROGRAMS: Final = ("Windows/System32", "Windows/System32/WindowsPowerShell/v1.0", "Windows/System32/wbem")


class BuiltWindows(Struct, frozen=True, kw_only=True):
    """One machine: what is enforced on it goes through ``host``."""

    host: Host
    registry: RegistryBackend
    management: Management


def built(files: Host, registry: RegistryBackend, cim: Cim) -> BuiltWindows:
    """Mount registry and preferences beside the files."""
    store = preferences.PreferenceStore(cim, properties(landings(catalog_of(WINDOWS)).values()))
    stores: dict[PurePosixPath, DocumentStore] = {
        MOUNT: RegistryStore(registry),
        KEYS: OneKeyStore(registry),
        preferences.MOUNT: store,
    }
    return BuiltWindows(
        host=DocumentHost(files, stores),
        registry=registry,
        management=Management(cim=cim, refusals=store.refusals),
    )


def this_machine() -> BuiltWindows:
    """Build the machine that this program runs on. Raises: HostError: it is none of Windows."""
    files = LocalHost(DEFAULT_ROOT, program_directories=[DEFAULT_ROOT / place for place in _PROGRAMS])
    return built(files, WinregBackend(), PowerShellCim(files))
