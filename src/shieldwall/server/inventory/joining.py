"""The full join: a registration of our own, whose key is kept apart from any device key and outlives it.

It makes no device: a device uses the registration when it onboards or is promoted, like one that was imported.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId, Digest, TenantId
from shieldwall.contract.registration import RegisterRequest
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.registrations import add_registration
from shieldwall.server.inventory.claims import Asked
from shieldwall.server.inventory.pending import CertificateIssuer
from shieldwall.server.storage.device_records import TrustType
from shieldwall.server.storage.devices import registrations
from shieldwall.server.storage.devices.registrations import ExistingRegistration, RegistrationSource
from shieldwall.trust.certificate_request import CertificateRequestFacts
from shieldwall.trust.device_certificate import read_certificate

RENEWED_BEFORE_END: Final = timedelta(days=45)
"""Whoever joins again with the same key within this time before the end gets a new certificate."""


def key_digest(certified: CertificateRequestFacts) -> Digest:
    """Name the key of a request as registrations are known by it."""
    return digest_of_bytes(certified.spki)


def find_join(
    connection: Connection, tenant_id: TenantId, certified: CertificateRequestFacts
) -> ExistingRegistration | None:
    """Return the registration whose key asks, ``None`` where there is none."""
    return registrations.find_by_key(connection, tenant_id, key_digest(certified))


def is_to_be_renewed(registration: ExistingRegistration, now: datetime) -> bool:
    """Say whether a registration of ours gets a new certificate when its key joins again."""
    return registration.source is RegistrationSource.JOINED and registration.expires_at - now <= RENEWED_BEFORE_END


def join(
    connection: Connection,
    acting: Acting,
    signer: CertificateIssuer,
    asked: Asked[RegisterRequest],
    newcomer: DeviceId,
) -> ExistingRegistration:
    """Make a full registration with the id of a newcomer, or renew the certificate of the one that this key has."""
    request, certified = asked.request, asked.certified
    known = find_join(connection, acting.tenant_id, certified)
    device_id = newcomer if known is None else known.device_id
    certificate = signer.issue_certificate(spki=certified.spki, tenant_id=acting.tenant_id, device_id=device_id)
    if known is not None:
        renewed = replace(known, certificate=certificate, expires_at=read_certificate(certificate).not_after)
        registrations.put(connection, renewed)
        acting.record(connection, "registration.renewed", "device", device_id, name=known.display_name)
        return renewed
    registration = ExistingRegistration(
        device_id=device_id,
        object_id=acting.new_id(),
        tenant_id=acting.tenant_id,
        display_name=request.device_display_name,
        trust_type=TrustType.AZURE_AD,
        os_type=request.device_type,
        os_version=request.operating_system_version,
        is_enabled=True,
        manager=None,
        public_key=certified.spki,
        key_digest=key_digest(certified),
        certificate=certificate,
        expires_at=read_certificate(certificate).not_after,
        source=RegistrationSource.JOINED,
        created_at=acting.clock.now(),
    )
    add_registration(connection, acting, registration, "registration.joined")
    return registration
