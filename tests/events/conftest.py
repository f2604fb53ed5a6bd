from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest
from tests.support.admin import AdminWorld, create_admin_world
from tests.support.databases import bare_database, database, database_url
from tests.support.receivers import trusting_receivers

from shieldwall.server.outgoing.client import Outgoing
from shieldwall.server.outgoing.rules import Address, OutgoingRules
from shieldwall.server.storage.database import Database

__all__ = ["bare_database", "database", "database_url"]


async def on_this_machine(_host: str) -> tuple[Address, ...]:
    return (ip_address("127.0.0.1"),)


@pytest.fixture
def world(database: Database, tmp_path: Path) -> AdminWorld:
    """One tenant, on each engine, whose server may ask receivers on this machine."""
    made = create_admin_world(database, tmp_path / "data")
    outgoing = Outgoing(rules=OutgoingRules(loopback=True), resolver=on_this_machine, trust=trusting_receivers)
    return replace(made, services=replace(made.services, outgoing=outgoing))
