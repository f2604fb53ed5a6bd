"""Members of a rule, read one by one and trusting nothing in them. Pure."""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Callable, Mapping
from ipaddress import ip_address, ip_network
from typing import Final, TypeVar

from shieldwall.agent.providers.windows_firewall.grammar import BAR, KEYWORDS, NEWER_KEYWORDS
from shieldwall.agent.providers.windows_firewall.places import RULES
from shieldwall.catalog.faults import Fault
from shieldwall.catalog.firewall import texts
from shieldwall.contract.ids import SettingId
from shieldwall.contract.status import SettingState
from shieldwall.policy.values import Item, SettingValue

T = TypeVar("T")

_LONGEST: Final = 10_000
"""Characters of a text in a rule. Source: [MS-FASP] 2.2.37."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_NO_PROGRAM: Final = re.compile(r'[/*?"<>|]')
_NO_SERVICE: Final = re.compile(r"[/\\|]")
_FAMILY_NAME: Final = re.compile(r"[A-Za-z0-9.-]{1,200}_[a-z0-9]{13}")
_SECURITY: Final = re.compile(r"[OGDS]:[ -{}~]*")
_EVERY_PROFILE: Final = (2147483647, -2147483648)
_PROFILE_BITS: Final = {1: "Domain", 2: "Private", 4: "Public"}
_INTERFACES: Final = {"lan": "Lan", "wireless": "Wireless", "remoteaccess": "RemoteAccess"}
WORDS: Final = {word.lower(): word for word in (*KEYWORDS, *NEWER_KEYWORDS)}
"""Words for remote addresses as rules spell them, by how they are compared."""


class UnusableRuleError(ValueError):
    """A rule that cannot be written: ``code`` for programs, the message for people."""

    def __init__(self, code: str, cause: str, *, state: SettingState = SettingState.ERROR) -> None:
        super().__init__(cause)
        self.code = code
        self.state = state


def package_sid(family_name: str) -> str:
    """Return the identifier of a packaged program: the first seven words of its family name's SHA-256.

    Source: Microsoft, *DeriveAppContainerSidFromAppContainerName*; how it derives is not published, and known from the
    identifiers that Windows itself writes into rules.
    """
    digest = hashlib.sha256(family_name.lower().encode("utf-16-le")).digest()
    return "S-1-15-2-" + "-".join(map(str, struct.unpack("<7I", digest[:28])))


def option_of(item: Item, member: str, options: Mapping[str, T], *, default: str) -> T:
    """Return what an option of a choice means. Raises: UnusableRuleError."""
    prefix = f"{RULES}_{member}_"
    chosen = item.get(SettingId(prefix[:-1]))
    word = default if chosen is None else str(chosen).removeprefix(prefix)
    if word not in options:
        raise UnusableRuleError("invalidRule", f"{str(chosen)[:100]!r} is no option of {prefix[:-1]}.")
    return options[word]


def _words(item: Item, member: str) -> tuple[str, ...]:
    prefix = f"{RULES}_{member}_"
    return tuple(str(chosen).removeprefix(prefix) for chosen in _values(item, member))


def _values(item: Item, member: str) -> tuple[SettingValue, ...]:
    values = item.get(SettingId(f"{RULES}_{member}"))
    if values is None:
        return ()
    if not isinstance(values, tuple):
        raise UnusableRuleError("invalidRule", f"{RULES}_{member} is not a list.")
    return values


def list_of(item: Item, member: str, read: Callable[[str], str]) -> tuple[str, ...]:
    """Read every value of a collection, each once. Raises: UnusableRuleError."""
    return tuple(dict.fromkeys(read(str(value)) for value in _values(item, member)))


def unless_all(values: tuple[str, ...]) -> tuple[str, ...]:
    """Leave out a list in which one entry leaves nothing out."""
    return () if texts.ANYWHERE in values else values


def profiles_of(item: Item) -> tuple[str, ...]:
    """Return the profiles that are named; none where all are. Raises: UnusableRuleError."""
    words = _words(item, "profiles")
    if not all(word.removeprefix("-").isdecimal() for word in words):
        raise UnusableRuleError("invalidRule", "A rule's profiles are numbers.")
    numbers = {int(word) for word in words}
    if not numbers or numbers & set(_EVERY_PROFILE):
        return ()
    if not numbers <= _PROFILE_BITS.keys():
        raise UnusableRuleError("invalidRule", f"{sorted(numbers)} are not profiles.")
    chosen = tuple(name for bit, name in _PROFILE_BITS.items() if bit in numbers)
    return () if len(chosen) == len(_PROFILE_BITS) else chosen


def interfaces_of(item: Item) -> tuple[str, ...]:
    """Return the kinds of interfaces that are named; none where all are. Raises: UnusableRuleError."""
    words = _words(item, "interfacetypes")
    if {"mbb", "mobilebroadband"} & set(words):
        cause = "Nothing is published about how a rule in the registry names mobile broadband."
        raise UnusableRuleError("notPublished", cause, state=SettingState.NOT_APPLICABLE)
    if "all" in words:
        return ()
    if not set(words) <= _INTERFACES.keys():
        raise UnusableRuleError("invalidRule", f"{words!r:.100} are not kinds of interfaces.")
    return tuple(kind for word, kind in _INTERFACES.items() if word in words)


def number_of(item: Item, member: str) -> int | None:
    """Return the number of a protocol. Raises: UnusableRuleError."""
    value = item.get(SettingId(f"{RULES}_{member}"))
    if value is not None and not (isinstance(value, int) and 0 <= value <= 255):
        raise UnusableRuleError("invalidRule", f"{str(value)[:64]!r} is not the number of a protocol.")
    return value


def port(text: str) -> str:
    """Read a port or a range of ports. Raises: UnusableRuleError."""
    read = _right(texts.parse_windows_ports(text))
    return str(read[0]) if read[0] == read[1] else f"{read[0]}-{read[1]}"


def message(text: str) -> str:
    """Read a kind of ICMP messages. Raises: UnusableRuleError."""
    kind = _right(texts.parse_icmp(text))
    if kind == texts.ANYWHERE:
        return kind
    number, _, code = kind.partition(":")
    return f"{int(number)}:{code if code == '*' else int(code)}"


def local_address(text: str) -> str:
    """Read addresses of this device. Raises: UnusableRuleError."""
    if text.lower() in WORDS:
        raise UnusableRuleError("invalidRule", f"{text} stands for remote addresses only.")
    return address(text)


def address(text: str) -> str:
    """Read addresses, or a word for some, in the one spelling that rules have. Raises: UnusableRuleError."""
    if text == texts.ANYWHERE:
        return text
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    _right(texts.parse_windows_addresses(text))
    low, dash, high = text.partition("-")
    if dash:
        first, last = ip_address(low), ip_address(high)
        return str(first) if first == last else f"{first}-{last}"
    network = ip_network(text)
    if network.prefixlen == network.max_prefixlen:
        return str(network.network_address)
    # A mask of no bits is none to Windows; the range says the same.
    return str(network) if network.prefixlen else f"{network[0]}-{network[-1]}"


def _right(read: T | Fault) -> T:
    if isinstance(read, Fault):
        raise UnusableRuleError("invalidRule", read.message)
    return read


def text_of(item: Item, member: str, *, unless: re.Pattern[str] | None = None) -> str:
    """Read a text that may stand between bars. Raises: UnusableRuleError."""
    value = item.get(SettingId(f"{RULES}_{member}"))
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise UnusableRuleError("invalidRule", f"{RULES}_{member} is no text of at most {_LONGEST} characters.")
    if BAR in value or _CONTROL.search(value) or (unless is not None and unless.search(value)):
        raise UnusableRuleError("invalidRule", f"{RULES}_{member} holds a character that no rule can hold there.")
    return value


def shown_of(item: Item, member: str) -> str:
    """Read a text that people see. Raises: UnusableRuleError."""
    text = text_of(item, member)
    if text.startswith("@"):  # the place of a text in a program's resources
        raise UnusableRuleError("invalidRule", f"{RULES}_{member} begins with @, which Windows takes for a reference.")
    return text


def program_of(item: Item) -> str:
    """Read the path of a program. Raises: UnusableRuleError."""
    return text_of(item, "app_filepath", unless=_NO_PROGRAM)


def service_of(item: Item) -> str:
    """Read the name of a service. Raises: UnusableRuleError."""
    name = text_of(item, "app_servicename", unless=_NO_SERVICE)
    if len(name) > 255:
        raise UnusableRuleError("invalidRule", "The name of a service has at most 255 characters.")
    return name


def users_of(item: Item) -> str:
    """Read who may use a rule. Raises: UnusableRuleError."""
    text = text_of(item, "localuserauthorizedlist")
    if text and not _SECURITY.fullmatch(text):
        raise UnusableRuleError("invalidRule", "Users are named by an access list in SDDL, as O:LSD:(A;;CC;;;S-1-5-4).")
    return text


def package_of(item: Item) -> str:
    """Read which packaged program a rule is about, and return its identifier. Raises: UnusableRuleError."""
    name = text_of(item, "app_packagefamilyname")
    if not name:
        return ""
    if not _FAMILY_NAME.fullmatch(name):
        raise UnusableRuleError("invalidRule", f"{name[:100]!r} is no family name of a package.")
    return package_sid(name)
