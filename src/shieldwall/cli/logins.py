"""Logins: as whom the command line speaks to which server, kept readable by their owner alone.

An application's login is what ``shieldwall server app create`` wrote: ids, secret, addresses and the certificate
authority. A person's holds a refresh token, which the server replaces at each use. Either is kept as ``login.json``
under ``$SHIELDWALL_CONFIG`` (default ``~/.config/shieldwall``).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeAlias

import msgspec

from shieldwall.contract.errors import InvalidJsonError, ShieldwallError
from shieldwall.contract.strict_json import convert, decode_any, encode

_HTTPS: Final = "https://"
_OF_A_PERSON: Final = "refreshToken"


class NotLoggedInError(ShieldwallError):
    """There is no stored login."""

    code = "notLoggedIn"
    remedy = "Run: shieldwall login --server URL, or as an application: shieldwall login --app FILE."


class InvalidLoginError(ShieldwallError):
    """The login file cannot be used."""

    code = "invalidLogin"
    remedy = "Log in again, or make a new application on the server: shieldwall server app create."


class AppLogin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """An application's login, as the server's console writes it. ``certificate_authority`` is PEM."""

    tenant_id: str
    client_id: str
    client_secret: str
    authority: str
    graph: str
    certificate_authority: str = ""


class PersonLogin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A person's login. ``access_token`` is good until ``expires_at``, in seconds since 1970."""

    client_id: str
    authority: str
    graph: str
    certificate_authority: str = ""
    user_name: str
    refresh_token: str
    access_token: str = ""
    expires_at: int = 0


Login: TypeAlias = AppLogin | PersonLogin


def load_login(file: Path) -> Login:
    """Read a login file. Raises: NotLoggedInError, InvalidLoginError."""
    try:
        members = decode_any(file.read_bytes())
        of_a_person = isinstance(members, dict) and _OF_A_PERSON in members
        login: Login = convert(members, PersonLogin) if of_a_person else convert(members, AppLogin)
    except FileNotFoundError:
        raise NotLoggedInError(f"There is no login at {file}.") from None
    except OSError as error:
        raise InvalidLoginError(f"{file} cannot be read: {error.strerror}.") from None
    except InvalidJsonError as error:
        raise InvalidLoginError(f"{file}: {error.cause}") from None
    if not login.authority.startswith(_HTTPS) or not login.graph.startswith(_HTTPS):
        raise InvalidLoginError(f"{file} names an address that is not https.")
    return login


def stored_login() -> Path:
    """Say where the login is kept."""
    configured = os.environ.get("SHIELDWALL_CONFIG")
    return (Path(configured) if configured else Path.home() / ".config" / "shieldwall") / "login.json"


def store_login(login: Login) -> Path:
    """Keep a login for the calls to come, readable by its owner alone; a crash leaves the old one or the new one."""
    file = stored_login()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = file.with_name(f".{file.name}.new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(encode(login))
        stream.flush()
        os.fsync(stream.fileno())
    beside.replace(file)
    return file


def forget_login() -> bool:
    """Forget the stored login; tell whether there was one."""
    try:
        stored_login().unlink()
    except FileNotFoundError:
        return False
    return True


@contextmanager
def changing_login() -> Iterator[None]:
    """Keep other commands of the same owner away from the stored login: a refresh token may be used once."""
    file = stored_login().with_name("login.lock")
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
