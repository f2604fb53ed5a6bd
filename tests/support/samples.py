"""Made-up records for tests. Ids are counted, so a test reads which is which."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from shieldwall.contract.ids import DeviceId, GroupId, KeyThumbprint, PackageId, TenantId
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.storage.device_records import Device, DeviceState, Registration
from shieldwall.server.storage.records import Group, OnboardingPackageRecord, Tenant

NOON: Final = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TENANT_ID: Final = TenantId("00000000-0000-4000-8000-00000000000a")


@dataclass
class HandClock:
    """A clock that only moves when a test moves it."""

    at: datetime = NOON

    def now(self) -> datetime:
        return self.at

    def advance(self, **units: float) -> None:
        self.at += timedelta(**units)


@dataclass
class CountingIds:
    """A source of ids: 1, 2, 3, ... in the shape of a UUID."""

    last: int = 0

    def __call__(self) -> str:
        self.last += 1
        return counted_id("f", self.last)


def counted_id(kind: str, number: int) -> str:
    return f"{kind * 8}-0000-4000-8000-{number:012x}"


def device_id(number: int) -> DeviceId:
    return DeviceId(counted_id("d", number))


def group_id(number: int) -> GroupId:
    return GroupId(counted_id("e", number))


def package_id(number: int) -> PackageId:
    return PackageId(counted_id("a", number))


def a_tenant(**changes: Any) -> Tenant:
    fields: dict[str, Any] = {
        "id": TENANT_ID,
        "display_name": "Contoso",
        "domain": "contoso.example",
        "created_at": NOON,
    }
    return Tenant(**(fields | changes))


def a_device(number: int = 1, **changes: Any) -> Device:
    fields: dict[str, Any] = {
        "id": device_id(number),
        "object_id": counted_id("b", number),
        "tenant_id": TENANT_ID,
        "display_name": f"device-{number}",
        "registration": Registration.SYNTHETIC,
        "trust_type": None,
        "state": DeviceState.ACTIVE,
        "os_type": "Linux",
        "os_version": "Debian 12",
        "architecture": "x86_64",
        "manufacturer": "Fabrikam",
        "model": "Server 1",
        "agent_version": "0.1.0",
        "catalog_version": "2026.11.1",
        "providers": {"clamav": "1.4"},
        "managed_elsewhere": None,
        "tags": ("MDE-Management",),
        "key_thumbprint": KeyThumbprint(f"{number:043d}"),
        "public_key": b"\x04" + bytes(64),
        "certificate": "PEM",
        "request_digest": digest_of_bytes(b"%d" % number),
        "instance_id": f"{number:032x}",
        "machine_id_hash": None,
        "smbios_uuid_hash": None,
        "package_id": None,
        "registered_at": NOON,
        "retired_at": None,
    }
    return Device(**(fields | changes))


def a_group(number: int = 1, **changes: Any) -> Group:
    fields: dict[str, Any] = {
        "id": group_id(number),
        "tenant_id": TENANT_ID,
        "display_name": f"group-{number}",
        "description": "",
        "mail_nickname": f"group-{number}",
        "membership_rule": None,
        "created_at": NOON,
    }
    return Group(**(fields | changes))


def a_package(number: int = 1, **changes: Any) -> OnboardingPackageRecord:
    fields: dict[str, Any] = {
        "id": package_id(number),
        "tenant_id": TENANT_ID,
        "display_name": f"package-{number}",
        "key": b"k" * 32,
        "not_before": NOON,
        "not_after": NOON + timedelta(days=30),
        "max_uses": 500,
        "uses": 0,
        "platforms": ("linux", "macos"),
        "tags": ("MDE-Management",),
        "created_at": NOON,
        "revoked_at": None,
    }
    return OnboardingPackageRecord(**(fields | changes))
