"""What a server knows of itself: its settings, read from the data directory and checked, and where its files are."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

import msgspec

from shieldwall.contract import strict_json
from shieldwall.contract.errors import InvalidJsonError, ShieldwallError
from shieldwall.contract.ids import TenantId
from shieldwall.server.access.throttling import Limits
from shieldwall.server.configuration.settings_file import (
    FileStream,
    HistorySettings,
    IdentitySettings,
    OutgoingSettings,
    PushSettings,
    SettingsFile,
    SignerDoor,
    SignerPlace,
    SyslogStream,
    TelemetrySettings,
)

FILE: Final = "server.json"


class NotInitialisedError(ShieldwallError):
    """The directory does not hold a server."""

    code = "notInitialised"
    remedy = "Run `shieldwall server init --data DIR` first, or name the directory where you did."


class InvalidSettingsError(ShieldwallError):
    """The settings file is not what it should be."""

    code = "invalidSettings"
    remedy = "Correct server.json at the place named."


class UnreadableSettingsError(ShieldwallError):
    """The settings file is there, and may not or cannot be read."""

    code = "unreadableSettings"
    remedy = "Run this as the user that the server runs as, or see whether the disk is well."


class InvalidUrlError(ShieldwallError):
    """An address of the server is not one that devices and browsers can use."""

    code = "invalidUrl"
    remedy = "Use the form https://host or https://host:port, without a path."


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The settings of a server and the places of its files."""

    data: Path
    tenant_id: TenantId
    database: str
    public_url: str
    gateway_url: str
    listen: str
    public_port: int
    gateway_port: int
    outgoing: OutgoingSettings = field(default_factory=OutgoingSettings)
    audit_streams: tuple[FileStream | SyslogStream, ...] = ()
    public_aliases: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    identity: IdentitySettings = field(default_factory=IdentitySettings)
    signer: SignerPlace | None = None
    signer_door: SignerDoor | None = None
    telemetry: TelemetrySettings | None = None
    push: PushSettings | None = None
    history: HistorySettings | None = None
    require_if_match: bool = False

    @property
    def public_urls(self) -> tuple[str, ...]:
        """Every address under which administrators and their tools reach the server, the server's own first."""
        return (self.public_url, *(each for each in self.public_aliases if each != self.public_url))

    def reached_at(self, public_url: str) -> ServerSettings:
        """Return the settings as one sees them who reached the server at this one of its addresses."""
        if public_url == self.public_url:
            return self
        return replace(self, public_url=public_url, public_aliases=self.public_urls)

    @property
    def keys(self) -> Path:
        """Directory of the signer's keys; no other process reads it."""
        return self.data / "keys"

    @property
    def nonce_key(self) -> Path:
        """Key that seals registration nonces."""
        return self.data / "nonce.key"

    @property
    def push_keys(self) -> Path:
        """Directory of the keys by which the message broker knows who may wake devices and who may listen."""
        return self.data / "push"

    @property
    def tls_certificate(self) -> Path:
        """The server's certificate chain."""
        return self.data / "tls" / "server.pem"

    @property
    def tls_key(self) -> Path:
        """The key of the server's certificate."""
        return self.data / "tls" / "server.key"

    @property
    def tls_authority(self) -> Path:
        """Certificate of the local authority that clients have to trust."""
        return self.data / "tls" / "ca.pem"

    @property
    def tls_authority_key(self) -> Path:
        """Key of the local authority."""
        return self.data / "tls" / "ca.key"

    @property
    def history_files(self) -> Path:
        """Directory of what fleets were, day by day."""
        return self.data / "history"

    @property
    def held_fleets(self) -> Path:
        """Directory of fleets as reports hold them in memory, for the next start; may be deleted at any time."""
        return self.data / "fleets"

    @property
    def run(self) -> Path:
        """Directory of sockets, locks and counts; may be deleted while the server does not run."""
        return self.data / "run"

    @property
    def signer_socket(self) -> Path:
        """Where the signer listens."""
        return self.run / "signer.sock"

    @property
    def targeting_socket(self) -> Path:
        """Where the targeting process listens; that somebody does says that it is ready."""
        return self.run / "targeting.sock"

    @property
    def targeting_rules_socket(self) -> Path:
        """Where it answers whom a rule would move."""
        return self.run / "targeting-rules.sock"


def default_database(data: Path) -> str:
    """Return the URL of the embedded database."""
    return f"sqlite:///{data.resolve() / 'shieldwall.db'}"


def authority_of(url: str) -> str:
    """Return host and port of an address of ours, the way they stand in a Host header. Raises: InvalidUrlError."""
    return _checked(url).netloc


def host_of(url: str) -> str:
    """Return the host name of an address of ours. Raises: InvalidUrlError."""
    host = _checked(url).hostname
    assert host is not None, "a checked address has a host"
    return host


def port_of(url: str) -> int:
    """Return the port of an address of ours. Raises: InvalidUrlError."""
    return _checked(url).port or 443


def load(data: Path) -> ServerSettings:
    """Read the settings of the server in ``data``.

    Raises:
        NotInitialisedError, UnreadableSettingsError, InvalidSettingsError: There are none that can be used.
    """
    try:
        text = (data / FILE).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise NotInitialisedError(f"There is no {FILE} in {data}.") from None
    except OSError as error:
        raise UnreadableSettingsError(f"{data / FILE} cannot be read: {error.strerror}.") from None
    try:
        return resolved(data, strict_json.decode(text, SettingsFile))
    except (InvalidJsonError, InvalidUrlError) as error:
        raise InvalidSettingsError(f"{data / FILE}: {error.cause}") from None


def store(data: Path, settings: SettingsFile) -> None:
    """Write the settings so that a crash leaves the old file or the new one."""
    resolved(data, settings)
    write_private(data / FILE, msgspec.json.format(strict_json.encode(settings), indent=2) + b"\n")


def resolved(data: Path, settings: SettingsFile) -> ServerSettings:
    """Check the addresses and add the places. Raises: InvalidUrlError, InvalidSettingsError."""
    for url in (settings.public_url, settings.gateway_url, *settings.public_aliases):
        _checked(url)
    names = [each.name for each in settings.audit_streams]
    if len(set(names)) < len(names):
        raise InvalidSettingsError("auditStreams: two streams have one name.")
    return ServerSettings(data=data, **{name: getattr(settings, name) for name in settings.__struct_fields__})


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, durably, as a whole or not at all."""
    beside = path.with_name(f".{path.name}.new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _checked(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidUrlError(f"{url[:128]!r} is not an address.") from None
    plain = f"https://{parts.hostname or ''}" + (f":{port}" if port is not None else "")
    if not parts.hostname or url not in {plain, plain.replace(parts.hostname, f"[{parts.hostname}]")}:
        raise InvalidUrlError(f"{url[:128]!r} is not an https address in lower-case letters without a path.")
    return parts
