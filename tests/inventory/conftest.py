from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.databases import bare_database, database, database_url
from tests.support.enrolment import running_signer
from tests.support.gate import Gate
from tests.support.office import Office
from tests.support.samples import TENANT_ID, a_package, a_tenant

from shieldwall.server.inventory.nonces import NonceSealer
from shieldwall.server.inventory.onboarding import Onboarding
from shieldwall.server.signer.service import SignerService
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.onboarding import packages
from shieldwall.server.storage.tenants import tenants

__all__ = ["bare_database", "database", "database_url", "gate", "office", "signer", "tenant_database"]


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.fixture
def tenant_database(database: Database) -> Database:
    """A database that knows one tenant."""
    with database.write() as connection:
        tenants.add(connection, a_tenant())
    return database


@pytest.fixture
def signer(tmp_path: Path, office: Office) -> Iterator[SignerService]:
    with running_signer(tmp_path / "signer", office.clock) as running:
        yield running


@pytest.fixture
def gate(tenant_database: Database, office: Office, signer: SignerService) -> Gate:
    with tenant_database.write() as connection:
        packages.add(connection, a_package())
    onboarding = Onboarding(
        tenant_id=TENANT_ID,
        signer=signer,
        sealer=NonceSealer(key=b"n" * 32),
        clock=office.clock,
        new_id=office.new_id,
        on_devices_changed=office.acting.on_devices_changed,
    )
    return Gate(database=tenant_database, office=office, onboarding=onboarding)
