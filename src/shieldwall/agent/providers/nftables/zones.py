"""The profile "Linux Firewall" as it is meant: what holds in each zone, and in all of them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from shieldwall.agent.providers.base import Desired
from shieldwall.agent.providers.nftables.intervals import AddressRange, parse_addresses
from shieldwall.contract.ids import SettingId
from shieldwall.policy.values import SettingValue

ZoneName: TypeAlias = Literal["public", "internal", "trusted"]
Default: TypeAlias = Literal["allow", "block"]
Validation: TypeAlias = Literal["off", "loose", "strict"]

ZONES: Final[tuple[ZoneName, ...]] = ("public", "internal", "trusted")
"""From strict to trusting. Of several zones that claim an interface, the first has it; where none does, public."""
PREFIX: Final = "linux_shieldwall_firewall_"
CONFIRM_SECONDS: Final = SettingId(f"{PREFIX}global_confirmseconds")
LOAD_AT_BOOT: Final = SettingId(f"{PREFIX}global_loadatboot")
AUDIT_MODE: Final = SettingId(f"{PREFIX}global_enableauditmode")
HELPERS: Final = SettingId(f"{PREFIX}global_connectiontrackinghelpers")
FORWARDED: Final = SettingId(f"{PREFIX}global_forwardedtraffic")

_BOOLEAN: Final[Mapping[str, bool]] = {"false": False, "true": True}
_DEFAULT: Final[Mapping[str, Default]] = {"allow": "allow", "block": "block"}
_VALIDATION: Final[Mapping[str, Validation]] = {"off": "off", "loose": "loose", "strict": "strict"}
_CHOICES: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "shielded": ("shielded", _BOOLEAN),
    "defaultinboundaction": ("inbound", _DEFAULT),
    "defaultoutboundaction": ("outbound", _DEFAULT),
    "allowestablished": ("established", _BOOLEAN),
    "stealthmode": ("stealth", _BOOLEAN),
    "icmpecho": ("echo", _DEFAULT),
    "allowunicastresponsestomulticastbroadcast": ("responses", _BOOLEAN),
    "dropinvalidpackets": ("drop_invalid", _BOOLEAN),
    "sourceaddressvalidation": ("validation", _VALIDATION),
    "allowlocalpolicymerge": ("local_merge", _BOOLEAN),
    "enablelogdroppedpackets": ("log_dropped", _BOOLEAN),
    "enablelogsuccessconnections": ("log_accepted", _BOOLEAN),
}
_NUMBERS: Final[Mapping[str, tuple[str, int, int]]] = {
    "icmpechorate": ("echo_rate", 1, 10_000),
    "lograte": ("log_rate", 1, 1_000),
    "logmaxfilesize": ("log_kib", 64, 1_048_576),
}
_GLOBAL: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "forwardedtraffic": ("block_forwarded", {"leave": False, "block": True}),
    "connectiontrackinghelpers": ("helpers", _BOOLEAN),
    "enableauditmode": ("audit", _BOOLEAN),
    "loadatboot": ("load_at_boot", _BOOLEAN),
}
_OPTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "enablefirewall": _BOOLEAN,
    **{member: options for member, (_, options) in (*_CHOICES.items(), *_GLOBAL.items())},
}
_LONGEST_NAME: Final = 15
_NAME_CHARACTERS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.@-")


class Zone(Struct, frozen=True, kw_only=True):
    """What holds for the interfaces of one zone.

    As it stands here nobody set the zone up: rules hold, established connections pass, and so does everything that no
    rule speaks about.
    """

    interfaces: tuple[str, ...] = ()
    networks: tuple[AddressRange, ...] = ()
    configured: bool = False
    """Whether a policy switched the firewall on here, so that its defaults count."""
    filtering: bool = True
    """Whether anything is filtered; not where a policy switched the firewall off."""
    shielded: bool = False
    inbound: Default = "allow"
    outbound: Default = "allow"
    established: bool = True
    stealth: bool = True
    echo: Default = "allow"
    echo_rate: int | None = None
    responses: bool = True
    drop_invalid: bool = False
    validation: Validation = "off"
    local_merge: bool = True
    log_dropped: bool = False
    log_accepted: bool = False
    log_rate: int = 10
    log_kib: int = 4096


_AS_PUBLISHED: Final = Zone(configured=True, inbound="block", drop_invalid=True, validation="loose")
"""The defaults of the catalog for a zone whose firewall is switched on."""


class Profile(Struct, frozen=True, kw_only=True):
    """All zones, and what holds whatever the zone."""

    public: Zone = Zone()
    internal: Zone = Zone()
    trusted: Zone = Zone()
    block_forwarded: bool = False
    helpers: bool = False
    audit: bool = False
    load_at_boot: bool = True

    def zone(self, name: ZoneName) -> Zone:
        """Return one zone."""
        return {"public": self.public, "internal": self.internal, "trusted": self.trusted}[name]

    @property
    def reachable(self) -> tuple[ZoneName, ...]:
        """The zones that any interface can be in; public is there for all that no other claims."""
        return tuple(
            name for name in ZONES if name == "public" or self.zone(name).interfaces or self.zone(name).networks
        )


def zone_setting(zone: ZoneName, member: str) -> SettingId:
    """Name one setting of a zone."""
    return SettingId(f"{PREFIX}{zone}_{member}")


def zone_of(setting: SettingId) -> ZoneName | None:
    """Say which zone a setting is about."""
    return next((zone for zone in ZONES if setting.startswith(f"{PREFIX}{zone}_")), None)


def profile_of(settings: Desired) -> Profile:
    """Read the profile out of settings that ``unusable`` found nothing wrong with; what is left out has its default."""
    zones = {name: _zone(name, settings) for name in ZONES}
    chosen = {
        attribute: options[_word(SettingId(f"{PREFIX}global_{member}"), value)]
        for member, (attribute, options) in _GLOBAL.items()
        if (value := settings.get(SettingId(f"{PREFIX}global_{member}"))) is not None
    }
    return Profile(public=zones["public"], internal=zones["internal"], trusted=zones["trusted"], **chosen)


def is_of_profile(setting: SettingId) -> bool:
    """Say whether a setting belongs to the profile."""
    return setting in _KNOWN


def unusable(setting: SettingId, value: SettingValue) -> str | None:
    """Say what is wrong with the value of a setting that is not a list; ``None`` when nothing is."""
    member = setting.removeprefix(PREFIX).partition("_")[2]
    if setting == CONFIRM_SECONDS:
        limits: tuple[int, int] | None = (15, 600)
    else:
        limits = _NUMBERS[member][1:] if member in _NUMBERS else None
    if limits is not None:
        right = isinstance(value, int) and limits[0] <= value <= limits[1]
        return None if right else f"{value!r:.64} is not a number from {limits[0]} to {limits[1]}."
    options = _OPTIONS[member]
    return None if _word(setting, value) in options else f"{value!r:.100} is not an option of {setting}."


def unusable_entry(setting: SettingId, entry: SettingValue) -> str | None:
    """Say what is wrong with one entry of a list of interfaces or networks; ``None`` when nothing is."""
    if not isinstance(entry, str):
        return f"{entry!r:.64} is not a text."
    if setting.endswith("_interfaces"):
        return interface_fault(entry)
    try:
        parse_addresses(entry)
    except ValueError as error:
        return str(error)
    return None


def interface_fault(name: str) -> str | None:
    """Say why a text cannot name interfaces, such as ``eth0`` or ``wg*``; ``None`` when it can."""
    stem = name.removesuffix("*")
    whole = stem and len(name) <= _LONGEST_NAME and set(stem) <= _NAME_CHARACTERS
    if not whole or name in {"lo", ".", ".."}:
        return f"{name[:64]!r} is not the name of an interface that can be filtered."
    return None


def is_list(setting: SettingId) -> bool:
    """Say whether a setting of the profile is a list."""
    return setting.endswith(("_interfaces", "_networks"))


def _zone(name: ZoneName, settings: Desired) -> Zone:
    enabled = settings.get(zone_setting(name, "enablefirewall"))
    zone = Zone()
    if enabled is not None:
        on = _BOOLEAN[_word(zone_setting(name, "enablefirewall"), enabled)]
        zone = replace(_AS_PUBLISHED, **_chosen(name, settings)) if on else Zone(filtering=False)
    return replace(
        zone,
        interfaces=tuple(sorted(map(str, _entries(settings.get(zone_setting(name, "interfaces")))))),
        networks=tuple(parse_addresses(str(text)) for text in _entries(settings.get(zone_setting(name, "networks")))),
    )


def _chosen(name: ZoneName, settings: Desired) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    for member, (attribute, options) in _CHOICES.items():
        if (value := settings.get(setting := zone_setting(name, member))) is not None:
            chosen[attribute] = options[_word(setting, value)]
    for member, (attribute, _, _) in _NUMBERS.items():
        if (value := settings.get(zone_setting(name, member))) is not None:
            chosen[attribute] = value
    return chosen


def _entries(value: SettingValue | None) -> tuple[SettingValue, ...]:
    return value if isinstance(value, tuple) else ()


def _word(setting: SettingId, value: SettingValue) -> str:
    prefix = f"{setting}_"
    return value.removeprefix(prefix) if isinstance(value, str) and value.startswith(prefix) else ""


_KNOWN: Final = frozenset(
    {
        *(
            zone_setting(zone, member)
            for zone in ZONES
            for member in ("interfaces", "networks", "enablefirewall", *_CHOICES, *_NUMBERS)
        ),
        *(SettingId(f"{PREFIX}global_{member}") for member in _GLOBAL),
        CONFIRM_SECONDS,
    }
)
