"""Authorities that a tenant trusts to vouch for existing registrations: those that issue their certificates."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.ids import TenantId
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.names import is_name
from shieldwall.server.directory.registrations import InvalidRegistrationError
from shieldwall.server.storage.tenants import trusted_authorities
from shieldwall.server.storage.tenants.trusted_authorities import AuthorityKind, TrustedAuthority
from shieldwall.trust.existing_keys import read_directory_authority

MAX_AUTHORITIES: Final = 32


def list_authorities(connection: Connection, tenant_id: TenantId) -> tuple[TrustedAuthority, ...]:
    """Return the authorities of device certificates that a tenant trusts, ordered by id."""
    return trusted_authorities.list_of_kind(connection, tenant_id, AuthorityKind.DIRECTORY)


def trust_authority(connection: Connection, acting: Acting, *, display_name: str, pem: str) -> TrustedAuthority:
    """Trust an authority to vouch for existing registrations.

    Raises:
        BadDirectoryAuthorityError: The text is not the certificate of an authority.
        InvalidRegistrationError: The name cannot be one, or there are too many authorities.
    """
    read_directory_authority(pem)
    if not is_name(display_name):
        raise InvalidRegistrationError("An authority's name has 1 to 256 plain characters.", member="displayName")
    if len(list_authorities(connection, acting.tenant_id)) >= MAX_AUTHORITIES:
        raise InvalidRegistrationError(f"A tenant trusts at most {MAX_AUTHORITIES} authorities.", member="certificate")
    authority = TrustedAuthority(
        id=acting.new_id(),
        tenant_id=acting.tenant_id,
        kind=AuthorityKind.DIRECTORY,
        display_name=display_name,
        value=pem,
        created_at=acting.clock.now(),
    )
    trusted_authorities.add(connection, authority)
    acting.record(connection, "directoryAuthority.trusted", "directoryAuthority", authority.id, name=display_name)
    return authority


def distrust_authority(connection: Connection, acting: Acting, authority_id: str) -> None:
    """Trust an authority no more; devices that came by it stay. Raises: NotFoundError."""
    trusted_authorities.remove(connection, acting.tenant_id, authority_id, AuthorityKind.DIRECTORY)
    acting.record(connection, "directoryAuthority.distrusted", "directoryAuthority", authority_id)
