"""Offboarding packages: made by administrators, sealed by the signer, good for a few days."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

import msgspec
from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId, PackageId, TenantId
from shieldwall.contract.kinds import learned
from shieldwall.contract.messages import Envelope
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.devices import get_device
from shieldwall.server.directory.names import is_name
from shieldwall.server.inventory.packages import CLOCK_LAG, PLATFORMS, InvalidPackageDraftError, Platform
from shieldwall.server.storage.device_records import Device
from shieldwall.server.storage.onboarding import offboarding_packages
from shieldwall.server.storage.onboarding.offboarding_packages import OffboardingPackageRecord
from shieldwall.server.storage.records import Page
from shieldwall.trust import moments
from shieldwall.trust.offboarding import DEFAULT_LIFETIME, LONGEST_LIFETIME, MAX_DEVICES, OffboardingPackage

LATEST_GOODBYE: Final = timedelta(days=30)
"""A device that left without a connection says so when it has one again: so long after its package ended, at most."""


class OffboardingSigner(Protocol):
    """What offboarding packages need of the signer."""

    def seal_offboarding(self, package: OffboardingPackage) -> Envelope:
        """Sign a package."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OffboardingDraft:
    """A package as an administrator wants it; without devices it is good for all of them.

    Raises: InvalidPackageDraftError.
    """

    display_name: str
    lifetime: timedelta = DEFAULT_LIFETIME
    platforms: tuple[Platform, ...] = ("linux",)
    device_ids: tuple[DeviceId, ...] = ()

    def __post_init__(self) -> None:
        """Refuse to exist when wrong."""
        if not is_name(self.display_name):
            raise InvalidPackageDraftError("A package's name has 1 to 256 plain characters.", member="displayName")
        if not timedelta(minutes=1) <= self.lifetime <= LONGEST_LIFETIME:
            raise InvalidPackageDraftError(
                f"An offboarding package is good for a minute at least and {LONGEST_LIFETIME.days} days at most.",
                member="validDays",
            )
        if not self.platforms or not set(self.platforms) <= set(PLATFORMS):
            raise InvalidPackageDraftError(f"Platforms are {', '.join(PLATFORMS)}.", member="platforms")
        if len(self.device_ids) > MAX_DEVICES:
            raise InvalidPackageDraftError(f"A package names at most {MAX_DEVICES} devices.", member="deviceIds")


def create_package(
    connection: Connection, acting: Acting, signer: OffboardingSigner, draft: OffboardingDraft
) -> tuple[OffboardingPackageRecord, Envelope]:
    """Make a package and keep it, the signer being asked inside the transaction: ``make`` and ``keep`` are better.

    Raises:
        NotFoundError: A device it is made for is not there.
    """
    look_for(connection, acting, draft.device_ids)
    record, envelope = make(acting, signer, draft)
    keep(connection, acting, record)
    return record, envelope


def look_for(connection: Connection, acting: Acting, device_ids: Iterable[DeviceId]) -> None:
    """Look whether these devices are there, before a package is made for them. Raises: NotFoundError."""
    for device_id in device_ids:
        get_device(connection, acting.tenant_id, device_id)


def make(
    acting: Acting, signer: OffboardingSigner, draft: OffboardingDraft
) -> tuple[OffboardingPackageRecord, Envelope]:
    """Make a package for devices that were looked for; the envelope is the file that is carried to them.

    It lets devices go from here on: hand it to nobody before it is kept.
    """
    now = acting.clock.now()
    end = (now + draft.lifetime).replace(microsecond=0)
    record = OffboardingPackageRecord(
        id=PackageId(acting.new_id()),
        tenant_id=acting.tenant_id,
        display_name=draft.display_name,
        platforms=tuple(sorted(set(draft.platforms))),
        not_after=end,
        created_at=now,
        created_by=acting.actor[:256],
        device_ids=tuple(sorted(set(draft.device_ids))),
    )
    envelope = signer.seal_offboarding(
        msgspec.convert(
            {
                "v": 1,
                "tenantId": record.tenant_id,
                "packageId": record.id,
                "notBefore": moments.write(max(now - CLOCK_LAG, end - LONGEST_LIFETIME)),
                "notAfter": moments.write(end),
                "platforms": record.platforms,
                "deviceIds": record.device_ids,
            },
            learned(OffboardingPackage),
        )
    )
    return record, envelope


def keep(connection: Connection, acting: Acting, record: OffboardingPackageRecord) -> None:
    """Keep a package that was made. Raises: NotFoundError, for a device that is not there (any more)."""
    look_for(connection, acting, record.device_ids)
    offboarding_packages.add(connection, record)
    acting.record(
        connection,
        "offboardingPackage.created",
        "offboardingPackage",
        record.id,
        name=record.display_name,
        until=moments.write(record.not_after),
        devices=record.device_ids,
    )


def list_packages(connection: Connection, tenant_id: TenantId, page: Page) -> tuple[OffboardingPackageRecord, ...]:
    """Return one page of a tenant's packages, expired ones included, ordered by id."""
    return offboarding_packages.list_packages(connection, tenant_id, page)


def lets_go(connection: Connection, device: Device, package_id: PackageId | None, now: datetime) -> bool:
    """Say whether a device may have left with a package: its tenant made that, for it, and not too long ago.

    All that a device says of its package is the id, which may be read off any copy of one.
    """
    record = None if package_id is None else offboarding_packages.find(connection, package_id)
    return (
        record is not None
        and record.tenant_id == device.tenant_id
        and (not record.device_ids or device.id in record.device_ids)
        and now < record.not_after + LATEST_GOODBYE
    )
