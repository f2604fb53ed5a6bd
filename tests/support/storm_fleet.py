"""A fleet of devices with real keys, written straight into a server's tables: thousands are there in seconds.

Keys follow from a seed and a number, so any process can speak for any device without being handed a file of keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import insert
from tests.support.samples import a_device

from shieldwall.contract.ids import DeviceId, Digest, TenantId
from shieldwall.contract.messages import PROTOCOL, CheckInRequest, DeviceFacts, Have, TamperAttempt
from shieldwall.contract.status import StatusReport
from shieldwall.contract.strict_json import digest_of, digest_of_bytes, encode
from shieldwall.server.storage.devices.devices import columns_of_device
from shieldwall.server.storage.devices.sightings import SightingKind
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.inventory import inventory_rows
from shieldwall.server.storage.tables.device_schema import check_ins, sightings
from shieldwall.server.storage.tables.schema import devices
from shieldwall.trust.device_key import DeviceKey, public_key_bytes
from shieldwall.trust.request_signature import sign_request

EPOCH: Final = 1
BOOT: Final = "storm"
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256 (FIPS 186-4, D.1.2.3): private keys lie below it."""
_PORTION: Final = 2_000
_DEVICES: Final = "aaaaaaaa"
_OBJECTS: Final = "dddddddd"


@dataclass(frozen=True, kw_only=True)
class StormRequest:
    """A signed request, ready to be sent as it is, and as often as one likes while its signature lives."""

    device: int
    seq: int
    wire: bytes
    body: bytes
    report: Digest | None = None
    """Of the report that it carries."""
    attempts: int = 0
    """How many attempts to tamper it tells of: each is counted by the server, and so must not be counted twice."""


@dataclass
class StormDevice:
    """One device: its key, and how far it has counted."""

    number: int
    seed: str
    seq: int = 0
    status: Digest | None = None
    """Of the last report that the server acknowledged, as this device knows."""

    @cached_property
    def key(self) -> DeviceKey:
        """Its key, which follows from seed and number."""
        secret = hashlib.sha512(f"{self.seed}/{self.number}".encode()).digest()
        return DeviceKey(ec.derive_private_key(int.from_bytes(secret, "big") % (_ORDER - 1) + 1, ec.SECP256R1()))

    @property
    def id(self) -> DeviceId:
        """Its id, which follows from the number alone."""
        return DeviceId(counted(_DEVICES, self.number))

    @property
    def instance_id(self) -> str:
        """The one installation that it is."""
        return f"{self.number:032x}"

    @property
    def facts(self) -> DeviceFacts:
        """What it says of itself."""
        return DeviceFacts(display_name=f"storm-{self.number}", os_type="Linux", os_version="Debian 12")

    @cached_property
    def facts_digest(self) -> Digest:
        """The name of its facts, as the server holds it from the beginning."""
        return digest_of(self.facts)

    def check_in(
        self,
        authority: str,
        now: float,
        *,
        report: StatusReport | None = None,
        attempts: tuple[TamperAttempt, ...] = (),
        **changed: Any,
    ) -> StormRequest:
        """Sign the next check-in: without news, or with what is given; ``changed`` are other members."""
        self.seq += 1
        digest = None if report is None else digest_of(report)
        message = CheckInRequest(
            seq=self.seq,
            epoch=EPOCH,
            instance_id=self.instance_id,
            boot_id=BOOT,
            agent_version="0.1.0",
            protocol=PROTOCOL,
            have=Have(facts=self.facts_digest, status=digest or self.status),
            report=report,
            attempts=attempts,
        )
        body = encode(msgspec.structs.replace(message, **changed) if changed else message)
        return StormRequest(
            device=self.number,
            seq=self.seq,
            wire=self.signed(authority, "/device/v1/checkin", body, now),
            body=body,
            report=digest,
            attempts=len(attempts),
        )

    def again(self, request: StormRequest, authority: str, now: float) -> StormRequest:
        """Sign the same request anew, byte for byte: what a device does whose answer was lost."""
        wire = self.signed(authority, "/device/v1/checkin", request.body, now)
        return replace(request, wire=wire)

    def signed(self, authority: str, path: str, body: bytes, now: float) -> bytes:
        """Write any request of this device as it goes over the wire."""
        nonce = hashlib.blake2s(body, digest_size=16).hexdigest()
        headers = sign_request(
            self.key, method="POST", authority=authority, path=path, body=body, created=int(now), nonce=nonce
        )
        return written("POST", path, authority, body, headers)


@dataclass(frozen=True, kw_only=True)
class StormFleet:
    """Devices ``first`` to ``first + count - 1`` of one tenant."""

    tenant_id: TenantId
    count: int
    first: int = 1
    seed: str = "storm"
    _devices: dict[int, StormDevice] = field(default_factory=dict)

    @property
    def numbers(self) -> range:
        """Their numbers."""
        return range(self.first, self.first + self.count)

    def device(self, number: int) -> StormDevice:
        """Return a device; it is made when first asked for."""
        if (found := self._devices.get(number)) is None:
            found = self._devices[number] = StormDevice(number=number, seed=self.seed)
        return found

    def __iter__(self) -> Iterator[StormDevice]:
        """Go through all devices."""
        return map(self.device, self.numbers)

    def enrol(self, database: Database, at: datetime | None = None) -> None:
        """Write all of them into the tables, as if each had joined and checked in before."""
        moment = at or datetime.now(UTC)
        for start in range(self.first, self.first + self.count, _PORTION):
            numbers = range(start, min(start + _PORTION, self.first + self.count))
            _add(database, self.tenant_id, (self.device(number) for number in numbers), moment)


def _add(database: Database, tenant_id: TenantId, fleet: Iterable[StormDevice], at: datetime) -> None:
    listed = [(each, _record(each, tenant_id, at)) for each in fleet]
    with database.write() as connection:
        connection.execute(insert(devices), [columns_of_device(record) for _, record in listed])
        inventory_rows.add(connection, (record for _, record in listed))
        connection.execute(insert(check_ins), [_standing(each, tenant_id, at) for each, _ in listed])
        connection.execute(insert(sightings), [_sighting(each, tenant_id, at) for each, _ in listed])


def _record(device: StormDevice, tenant_id: TenantId, at: datetime) -> Any:
    return a_device(
        device.number,
        id=device.id,
        object_id=counted(_OBJECTS, device.number),
        tenant_id=tenant_id,
        display_name=device.facts.display_name,
        architecture="",
        manufacturer="",
        model="",
        agent_version="",
        catalog_version="",
        providers={},
        key_thumbprint=device.key.thumbprint,
        public_key=public_key_bytes(device.key.public_key),
        request_digest=digest_of_bytes(device.instance_id.encode()),
        instance_id=device.instance_id,
        registered_at=at,
    )


def _standing(device: StormDevice, tenant_id: TenantId, at: datetime) -> dict[str, Any]:
    return {
        "device_id": device.id,
        "tenant_id": tenant_id,
        "epoch": EPOCH,
        "seq": 0,
        "facts_digest": device.facts_digest,
        "last_check_in": at,
        "protocol": PROTOCOL,
    }


def _sighting(device: StormDevice, tenant_id: TenantId, at: datetime) -> dict[str, Any]:
    return {
        "tenant_id": tenant_id,
        "device_id": device.id,
        "at": at,
        "kind": SightingKind.CHECK_IN.value,
        "instance_id": device.instance_id,
        "boot_id": BOOT,
        "request_digest": digest_of_bytes(device.instance_id.encode()),
        "epoch": EPOCH,
    }


def counted(begin: str, number: int) -> str:
    """Return a UUID by its number."""
    return f"{begin}-0000-4000-8000-{number:012x}"


def written(method: str, path: str, authority: str, body: bytes, headers: dict[str, str]) -> bytes:
    """Write a request as it goes over the wire."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {authority}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
