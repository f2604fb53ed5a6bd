"""The providers of a device, in the order in which they are asked and carried out; a platform loads its own alone."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from shieldwall.agent import platforms
from shieldwall.agent.host.cim import Cim, CimError
from shieldwall.agent.providers.base import Provider
from shieldwall.catalog.model import Catalog


class Management(Struct, frozen=True, kw_only=True):
    """What is asked on Windows beside files; ``refusals`` notes the properties that Defender refused, by name."""

    cim: Cim
    refusals: Mapping[str, CimError] = field(default_factory=dict)


def providers_for(platform: str, catalog: Catalog, management: Management | None = None) -> tuple[Provider, ...]:
    """Make every provider there is for a platform. ``management`` is needed on Windows.

    Raises:
        ValueError: There is no such platform, or no management for Windows.
    """
    match platform:
        case platforms.LINUX:
            return linux_providers(catalog)
        case platforms.WINDOWS if management is not None:
            return windows_providers(catalog, management)
        case platforms.MACOS:
            return macos_providers(catalog)
        case _:
            raise ValueError(f"There are no providers for {platform} on this machine.")


def linux_providers(catalog: Catalog) -> tuple[Provider, ...]:
    """Make every provider there is for Linux."""
    # ruff: noqa: PLC0415 - each platform's providers import what the others do not have
    from shieldwall.agent.providers.audit import AuditProvider
    from shieldwall.agent.providers.clamav import ClamavProvider
    from shieldwall.agent.providers.freshclam import FreshclamProvider
    from shieldwall.agent.providers.hardening import (
        FapolicydProvider,
        KernelProvider,
        ModulesProvider,
        MountsProvider,
        SentryProvider,
        WatchesProvider,
    )
    from shieldwall.agent.providers.mdatp import MdatpProvider
    from shieldwall.agent.providers.nftables import NftablesProvider
    from shieldwall.agent.providers.packages import PackagesProvider
    from shieldwall.agent.providers.scans import ScansProvider

    return (
        MdatpProvider(catalog),
        ClamavProvider(catalog),
        FreshclamProvider(catalog),
        ScansProvider(catalog),
        PackagesProvider(catalog),
        NftablesProvider(),
        KernelProvider(catalog),
        MountsProvider(catalog),
        ModulesProvider(catalog),
        FapolicydProvider(catalog),
        SentryProvider(catalog),
        WatchesProvider(catalog),
        AuditProvider(catalog),
    )


def windows_providers(catalog: Catalog, management: Management) -> tuple[Provider, ...]:
    """Make every provider there is for Windows."""
    from shieldwall.agent.providers.windows_defender.provider import WindowsDefenderProvider
    from shieldwall.agent.providers.windows_edr.provider import WindowsEdrProvider
    from shieldwall.agent.providers.windows_firewall.provider import WindowsFirewallProvider

    return (
        WindowsDefenderProvider(catalog, management.cim, refusals=management.refusals),
        WindowsFirewallProvider(catalog, management.cim),
        WindowsEdrProvider(catalog, management.cim),
    )


def macos_providers(catalog: Catalog) -> tuple[Provider, ...]:
    """Make every provider there is for macOS."""
    from shieldwall.agent.providers.macos.provider import MacosDefenderProvider

    return (MacosDefenderProvider(catalog),)
