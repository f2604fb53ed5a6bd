"""Further machines of a server: what they need to take part, and who may ask the signer from afar.

Made on the machine that holds the keys. A directory is handed over that has everything but keys: settings, the common
certificate, and a certificate by which the new machine is known here. Taking its file away ends that; so certificates
may last as long as the authority that is made for them alone, and none ends unnoticed in the middle of a year.
"""

from __future__ import annotations

import re
import shutil
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from shieldwall.contract import strict_json
from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.configuration.roles import Role
from shieldwall.server.configuration.settings import FILE, ServerSettings, write_private
from shieldwall.server.configuration.settings_file import SettingsFile, SignerPlace
from shieldwall.server.push.key_files import ACCOUNT
from shieldwall.server.signer.afar import DOOR_NAME, hosts_directory
from shieldwall.trust.certificates import LOCAL_AUTHORITY_DAYS, LocalAuthority

ROLES: Final = (Role.GATEWAY, Role.ADMIN)
"""The roles that another machine may have. One of the role admin may have all of them but the signer's."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class InvalidHostError(ShieldwallError):
    """A machine cannot be added to, or taken from, the server like that."""

    code = "invalidHost"
    remedy = "Name the machine in small letters, digits and hyphens, give it a role, and an empty directory for it."


def add_host(settings: ServerSettings, name: str, role: Role, *, signer: SignerPlace, out: Path, now: datetime) -> None:
    """Let one more machine take part, and write what it needs into ``out``.

    Raises:
        InvalidHostError: There is one of that name, the directory is not empty, or the database is a file of this one.
    """
    if not _NAME.fullmatch(name) or role not in ROLES:
        raise InvalidHostError(f"{name!r} with the role {role} cannot be added.")
    if list_hosts(settings).get(name) is not None:
        raise InvalidHostError(f"There is a machine {name} already.")
    if settings.database.startswith("sqlite"):
        raise InvalidHostError("The database is a file of this machine.", remedy="Several machines need PostgreSQL.")
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(out.iterdir()):
        raise InvalidHostError(f"{out} is not empty.")
    authority = _authority(settings, now)
    certificate, key = authority.issue_client(name, now, LOCAL_AUTHORITY_DAYS)
    (out / "tls").mkdir(mode=0o700)
    for source in (settings.tls_certificate, settings.tls_key, settings.tls_authority):
        shutil.copyfile(source, out / "tls" / source.name)
        (out / "tls" / source.name).chmod(0o600)
    write_private(out / "nonce.key", settings.nonce_key.read_bytes())
    if settings.push is not None:
        (out / "push").mkdir(mode=0o700)
        write_private(out / "push" / ACCOUNT, (settings.push_keys / ACCOUNT).read_bytes())
    write_private(out / "tls" / "signer-authority.pem", authority.certificate_pem.encode("ascii"))
    write_private(out / "tls" / "signer-client.pem", certificate.encode("ascii"))
    write_private(out / "tls" / "signer-client.key", key.encode("ascii"))
    file = strict_json.decode((settings.data / FILE).read_bytes(), SettingsFile)
    file = msgspec.structs.replace(file, signer=signer, signer_door=None)
    write_private(out / FILE, msgspec.json.format(strict_json.encode(file), indent=2) + b"\n")
    # Last: only now does anybody know the machine.
    write_private(hosts_directory(settings.data) / f"{name}.{role}.pem", certificate.encode("ascii"))


def remove_host(settings: ServerSettings, name: str) -> None:
    """Let a machine ask nothing more. Raises: InvalidHostError where there is none of that name."""
    role = list_hosts(settings).get(name)
    if role is None:
        raise InvalidHostError(f"There is no machine {name}.")
    (hosts_directory(settings.data) / f"{name}.{role}.pem").unlink()


def list_hosts(settings: ServerSettings) -> dict[str, Role]:
    """Return the machines that may ask the signer from afar, and their roles."""
    files = sorted(hosts_directory(settings.data).glob("*.*.pem"))
    return {file.name.split(".")[0]: Role(file.name.split(".")[1]) for file in files}


def _authority(settings: ServerSettings, now: datetime) -> LocalAuthority:
    home = hosts_directory(settings.data)
    certificate, key = home / "authority.crt", home / "authority.key"
    if certificate.exists():
        return LocalAuthority.from_pem(key.read_bytes(), certificate.read_bytes())
    home.mkdir(mode=0o700, exist_ok=True)
    authority = LocalAuthority.create(now)
    chain, door_key = authority.issue_server([DOOR_NAME], now, LOCAL_AUTHORITY_DAYS)
    write_private(home / "door.crt", chain.encode("ascii"))
    write_private(home / "door.key", door_key.encode("ascii"))
    write_private(key, authority.key_pem())
    write_private(certificate, authority.certificate_pem.encode("ascii"))
    return authority
