"""How devices of a load get their identity: by the real API as agents do, or written into a test server's tables."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import insert

from shieldwall.agent.journal import Journal
from shieldwall.agent.service.assembly import Surroundings
from shieldwall.agent.service.state import AgentState
from shieldwall.agent.service.transport import HttpsTransport, tls_context
from shieldwall.contract.clock import Clock
from shieldwall.contract.messages import PROTOCOL, DeviceFacts
from shieldwall.contract.strict_json import digest_of, digest_of_bytes
from shieldwall.server.configuration.settings import ServerSettings
from shieldwall.server.storage.check_ins import check_ins as check_in_rows
from shieldwall.server.storage.check_ins import statuses
from shieldwall.server.storage.device_records import Device, DeviceState, Registration
from shieldwall.server.storage.devices.devices import columns_of_device
from shieldwall.server.storage.devices.sightings import SightingKind
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.inventory import inventory_rows
from shieldwall.server.storage.statements.rows import portions
from shieldwall.server.storage.tables.device_schema import check_ins, devices, sightings
from shieldwall.server.system import SystemClock
from shieldwall.simulator.core.applier import MemoryApplier
from shieldwall.simulator.core.device import Nowhere
from shieldwall.simulator.core.memory import MemoryDisk, MemoryMachine
from shieldwall.simulator.core.virtual_time import VirtualTime
from shieldwall.simulator.load.devices import BOOT, LoadDevice, device_of
from shieldwall.trust.device_key import public_key_bytes
from shieldwall.trust.onboarding import OnboardingPackage

_PORTION: Final = 2_000
_EPOCH: Final = 1


@dataclass(frozen=True, slots=True)
class InTables:
    """Writes devices into the tables of a server, as if each had joined; what they shall enforce the server finds out.

    Devices that are there already go on counting where they stand.
    """

    settings: ServerSettings
    seed: str
    clock: Clock = field(default_factory=SystemClock)

    def enrol(self, count: int, told: Callable[[int], None]) -> list[LoadDevice]:
        """Return so many devices that the server knows; ``told`` hears how many there are by now."""
        database = Database(self.settings.database)
        found: list[LoadDevice] = []
        try:
            for numbers in portions(range(1, count + 1), _PORTION):
                made = [device_of(number, self.seed) for number in numbers]
                self._take_up(database, made)
                found += made
                told(len(found))
        finally:
            database.close()
        return found

    def lost(self, fleet: list[LoadDevice]) -> int:
        """Count the devices of which a report was acknowledged that the server does not hold: its name, or itself."""
        database = Database(self.settings.database)
        try:
            with database.read() as connection:
                lost = 0
                said = frozenset(each.acknowledged for each in fleet if each.acknowledged is not None)
                kept = {name for name, _ in statuses.read_each(connection, self.settings.tenant_id, said)}
                for some in portions(fleet, _PORTION):
                    held = check_in_rows.find_many(connection, [each.id for each in some])
                    lost += sum(
                        held[each.id].status_digest != each.acknowledged or each.acknowledged not in kept
                        for each in some
                        if each.acknowledged is not None
                    )
                return lost
        finally:
            database.close()

    def _take_up(self, database: Database, made: list[LoadDevice]) -> None:
        now = self.clock.now()
        with database.write() as connection:
            there = check_in_rows.find_many(connection, [each.id for each in made])
            for each in made:
                if (standing := there.get(each.id)) is not None:
                    each.epoch, each.seq = standing.epoch, standing.seq
                    each.target = standing.target_digest
                    each.knows_facts = True
            new = [each for each in made if each.id not in there]
            if not new:
                return
            records = [self._record(each, now) for each in new]
            connection.execute(insert(devices), [columns_of_device(record) for record in records])
            inventory_rows.add(connection, records)
            connection.execute(insert(check_ins), [self._standing(each, now) for each in new])
            connection.execute(insert(sightings), [self._sighting(each, now) for each in new])

    def _record(self, device: LoadDevice, now: datetime) -> Device:
        return Device(
            id=device.id,
            object_id=f"51d0e0b1{device.id[8:]}",
            tenant_id=self.settings.tenant_id,
            display_name=device.facts.display_name,
            registration=Registration.SYNTHETIC,
            trust_type=None,
            state=DeviceState.ACTIVE,
            os_type=device.facts.os_type,
            os_version=device.facts.os_version,
            architecture="",
            manufacturer="",
            model="",
            agent_version="",
            catalog_version="",
            managed_elsewhere=None,
            tags=("simulated",),
            key_thumbprint=device.key.thumbprint,
            public_key=public_key_bytes(device.key.public_key),
            certificate="",
            request_digest=digest_of_bytes(device.id.encode()),
            instance_id=device.instance_id,
            machine_id_hash=None,
            smbios_uuid_hash=None,
            package_id=None,
            registered_at=now,
            retired_at=None,
        )

    def _standing(self, device: LoadDevice, now: datetime) -> dict[str, Any]:
        device.knows_facts = True
        return {
            "device_id": device.id,
            "tenant_id": self.settings.tenant_id,
            "epoch": _EPOCH,
            "seq": 0,
            "facts_digest": digest_of(device.facts),
            "last_check_in": now,
            "protocol": PROTOCOL,
        }

    def _sighting(self, device: LoadDevice, now: datetime) -> dict[str, Any]:
        return {
            "tenant_id": self.settings.tenant_id,
            "device_id": device.id,
            "at": now,
            "kind": SightingKind.CHECK_IN.value,
            "instance_id": device.instance_id,
            "boot_id": BOOT,
            "request_digest": digest_of_bytes(device.id.encode()),
            "epoch": _EPOCH,
        }


def by_api(package: OnboardingPackage, count: int, clock: Clock) -> Iterator[LoadDevice]:
    """Let so many devices onboard as agents do, one after the other. Raises: ShieldwallError."""
    run = secrets.token_hex(4)
    beginning = VirtualTime()
    for number in range(1, count + 1):
        told = DeviceFacts(display_name=f"simulated-{number}", os_type="Linux", os_version="Debian 12")
        disk = MemoryDisk()
        state = AgentState(directory=Path("/simulated"), disk=disk)
        surroundings = Surroundings(
            state=state,
            open_transport=lambda server: HttpsTransport(
                context=tls_context(server.tls_roots), monotonic=time.monotonic
            ),
            machine=MemoryMachine(time=beginning, serial=f"{run}-{number}", told=told),
            enforcer=MemoryApplier(clock=clock, nonce=lambda: secrets.token_hex(16)),
            clock=clock,
            randomness=secrets.token_bytes,
            journal=Journal(out=Nowhere(), clock=clock),
        )
        identity = surroundings.onboard()(package)
        sequence = state.next_sequence()
        made = LoadDevice(
            number=number,
            id=identity.device_id,
            key=state.get_key(),
            instance_id=identity.instance_id,
            epoch=sequence.epoch,
        )
        yield made
