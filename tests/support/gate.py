"""A server's registration, with one package and its own tenant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Connection
from tests.support.enrolment import Newcomer, body_digest
from tests.support.office import Office
from tests.support.samples import TENANT_ID, a_package, package_id

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceId
from shieldwall.contract.registration import PendingAnswer, RegisterAnswer, RegisterRequest
from shieldwall.server.inventory.onboarding import Onboarding, read_certificate_request
from shieldwall.server.storage.device_records import Device
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.onboarding import packages
from shieldwall.server.storage.tables.schema import onboarding_packages


@dataclass
class Gate:
    """A server's registration, with one package and its own tenant."""

    database: Database
    office: Office
    onboarding: Onboarding

    def nonce(self) -> str:
        return self.onboarding.sealer.seal(TENANT_ID, self.office.clock.now())

    def set_package(self, **columns: Any) -> None:
        """Change the package that newcomers hold."""
        with self.database.write() as connection:
            connection.execute(
                onboarding_packages.update().where(onboarding_packages.c.id == package_id(1)).values(columns)
            )

    def device(self, device_id: DeviceId) -> Device:
        with self.database.read() as connection:
            return devices.get(connection, device_id)

    def newcomer(self) -> Newcomer:
        return Newcomer.holding(a_package())

    def asks(self, request: RegisterRequest) -> RegisterAnswer | PendingAnswer:
        with self.database.write() as connection:
            return self.onboards(connection, request)

    def onboards(self, connection: Connection, request: RegisterRequest) -> RegisterAnswer | PendingAnswer:
        return self.onboarding(connection, request, read_certificate_request(request), body_digest(request))

    def receives(self, request: RegisterRequest) -> RegisterAnswer:
        answer = self.asks(request)
        assert isinstance(answer, RegisterAnswer)
        return answer

    def waits(self, request: RegisterRequest) -> PendingAnswer:
        answer = self.asks(request)
        assert isinstance(answer, PendingAnswer)
        return answer

    def refuses(self, error: type[ShieldwallError], request: RegisterRequest) -> None:
        with self.database.read() as connection:
            before = (devices.count(connection, TENANT_ID), packages.get(connection, package_id(1)).uses)
        with pytest.raises(error):
            self.receives(request)
        with self.database.read() as connection:
            assert (devices.count(connection, TENANT_ID), packages.get(connection, package_id(1)).uses) == before
