"""The providers of a Linux device, in the order in which they are asked and carried out."""

from __future__ import annotations

from shieldwall.agent.providers.audit import AuditProvider
from shieldwall.agent.providers.base import Provider
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
from shieldwall.catalog.model import Catalog


def linux_providers(catalog: Catalog) -> tuple[Provider, ...]:
    """Make every provider there is for Linux."""
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
