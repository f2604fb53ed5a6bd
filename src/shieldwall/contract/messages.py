"""The device protocol, version 1: what a device that has its identity says every day.

``checkin`` → ``fetch``, ``wait`` for a policy sync, ``offboard`` at the end; how the identity comes and changes is in
``contract.registration``. Every body belongs to a request signed by the device key (``trust.request_signature``) and
carries the rising sequence number of the rule in ``server.manager.sequence``.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from shieldwall.contract.conflicts import ConflictFamily, ConflictRule
from shieldwall.contract.ids import (
    DeviceIdField,
    DigestField,
    PackageIdField,
    PolicyIdField,
    TenantIdField,
    ThumbprintField,
)
from shieldwall.contract.status import StatusReport
from shieldwall.contract.strict_json import MAX_INTEGER

PROTOCOLS: Final = (1, 2)
"""What a server speaks, by what a device understands: from 2 on ``protection``, ``offboard`` and ``enrollment``."""
PROTOCOL: Final = PROTOCOLS[-1]
WHOLE_MANIFESTS: Final = 2
"""The first protocol in which a manifest may have those members: a device that speaks less refuses what has them."""
MAX_CHECK_IN_BYTES: Final = 1024 * 1024
MAX_BODY_BYTES: Final = 256 * 1024
MAX_SMALL_BODY_BYTES: Final = 16 * 1024
"""Every request but a check-in: reading a body costs time before its signature can be verified."""
MAX_MANIFEST_ITEMS: Final = 1_000
MAX_FETCH: Final = 64
DEFAULT_CHECK_IN_SECONDS: Final = 5_400
"""Ninety minutes, spread by ten per cent per device."""
SHORTEST_CHECK_IN_SECONDS: Final = 300
LONGEST_TROUBLESHOOTING_SECONDS: Final = 86_400
"""No server can leave a protected device open for longer than a day."""
LONGEST_CHECK_IN_SECONDS: Final = 21_600
"""No server can silence a device for longer than six hours."""

Name = Annotated[str, msgspec.Meta(max_length=256)]
Sequence = Annotated[int, msgspec.Meta(ge=0, le=MAX_INTEGER)]
InstanceId = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}\Z")]


ManagerKind = Literal["mdm", "configurationManager", "microsoftChannel", "several"]
"""Who else may manage a device: an MDM such as Intune, Configuration Manager, Microsoft's own settings management, or
the last two at once."""
Unsuitable = Literal["nonPersistentDesktop", "unsupportedOs"]
EnrollmentField = Annotated[int, msgspec.Meta(ge=0, le=255)]
"""A published enrollment code (``contract.enrollment``), or one that a newer server knows."""
MANAGED_CODE: Final = 1
"""The one enrollment code of devices that get policies."""


class DeviceFacts(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """What a device says about itself; groups may ask for it, nothing trusts it."""

    display_name: Name
    os_type: Literal["Linux", "Windows", "Windows Server", "macOS"]
    os_version: Name
    architecture: Name = ""
    manufacturer: Name = ""
    model: Name = ""
    agent_version: Name = ""
    catalog_version: Name = ""
    providers: Annotated[dict[Name, Name], msgspec.Meta(max_length=32)] = {}
    """Provider name to the version or state of the product behind it."""
    managed_elsewhere: Name | None = None
    """Another manager found by the survey, in words; the agent then stays passive."""
    manager: ManagerKind | None = None
    """What kind of manager that is."""
    unsuitable: Unsuitable | None = None
    """Why this machine is not one to manage, whoever else does."""
    is_domain_controller: bool = False
    is_rooted: bool | None = None
    key_protection: Literal["software", "tpm", "secureEnclave"] = "software"


class HardwareIds(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """Hashes that tell one machine from another without naming it."""

    machine_id_hash: DigestField | None = None
    smbios_uuid_hash: DigestField | None = None
    tpm_ek_hash: DigestField | None = None


class Have(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """Digests of what the device has; where all are equal to the server's, the answer is 204."""

    target: DigestField | None = None
    manifest_version: Sequence = 0
    facts: DigestField | None = None
    status: DigestField | None = None


class TamperAttempt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Somebody at the device tried to undo what is managed, and was refused or undone."""

    at: Annotated[str, msgspec.Meta(max_length=32)]
    kind: Literal["settingChanged", "offboardRefused", "agentFileChanged", "protectionChanged"]
    subject: Annotated[str, msgspec.Meta(max_length=512)]
    """A setting definition, a path, or the command that was refused."""


class PlainCheckIn(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """What every check-in says, and what nearly all of them say: who speaks from where, and what the device has."""

    seq: Sequence
    epoch: Sequence
    instance_id: InstanceId
    boot_id: Name
    agent_version: Name
    protocol: Annotated[int, msgspec.Meta(ge=1, le=MAX_INTEGER)]
    have: Have


class CheckInRequest(PlainCheckIn, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A device reports and asks what to enforce.

    ``facts`` and ``report`` are sent when their digests differ from what the server last acknowledged, or when it
    asked.
    """

    facts: DeviceFacts | None = None
    report: StatusReport | None = None
    attempts: Annotated[tuple[TamperAttempt, ...], msgspec.Meta(max_length=64)] = ()


class Signature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One DSSE signature: key id and base64."""

    keyid: Annotated[str, msgspec.Meta(max_length=128)]
    sig: Annotated[str, msgspec.Meta(max_length=1024)]


class Envelope(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A DSSE envelope (secure-systems-lab DSSE v1): base64 payload, its type, its signatures."""

    payload: str
    payload_type: Annotated[str, msgspec.Meta(max_length=128)]
    signatures: Annotated[tuple[Signature, ...], msgspec.Meta(min_length=1, max_length=16)]


class CheckInAnswer(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """What to do next. ``want`` names parts the server lacks and asks for in the next check-in."""

    ack_seq: Sequence
    next_check_in_seconds: int
    server_time: str
    manifest: Envelope | None = None
    want: tuple[Literal["facts", "report"], ...] = ()


class FetchRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Ask for policy revisions named by the own manifest."""

    seq: Sequence
    epoch: Sequence
    digests: Annotated[tuple[DigestField, ...], msgspec.Meta(min_length=1, max_length=MAX_FETCH)]


class FetchAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The envelopes asked for, in the order asked."""

    policies: tuple[Envelope, ...]


class WaitRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Wait at most ``seconds`` for a policy sync: 200 when one is due, 204 when not, 503 when channels are out."""

    seq: Sequence
    epoch: Sequence
    seconds: Annotated[int, msgspec.Meta(ge=1, le=300)]


class WaitAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Somebody asked this device to check in now."""

    sync: Literal[True]


class LineRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Ask for a line to the message broker, where the server has one: 200, or 204 where it has none.

    ``key`` names an Ed25519 key that the device made for this line alone; the token that it gets is worth nothing
    without it.
    """

    seq: Sequence
    epoch: Sequence
    key: Annotated[str, msgspec.Meta(pattern=r"\AU[A-Z2-7]{55}\Z")]


class LineAnswer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A line on which nothing is ever said but "check in now", and that without a word: an empty message.

    The token lets its holder listen to ``subject`` and do nothing else, for ``seconds``.
    """

    url: Annotated[str, msgspec.Meta(pattern=r"\Atls://[^\s/?#@]{1,260}\Z")]
    subject: Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_.-]{1,200}\Z")]
    token: Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_.-]{1,4096}\Z")]
    seconds: Annotated[int, msgspec.Meta(ge=60, le=604_800)]


class OffboardRequest(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """The device leaves management; its state from before has been restored.

    ``package_id`` names the offboarding package that let it go.
    """

    seq: Sequence
    epoch: Sequence
    reason: Name = ""
    package_id: PackageIdField | None = None


class TimeRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Ask for signed time over a nonce of the asker (32 hexadecimal digits).

    ``tenant_id`` says whose time key shall sign; without it, that of the tenant the server was made with.
    """

    nonce: InstanceId
    tenant_id: TenantIdField | None = None


class TimeStatement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Payload of a signed answer to a time request."""

    tenant_id: TenantIdField
    nonce: InstanceId
    time: str


class Protection(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """Tamper protection as it holds for one device.

    Protected: only a signed order or package ends management, and what is changed locally goes back and is told.
    Until ``troubleshooting_until`` (an RFC 3339 moment) whoever is at the device may change things all the same.
    """

    tamper: bool = False
    troubleshooting_until: str | None = None


UNPROTECTED: Final = Protection()


class ManifestItem(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """One policy revision that a device shall enforce: by digest and length of the signed payload."""

    policy_id: PolicyIdField
    revision: Annotated[int, msgspec.Meta(ge=1)]
    digest: DigestField
    length: Annotated[int, msgspec.Meta(ge=2, le=MAX_BODY_BYTES)]


class Manifest(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """Everything one device shall enforce, signed for this device and its key alone.

    ``manifest_version`` only rises. An expired manifest never removes protection: the device goes on with what it has.
    ``conflict_rules`` are left out where the tenant decides every family as published.
    """

    tenant_id: TenantIdField
    incarnation: Sequence
    device_id: DeviceIdField
    device_key: ThumbprintField
    manifest_version: Sequence
    issued: str
    expires: str
    target: DigestField
    items: Annotated[tuple[ManifestItem, ...], msgspec.Meta(max_length=MAX_MANIFEST_ITEMS)]
    conflict_rules: dict[ConflictFamily, ConflictRule] = {}
    protection: Protection = UNPROTECTED
    offboard: bool = False
    """The order to leave management: restore the state from before, say goodbye, forget the identity."""
    enrollment: EnrollmentField = MANAGED_CODE
    """How the server has enrolled the device; only where that is 1 is there anything to enforce."""


class Problem(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """An error over HTTP (RFC 9457), with our stable code, cause and remedy."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    remedy: str = ""
    request_id: str = ""
    server_time: str = ""
