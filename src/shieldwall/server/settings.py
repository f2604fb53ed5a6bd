"""What a server must know before it can start: one strict JSON file in its data directory."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import SplitResult, urlsplit

import msgspec

from shieldwall.contract import strict_json
from shieldwall.contract.errors import InvalidJsonError, ShieldwallError
from shieldwall.contract.ids import TenantId, TenantIdField
from shieldwall.server.throttling import Limits

FILE: Final = "server.json"
DEFAULT_PUBLIC_URL: Final = "https://localhost:8443"
DEFAULT_GATEWAY_URL: Final = "https://localhost:8444"

Host = Annotated[str, msgspec.Meta(min_length=1, max_length=253)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class NotInitialisedError(ShieldwallError):
    """The directory does not hold a server."""

    code = "notInitialised"
    remedy = "Run `shieldwall server init --data DIR` first, or name the directory where you did."


class InvalidSettingsError(ShieldwallError):
    """The settings file is not what it should be."""

    code = "invalidSettings"
    remedy = "Correct server.json at the place named."


class InvalidUrlError(ShieldwallError):
    """An address of the server is not one that devices and browsers can use."""

    code = "invalidUrl"
    remedy = "Use the form https://host or https://host:port, without a path."


class OutgoingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Whom the server itself may connect to: receivers of events, and whoever signs people in elsewhere."""

    private_networks: bool = True
    """Whether they may live in the organisation's own networks."""
    loopback: bool = False
    """Whether they may live on this machine; plain http is allowed there then."""
    certificate_authority: str | None = None
    """A file, seen from the data directory: authorities that are trusted beside those of this machine."""


class IdentitySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """How people may sign in to applications."""

    device_code: bool = False
    """Whether a program without a browser may show a code that a person types elsewhere; it invites fraud."""
    proof_nonce: bool = False
    """Whether proofs of possession must hold a nonce of the server; clients that send none never notice."""


class PushSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The message broker by which devices are woken, for fleets that are more than a gateway has lines for."""

    url: Annotated[str, msgspec.Meta(pattern=r"\Atls://[A-Za-z0-9.:\[\]-]{1,260}\Z")]
    """Where devices and server reach it, for example ``tls://nats.contoso.example:4222``."""
    per_second: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 100
    """How many devices are woken a second, so that they do not come all at once."""


class TelemetrySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Where traces of requests go: a collector that takes OTLP over HTTP."""

    endpoint: Annotated[str, msgspec.Meta(pattern=r"\Ahttps?://[^\s]{1,500}\Z")]
    """For example ``http://127.0.0.1:4318/v1/traces``."""
    one_in: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 100
    """One request in so many is followed."""


class HistorySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """For how many days it is kept what fleets were, in files of each day."""

    days: Annotated[int, msgspec.Meta(ge=1, le=3_650)] = 731
    """Of counts: by property, policy and setting."""
    device_days: Annotated[int, msgspec.Meta(ge=0, le=3_650)] = 90
    """Of what each device was."""


StreamName = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9][a-z0-9-]{0,63}\Z")]
_PORTS: Final = {"udp": 514, "tcp": 601, "tls": 6514}
"""RFC 5426, RFC 6587 and RFC 5425."""


class FileStream(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", tag="file", tag_field="kind"
):
    """A file of JSON lines that gets every event; ``path`` is seen from the data directory."""

    name: StreamName
    path: str
    tenant: str | None = None
    """Id or domain of the only tenant whose events it gets."""


class SyslogStream(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    rename="camel",
    tag="syslog",
    tag_field="kind",
):
    """A syslog receiver (RFC 5424) that gets every event. The files are seen from the data directory."""

    name: StreamName
    transport: Literal["udp", "tcp", "tls"]
    host: Host
    port: Port | None = None
    certificate_authority: str | None = None
    """Authorities that are trusted instead of those of this machine."""
    client_certificate: str | None = None
    client_key: str | None = None
    tenant: str | None = None

    @property
    def used_port(self) -> int:
        """The port, or the registered one of the transport."""
        return self.port or _PORTS[self.transport]


class SignerPlace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Where the signer is, on a machine that does not hold the keys; ``tls/signer-*`` is how they know each other."""

    host: Host
    port: Port


class SignerDoor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Where other machines of this server reach the signer of this one."""

    listen: Host
    port: Port


class SettingsFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """``server.json``. ``listen`` is an address of this machine; a proxy or firewall rule opens it to others.

    ``public_aliases`` are further addresses under which administrators' tools reach the server: a second name, or
    Microsoft's own where a proxy leads a tool here that has them built in. Links in an answer are on the one asked.
    """

    tenant_id: TenantIdField
    database: str
    public_url: str = DEFAULT_PUBLIC_URL
    public_aliases: tuple[str, ...] = ()
    gateway_url: str = DEFAULT_GATEWAY_URL
    listen: Host = "127.0.0.1"
    public_port: Port
    gateway_port: Port
    outgoing: OutgoingSettings = OutgoingSettings()
    audit_streams: tuple[FileStream | SyslogStream, ...] = ()
    limits: Limits = Limits()
    identity: IdentitySettings = IdentitySettings()
    signer: SignerPlace | None = None
    signer_door: SignerDoor | None = None
    telemetry: TelemetrySettings | None = None
    push: PushSettings | None = None
    history: HistorySettings | None = None
    require_if_match: bool = False
    """Whether a change of what has an ``ETag`` must name the state that it changes; unmodified SDKs name none."""


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
    """Read the settings of the server in ``data``. Raises: NotInitialisedError, InvalidSettingsError."""
    try:
        text = (data / FILE).read_bytes()
    except FileNotFoundError:
        raise NotInitialisedError(f"There is no {FILE} in {data}.") from None
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
