"""Whom this device obeys and who it is, as the applier alone knows it: ``pin.json`` in its own directory.

The agent's files say the same, and are not believed: whoever owns the agent owns those. What stands here was said by
root once, proven by the device's key, or signed by the tenant. Versions and time only rise: an older signed document,
or a copy of an older state of the agent, leads nowhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Struct

from shieldwall.agent.applier.window import Window
from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.files import make_directory, read_bytes, remove, replace
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import DeviceIdField, DigestField, SettingIdField, TenantIdField, ThumbprintField
from shieldwall.contract.messages import Sequence
from shieldwall.contract.strict_json import decode, encode
from shieldwall.trust.roots import Role, TrustRoot

PIN: Final = "pin.json"
MAX_URLS: Final = 16
MOST_NAMED: Final = 64
_PRIVATE_DIRECTORY: Final = 0o700
_PRIVATE_FILE: Final = 0o600


class PinDamagedError(ShieldwallError):
    """What was pinned cannot be understood. Nothing new is believed; what holds stays in force."""

    code = "pinDamaged"
    remedy = "Restore pin.json from a backup, or remove it and run shieldwall-agent pin as root."


class Authority(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The tenant that is obeyed, by its keys, and the way to its server, which no policy may close."""

    tenant_id: TenantIdField
    trust_root: TrustRoot
    server_urls: Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=MAX_URLS)]

    def is_same_as(self, other: Authority) -> bool:
        """Say whether the other one is the same tenant with the same keys in every role."""
        return self.tenant_id == other.tenant_id and all(
            self.trust_root.roles.of(role) == other.trust_root.roles.of(role) for role in Role
        )


class Device(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Who this device is: its id, and the name of its key."""

    id: DeviceIdField
    key: ThumbprintField


class Floor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """The newest manifest that was believed: its version and the digest of its payload."""

    version: Sequence
    digest: DigestField


class Change(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """What a target changed: the class of the whole (``policy.classify``), and the first few settings it weakened."""

    kind: Literal["neutral", "strengthen", "connectivityRisk", "weaken"]
    settings: int = 0
    weakened: Annotated[tuple[SettingIdField, ...], msgspec.Meta(max_length=MOST_NAMED)] = ()


class Pin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """Everything the applier believes without being told again.

    ``successor`` has proven its key and is this device once a manifest names it. ``floor`` only rises, and so does
    ``time_floor`` (RFC 3339) unless ``signed_time`` says otherwise. ``protected`` is what the newest manifest said.
    ``leaving`` is set by a proof, and carried through. ``enforced`` is the target whose enforcement was completed last,
    ``change`` what the last new target changed.
    """

    format: Literal[1] = 1
    authority: Authority
    device: Device | None = None
    successor: Device | None = None
    floor: Floor | None = None
    time_floor: str = ""
    offset_seconds: int = 0
    protected: bool = False
    leaving: bool = False
    enforced: DigestField | None = None
    change: Change | None = None
    window: Window | None = None

    @property
    def devices(self) -> tuple[Device, ...]:
        """The identities that a manifest may name, the present one first."""
        return tuple(each for each in (self.device, self.successor) if each is not None)


class PinFile(Struct, frozen=True, kw_only=True):
    """The pin on disk; every write is durable when it returns."""

    directory: Path

    def find(self) -> Pin | None:
        """Read what is pinned, ``None`` on a device that obeys nobody. Raises: PinDamagedError, HostError."""
        content = read_bytes(self.directory / PIN)
        if content is None:
            return None
        try:
            return decode(content, Pin)
        except ShieldwallError as error:  # not our JSON, or a trust root that contradicts itself
            raise PinDamagedError(f"{self.directory / PIN} is damaged: {error.cause}") from error

    def put(self, pin: Pin) -> None:
        """Replace what is pinned. Raises: HostError."""
        try:
            make_directory(self.directory, mode=_PRIVATE_DIRECTORY)
        except OSError as error:
            raise HostError(f"{self.directory} cannot be made: {error.strerror}.") from error
        replace(self.directory / PIN, encode(pin), mode=_PRIVATE_FILE)

    def drop(self) -> None:
        """Obey nobody any more. Raises: HostError."""
        remove(self.directory / PIN)
