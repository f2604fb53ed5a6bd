"""Onboarding packages: made and revoked by administrators, sealed by the signer."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, Protocol, TypeAlias

import msgspec
from sqlalchemy import Connection

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import PackageId, TenantId
from shieldwall.contract.kinds import learned
from shieldwall.contract.messages import Envelope
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.names import is_name
from shieldwall.server.inventory.pending import drop_pending_of
from shieldwall.server.storage.device_records import Device
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.onboarding import packages
from shieldwall.server.storage.records import OnboardingPackageRecord, Page
from shieldwall.trust import moments, strict_base64
from shieldwall.trust.onboarding import MAX_USES, SECRET_BYTES, OnboardingKey, OnboardingPackage
from shieldwall.trust.roots import TrustRoot

LONGEST_LIFETIME: Final = timedelta(days=90)
CLOCK_LAG: Final = timedelta(minutes=5)
"""How far a device's clock may lag behind ours and still find a new package valid."""
PLATFORMS: Final = ("linux", "windows", "macos")

Platform: TypeAlias = Literal["linux", "windows", "macos"]
Approval: TypeAlias = Literal["auto", "manual"]
Attestation: TypeAlias = Literal["none", "optional", "tpm-required"]
JoinType: TypeAlias = Literal["synthetic", "full"]


class InvalidPackageDraftError(ShieldwallError):
    """A package cannot be like that; ``member`` names the part that is wrong."""

    code = "invalidPackage"
    remedy = "Correct the part named and try again."

    def __init__(self, cause: str, *, member: str) -> None:
        super().__init__(cause)
        self.member = member


class PackageSigner(Protocol):
    """What packages need of the signer."""

    def trust_root(self) -> TrustRoot:
        """Return the keys a device shall believe."""
        ...

    def seal_package(self, package: OnboardingPackage) -> Envelope:
        """Sign a package that carries this trust root."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageDraft:
    """A package as an administrator wants it. Raises: InvalidPackageDraftError."""

    display_name: str
    lifetime: timedelta = timedelta(days=30)
    max_uses: int = 500
    platforms: tuple[Platform, ...] = ("linux",)
    tags: tuple[str, ...] = ()
    approval: Approval = "auto"
    attestation: Attestation = "optional"
    join_type: JoinType = "synthetic"

    def __post_init__(self) -> None:
        """Refuse to exist when wrong."""
        if not is_name(self.display_name):
            raise InvalidPackageDraftError("A package's name has 1 to 256 plain characters.", member="displayName")
        if not timedelta(minutes=1) <= self.lifetime <= LONGEST_LIFETIME:
            raise InvalidPackageDraftError(
                f"A package lives for a minute at least and {LONGEST_LIFETIME.days} days at most.", member="lifetime"
            )
        if not 1 <= self.max_uses <= MAX_USES:
            raise InvalidPackageDraftError(f"A package has 1 to {MAX_USES} uses.", member="maxUses")
        if not self.platforms or not set(self.platforms) <= set(PLATFORMS):
            raise InvalidPackageDraftError(f"Platforms are {', '.join(PLATFORMS)}.", member="platforms")
        if len(self.tags) > 16 or not all(is_name(tag, 128) for tag in self.tags):
            raise InvalidPackageDraftError("A package has at most 16 tags of 1 to 128 plain characters.", member="tags")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAddress:
    """Where devices find this server, and by which authorities they know its TLS."""

    urls: tuple[str, ...]
    tls_roots: tuple[str, ...] = ()


def new_key() -> bytes:
    """Make the secret of a package."""
    return secrets.token_bytes(SECRET_BYTES)


def create_package(
    connection: Connection,
    acting: Acting,
    signer: PackageSigner,
    draft: PackageDraft,
    address: ServerAddress,
    *,
    make_key: Callable[[], bytes] = new_key,
) -> tuple[OnboardingPackageRecord, Envelope]:
    """Make a package and keep it, the signer being asked inside the transaction: ``make`` and ``keep`` are better.

    Raises:
        InvalidPackageDraftError: The address is not one that a device would accept.
    """
    record, envelope = make(acting, signer, draft, address, make_key=make_key)
    keep(connection, acting, record)
    return record, envelope


def make(
    acting: Acting,
    signer: PackageSigner,
    draft: PackageDraft,
    address: ServerAddress,
    *,
    make_key: Callable[[], bytes] = new_key,
) -> tuple[OnboardingPackageRecord, Envelope]:
    """Make a package, which lets nobody in before it is kept; the envelope is the file that devices are given.

    Raises:
        InvalidPackageDraftError: The address is not one that a device would accept.
    """
    now = acting.clock.now()
    end = _second(now + draft.lifetime)
    record = OnboardingPackageRecord(
        id=PackageId(acting.new_id()),
        tenant_id=acting.tenant_id,
        display_name=draft.display_name,
        key=make_key(),
        not_before=max(_second(now - CLOCK_LAG), end - LONGEST_LIFETIME),
        not_after=end,
        max_uses=draft.max_uses,
        uses=0,
        platforms=tuple(sorted(set(draft.platforms))),
        tags=tuple(sorted(set(draft.tags))),
        created_at=now,
        revoked_at=None,
        approval=draft.approval,
        attestation=draft.attestation,
        join_type=draft.join_type,
        created_by=acting.actor[:256],
    )
    return record, signer.seal_package(_document(record, signer.trust_root(), address))


def keep(connection: Connection, acting: Acting, record: OnboardingPackageRecord) -> None:
    """Keep a package that was made: from now on it lets devices in."""
    packages.add(connection, record)
    acting.record(connection, "package.created", "package", record.id, **_traits(record))


def list_packages(connection: Connection, tenant_id: TenantId, page: Page) -> tuple[OnboardingPackageRecord, ...]:
    """Return one page of a tenant's packages, revoked and expired ones included, ordered by id."""
    return packages.list_packages(connection, tenant_id, page)


def get_package(connection: Connection, tenant_id: TenantId, package_id: PackageId) -> OnboardingPackageRecord:
    """Return a package of this tenant. Raises: NotFoundError."""
    record = packages.find(connection, package_id)
    if record is None or record.tenant_id != tenant_id:  # the same answer, so that nobody learns of others' packages
        raise NotFoundError(f"There is no onboarding package {package_id}.")
    return record


def revoke_package(connection: Connection, acting: Acting, package_id: PackageId) -> None:
    """Let nobody onboard with a package from now on; who waits is turned away, devices it let in stay.

    Raises:
        NotFoundError: There is no such package.
    """
    record = get_package(connection, acting.tenant_id, package_id)
    if record.revoked_at is None:
        packages.revoke(connection, package_id, acting.clock.now())
        dropped = drop_pending_of(connection, acting, package_id)
        acting.record(connection, "package.revoked", "package", package_id, name=record.display_name, dropped=dropped)


def devices_of_package(
    connection: Connection, tenant_id: TenantId, package_id: PackageId, page: Page
) -> tuple[Device, ...]:
    """Return one page of the devices that came with a package and are still known, by id. Raises: NotFoundError."""
    get_package(connection, tenant_id, package_id)
    return packages.list_devices(connection, tenant_id, package_id, page)


def _document(record: OnboardingPackageRecord, root: TrustRoot, address: ServerAddress) -> OnboardingPackage:
    members = {
        "v": 1,
        "tenantId": record.tenant_id,
        "packageId": record.id,
        "serverUrls": address.urls,
        "tlsRoots": address.tls_roots,
        "trustRoot": msgspec.to_builtins(root),
        "onboardingKey": msgspec.to_builtins(OnboardingKey(kid=record.id, k=strict_base64.encode_url(record.key))),
        "notBefore": moments.write(record.not_before),
        "notAfter": moments.write(record.not_after),
        "maxUses": record.max_uses,
        "allowedPlatforms": record.platforms,
        "tags": record.tags,
        "attestation": record.attestation,
        "approval": record.approval,
        "joinType": record.join_type,
    }
    try:
        return msgspec.convert(members, learned(OnboardingPackage))
    except msgspec.ValidationError as error:
        raise InvalidPackageDraftError(f"No device would accept the package: {error}.", member="serverUrls") from None


def _traits(record: OnboardingPackageRecord) -> dict[str, object]:
    return {
        "name": record.display_name,
        "uses": record.max_uses,
        "platforms": record.platforms,
        "approval": record.approval,
        "attestation": record.attestation,
        "joinType": record.join_type,
    }


def _second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
