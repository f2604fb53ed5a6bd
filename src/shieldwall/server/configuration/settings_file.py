"""``server.json``, member by member: what a server must be told before it can start, as strict JSON."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from shieldwall.contract.ids import TenantIdField
from shieldwall.server.access.throttling import Limits

DEFAULT_PUBLIC_URL: Final = "https://localhost:8443"
DEFAULT_GATEWAY_URL: Final = "https://localhost:8444"

Host = Annotated[str, msgspec.Meta(min_length=1, max_length=253)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


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
