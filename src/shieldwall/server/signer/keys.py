"""The keys of a tenant: made with the tenant, read when they are first needed, in ``DATA/keys/<tenant id>/``."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import msgspec
from joserfc.jwk import RSAKey

from shieldwall.contract import strict_json
from shieldwall.contract.clock import Clock
from shieldwall.contract.errors import InvalidIdError, ShieldwallError
from shieldwall.contract.ids import TenantId, TenantIdField, parse_tenant_id
from shieldwall.server.signer.errors import KeyFilesError, OtherTenantError
from shieldwall.server.signer.key_files import check_private_directory, read_secret, sync_directory, write_secret
from shieldwall.server.signer.token_keys import FOLDER, TOKEN_KEY_BITS, TokenKey, TokenKeyRing, key_of
from shieldwall.trust import moments
from shieldwall.trust.certificates import DeviceAuthority
from shieldwall.trust.dsse import EnvelopeKey
from shieldwall.trust.roots import MAX_INCARNATION, Role, Roles, TrustRoot, role_keys

UNIT_FILE: Final = "tenant.json"
"""Names the tenant and the incarnation of its keys."""
_AUTHORITY_KEY: Final = "device-authority.key.pem"
AUTHORITY_CERTIFICATE: Final = "device-authority.pem"
"""Who issues the certificates of devices; renewed before its end."""
_TOKEN_KEY: Final = "token.key.pem"  # noqa: S105 - the name of a file


class Unit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What belongs together in one directory of keys."""

    tenant_id: TenantIdField
    incarnation: Annotated[int, msgspec.Meta(ge=1, le=MAX_INCARNATION)]
    root_version: Annotated[int, msgspec.Meta(ge=1)]
    created: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeys:
    """All keys of one tenant."""

    unit: Unit
    roles: dict[Role, EnvelopeKey]
    device_authority: DeviceAuthority
    token_keys: TokenKeyRing

    def trust_root(self) -> TrustRoot:
        """Return the public halves, as devices are given them."""
        return TrustRoot(
            tenant_id=self.unit.tenant_id,
            incarnation=self.unit.incarnation,
            version=self.unit.root_version,
            roles=Roles(
                onboarding=role_keys(self.roles[Role.ONBOARDING].public),
                policy=role_keys(self.roles[Role.POLICY].public),
                manifest=role_keys(self.roles[Role.MANIFEST].public),
                time=role_keys(self.roles[Role.TIME].public),
            ),
            device_authorities=(self.device_authority.certificate_pem,),
        )


def create_keys(directory: Path, tenant_id: TenantId, clock: Clock) -> SigningKeys:
    """Make the keys of a tenant, on disk before this returns; a crash leaves all of them or none.

    Raises:
        KeyFilesError: The directory already holds keys of this tenant; they are never overwritten.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if tenant_id in held_tenants(directory):
        raise KeyFilesError(
            f"{directory} already holds the keys of {tenant_id}.",
            remedy="Use the keys that are there; keys are never overwritten.",
        )
    first = RSAKey.generate_key(TOKEN_KEY_BITS)
    keys = _generate(tenant_id, clock, first, directory / tenant_id)
    unfinished = directory / f".new-{tenant_id}"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    for name, data in (_files(keys) | {_TOKEN_KEY: first.as_pem(private=True)}).items():
        write_secret(unfinished / name, data)
    sync_directory(unfinished)
    unfinished.rename(directory / tenant_id)
    sync_directory(directory)
    return keys


def load_keys(directory: Path, tenant_id: TenantId) -> SigningKeys:
    """Read the keys of a tenant.

    Raises:
        OtherTenantError: There are none of this tenant here.
        KeyFilesError: They are damaged, mixed up, or readable by others.
    """
    check_private_directory(directory)
    folder = directory / tenant_id
    if not folder.exists():
        raise OtherTenantError(f"{directory} holds no keys of {tenant_id}.")
    check_private_directory(folder)
    try:
        unit = strict_json.decode(read_secret(folder / UNIT_FILE), Unit)
        first = TokenKey.of(key_of(read_secret(folder / _TOKEN_KEY)), moments.parse(unit.created))
        keys = SigningKeys(
            unit=unit,
            roles={role: EnvelopeKey.from_pem(read_secret(folder / _role_file(role))) for role in Role},
            device_authority=DeviceAuthority.from_pem(
                read_secret(folder / _AUTHORITY_KEY), read_secret(folder / AUTHORITY_CERTIFICATE)
            ),
            token_keys=TokenKeyRing.load(first, folder / FOLDER),
        )
        keys.trust_root()  # refuses, for example, one key file copied over another
    except KeyFilesError:
        raise
    except (ShieldwallError, ValueError) as error:
        raise KeyFilesError(f"A key file in {folder} is damaged: {error}") from None
    if keys.unit.tenant_id != tenant_id:
        raise KeyFilesError(f"{folder} holds the keys of {keys.unit.tenant_id}.")
    return keys


def held_tenants(directory: Path) -> list[TenantId]:
    """Return the tenants whose keys are in this directory, in any order. Raises: KeyFilesError."""
    check_private_directory(directory)
    names = [entry.name for entry in directory.iterdir() if not entry.name.startswith(".")]
    try:
        return [parse_tenant_id(name) for name in names]
    except InvalidIdError as error:
        raise KeyFilesError(f"{directory} holds what are no keys: {error.cause}") from None


def _generate(tenant_id: TenantId, clock: Clock, first: RSAKey, folder: Path) -> SigningKeys:
    now = clock.now()
    return SigningKeys(
        unit=Unit(tenant_id=tenant_id, incarnation=1, root_version=1, created=moments.write(now)),
        roles={role: EnvelopeKey.generate() for role in Role},
        device_authority=DeviceAuthority.create(tenant_id, now),
        token_keys=TokenKeyRing(TokenKey.of(first, now), folder / FOLDER),
    )


def _files(keys: SigningKeys) -> dict[str, bytes]:
    return {
        UNIT_FILE: strict_json.encode(keys.unit),
        **{_role_file(role): key.to_pem() for role, key in keys.roles.items()},
        _AUTHORITY_KEY: keys.device_authority.key_pem(),
        AUTHORITY_CERTIFICATE: keys.device_authority.certificate_pem.encode("ascii"),
    }


def _role_file(role: Role) -> str:
    return f"{role}.key.pem"
