"""What the agent remembers between check-ins, as it stands on disk."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from shieldwall.contract.ids import DeviceIdField, DigestField, PackageIdField, TenantIdField
from shieldwall.contract.messages import DEFAULT_CHECK_IN_SECONDS, Envelope, HardwareIds, InstanceId, Sequence
from shieldwall.contract.registration import RegisterRequest
from shieldwall.trust.roots import TrustRoot


class Server(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """How to reach a tenant's gateway, and what to believe there."""

    tenant_id: TenantIdField
    urls: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    tls_roots: tuple[str, ...]
    trust_root: TrustRoot
    proxy: str | None = None


class PendingRegistration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A registration that was, or is about to be, sent: repeated as it is until it is answered."""

    package_id: PackageIdField
    server: Server
    request: RegisterRequest


class Identity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Who this device is, and to whom."""

    device_id: DeviceIdField
    instance_id: InstanceId
    certificate: str
    server: Server
    registered_at: str
    registration: Literal["synthetic", "full"] = "synthetic"
    key_since: str = ""
    """When the device key was changed last; empty for the key of the registration."""


class InstanceRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The id of this installation, and the machine it was drawn for."""

    instance_id: InstanceId
    hardware: HardwareIds


class SequenceRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The last sequence number given to a request, sent or not."""

    epoch: Sequence
    seq: Sequence


class Leaving(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"
):
    """This device leaves management, by an order or a package that was verified; once begun, it is carried through."""

    device_id: DeviceIdField
    reason: str = ""
    package_id: PackageIdField | None = None
    package: Envelope | None = None
    """The package itself: whoever enforces wants to see it."""


class OwnFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """How a file of the agent's looked; large ones without a digest."""

    mode: int
    owner: int
    size: int
    digest: DigestField | None = None


class OwnFilesRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """How the files of one version of the agent looked, and what of its state others may read or write."""

    version: str
    files: dict[str, OwnFile | None]
    open_to_others: tuple[str, ...] = ()


class Trouble(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """What went wrong last, kept until a check-in succeeds."""

    code: str
    cause: str
    remedy: str
    since: str


class TimeRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """How signed time stands to this machine's clock, and the moment that trusted time never falls below."""

    offset_seconds: int = 0
    floor: str = ""


class Standing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Where device and server stand with each other.

    ``enforced`` is the target whose enforcement was completed last: when the stored manifest names another one,
    there is unfinished business. ``protected`` is what the last manifest said of tamper protection, for the case that
    somebody takes the manifest away. ``answered_wish`` names the last ``shieldwall-agent sync`` that a finished
    check-in, good or bad, has served.
    """

    acknowledged_facts: DigestField | None = None
    acknowledged_status: DigestField | None = None
    manifest_version: Sequence = 0
    enforced: DigestField | None = None
    protected: bool = False
    next_check_in_seconds: int = DEFAULT_CHECK_IN_SECONDS
    last_check_in: str | None = None
    answered_wish: str = ""
    failures: int = 0
    trouble: Trouble | None = None
