"""``server init``: make a server where there is none, in order: directory, keys, certificate, database, settings.

The settings file comes last. Where it is, everything else is; where it is not, nothing was started yet.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shieldwall.contract.clock import Clock
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import TenantId
from shieldwall.server.configuration.settings import (
    FILE,
    ServerSettings,
    default_database,
    host_of,
    port_of,
    resolved,
    store,
    write_private,
)
from shieldwall.server.configuration.settings_file import SettingsFile
from shieldwall.server.signer.keys import create_keys
from shieldwall.server.storage.engine import migrate
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.records import Tenant
from shieldwall.server.storage.tenants import tenants
from shieldwall.trust.certificates import LocalAuthority

NONCE_KEY_BYTES: Final = 32


class AlreadyInitialisedError(ShieldwallError):
    """There is a server in the directory, or the rest of one."""

    code = "alreadyInitialised"
    remedy = "Start it with `shieldwall server run`, or choose an empty directory. Nothing is ever overwritten."


class DatabaseTakenError(ShieldwallError):
    """The database already belongs to a server."""

    code = "databaseTaken"
    remedy = "Give each server a database of its own, or use the data directory that belongs to this database."


@dataclass(frozen=True, slots=True, kw_only=True)
class Initialise:
    """Make a server. ``tell`` hears of each step before it is taken."""

    clock: Clock
    new_id: Callable[[], str]
    randomness: Callable[[int], bytes]
    tell: Callable[[str], None]

    def __call__(
        self,
        data: Path,
        *,
        database: str | None,
        public_url: str,
        gateway_url: str,
        listen: str,
        tenant_name: str,
        domain: str,
        public_aliases: tuple[str, ...] = (),
    ) -> ServerSettings:
        """Make a server in ``data``.

        Raises:
            AlreadyInitialisedError: The directory is not empty.
            DatabaseTakenError: The database has a tenant.
            InvalidUrlError: An address is not one that devices and browsers can use.
            StorageUnavailableError: The database cannot be reached.
        """
        file = SettingsFile(
            tenant_id=TenantId(self.new_id()),
            database=database or default_database(data),
            public_url=public_url,
            public_aliases=public_aliases,
            gateway_url=gateway_url,
            listen=listen,
            public_port=port_of(public_url),
            gateway_port=port_of(gateway_url),
        )
        settings = resolved(data, file)
        self._make_directory(data)
        try:
            self._fill(settings, file, tenant_name, domain)
        except BaseException:
            _empty(data)  # nothing of it was ever used, and a second try finds the directory as the first one did
            raise
        return settings

    def _fill(self, settings: ServerSettings, file: SettingsFile, tenant_name: str, domain: str) -> None:
        self.tell("Making the keys that sign for this tenant")
        create_keys(settings.keys, settings.tenant_id, self.clock)
        write_private(settings.nonce_key, self.randomness(NONCE_KEY_BYTES))

        self.tell("Making a local certificate authority and the server's certificate")
        self._make_certificate(settings)

        self.tell("Making the database")
        self._make_database(
            settings,
            Tenant(id=settings.tenant_id, display_name=tenant_name, domain=domain, created_at=self.clock.now()),
        )

        store(settings.data, file)

    def _make_directory(self, data: Path) -> None:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = sorted(entry.name for entry in data.iterdir())
        if FILE in found:
            raise AlreadyInitialisedError(f"There is a server in {data} already.")
        if found:
            raise AlreadyInitialisedError(f"{data} is not empty: it holds {', '.join(found[:3])}.")
        data.chmod(0o700)

    def _make_certificate(self, settings: ServerSettings) -> None:
        settings.tls_key.parent.mkdir(mode=0o700)
        authority = LocalAuthority.create(self.clock.now())
        names = [host_of(url) for url in (*settings.public_urls, settings.gateway_url)]
        chain, key = authority.issue_server(names, self.clock.now())
        write_private(settings.tls_authority_key, authority.key_pem())
        write_private(settings.tls_authority, authority.certificate_pem.encode("ascii"))
        write_private(settings.tls_key, key.encode("ascii"))
        write_private(settings.tls_certificate, chain.encode("ascii"))

    def _make_database(self, settings: ServerSettings, tenant: Tenant) -> None:
        database = Database(settings.database)
        try:
            migrate.upgrade(database)
            with database.write() as connection:
                if tenants.list_tenants(connection):
                    raise DatabaseTakenError("The database already has a tenant.")
                tenants.add(connection, tenant)
        finally:
            database.close()


def _empty(directory: Path) -> None:
    for entry in directory.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
