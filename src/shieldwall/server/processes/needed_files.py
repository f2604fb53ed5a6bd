"""What has to be on disk before a server starts: said in one place, before any of its processes looks for it."""

from __future__ import annotations

import ssl
from collections.abc import Collection
from pathlib import Path
from typing import Final

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.configuration.roles import Role
from shieldwall.server.configuration.settings import ServerSettings

_SQLITE: Final = "sqlite:///"
_SERVING: Final = frozenset({Role.GATEWAY, Role.ADMIN})


class NeededFileError(ShieldwallError):
    """A file that the server was made with is not there, or cannot be used."""

    code = "neededFile"
    remedy = (
        "Bring it back from a backup, owned by the server's user and readable for it alone; is the disk mounted? "
        "tls/server.pem and tls/server.key belong together."
    )


def check(settings: ServerSettings, roles: Collection[Role]) -> None:
    """See that what these roles need is there. Raises: NeededFileError."""
    if settings.database.startswith(_SQLITE):
        _read(Path(settings.database.removeprefix(_SQLITE)))  # else an empty one would be made in its place
    if _SERVING.isdisjoint(roles):
        return
    _read(settings.nonce_key)
    for path in (settings.tls_certificate, settings.tls_key):
        _read(path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_certificate, settings.tls_key)
    except OSError as error:
        together = f"{settings.tls_certificate} and {settings.tls_key} cannot be used together"
        raise NeededFileError(f"{together}: {error.strerror or error}.") from None


def _read(path: Path) -> None:
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise NeededFileError(f"{path} cannot be read: {error.strerror}.") from None
