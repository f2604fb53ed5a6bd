"""What the front doors for administrators are given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shieldwall.catalog.model import Catalog
from shieldwall.contract.clock import Clock
from shieldwall.server.settings import ServerSettings
from shieldwall.server.signer.ports import Signer
from shieldwall.server.storage.database import Database
from shieldwall.server.storage.records import Tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminServices:
    """The parts that Graph and the admin center are made of."""

    database: Database
    catalog: Catalog
    signer: Signer
    clock: Clock
    new_id: Callable[[], str]
    tenant: Tenant
    settings: ServerSettings
