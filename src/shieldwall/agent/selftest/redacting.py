"""Taking out of a recording what names a machine, a person or a tenant. Pure.

What is the same stays the same, so that a replay answers as the machine did: a name becomes ``redacted``, an id one
of zeros. Values are found by what they look like, by the properties that hold them, and by the names this machine has.
Packages that onboard a sensor are secrets wherever they stand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from shieldwall.agent.providers.windows_edr.packages import package_of

REDACTED: Final = "redacted"
_NO_UUID: Final = "00000000-0000-0000-0000-000000000000"
_PRIVATE: Final = frozenset(
    {
        *("computerid", "csname", "dnshostname", "domain", "hostname", "name", "organization", "orgid", "machineguid"),
        *("pscomputername", "registereduser", "serialnumber", "systemname", "username", "uuid", "workgroup"),
        *("primaryownername", "primaryownercontact", "quarantinelocation", "servername", "machine_guid", "org_id"),
        *("edr_machine_id", "orgid", "device_id", "deviceid", "tenantid", "upn", "sid", "enrollmenturl"),
        *("onboardinginfo", "onboardingblob", "license", "edrdevicetags", "edr_device_tags"),
    }
)
"""Properties, values and keys that hold such a thing, by their names in lower case."""
_PATTERNS: Final[tuple[tuple[re.Pattern[str], str], ...]] = (
    (re.compile(r"S-1-5-21(?:-\d{1,10}){3,5}"), "S-1-5-21-0-0-0-0"),
    (re.compile(r"S-1-12-1(?:-\d{1,10}){4}"), "S-1-12-1-0-0-0-0"),
    (re.compile(r"(?i)([a-z]:\\+users\\+)(?!public\b|default\b|all users\b)[^\\\"/:*?<>|]+"), r"\1" + REDACTED),
    (re.compile(r"(/(?:Users|home)/)(?!Shared\b)[^/\s\"]+"), r"\1" + REDACTED),
    (re.compile(r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"), "nobody@redacted.example"),
    (re.compile(r"(?i)\b(?:eyJ[a-z0-9_-]{8,}\.[a-z0-9_-]{8,}\.[a-z0-9_-]{8,})"), REDACTED),
    # What ioreg and profiles of a Mac print: its ids, in the form of a property list, and whose MDM it is in.
    (re.compile(r"(<key>IOPlatformUUID</key>\s*<string>)[^<]*"), r"\g<1>" + _NO_UUID),
    (re.compile(r"(<key>IOPlatformSerialNumber</key>\s*<string>)[^<]*"), r"\1" + REDACTED),
    (re.compile(r"(<key>serial-number</key>\s*<data>)[^<]*"), r"\1"),
    (re.compile(r"(MDM server:\s*\w+://)[^./\s]+((?:\.[^./\s]+)+)\S*"), r"\1" + REDACTED + r"\2"),
)
_PRINTED: Final = re.compile(
    r"(?im)^(\s*(?:DeviceId|TenantId|TenantName|Device Name|DomainName|Thumbprint|Executing Account Name|IdpUrl|MdmUrl"
    r"|MdmTouUrl|MdmComplianceUrl|SettingsUrl|WorkplaceThumbprint|KeyProvider|KeyName|UserName|org_id|machine_guid"
    r"|IOPlatformUUID|IOPlatformSerialNumber|kern\.hostname)\"?\s*[:=]\s*)(\S.*?)\s*$"
)
"""What programs print of the kind, a word in front: dsregcmd, ioreg, sysctl, mdatp."""
_UUID: Final = re.compile(r"(?i)\{?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}?\Z")
_SHORTEST_NAME: Final = 3


class Redaction(Struct, frozen=True):
    """Takes out; ``names`` are those of this machine: its host name, its ids."""

    names: frozenset[str]

    @classmethod
    def of(cls, names: Iterable[str]) -> Redaction:
        """Make one for a machine; names too short to be told from words are left to the patterns."""
        return cls(frozenset(name.lower() for name in names if len(name) >= _SHORTEST_NAME))

    def text(self, text: str) -> str:
        """Return a text without them."""
        for pattern, instead in _PATTERNS:
            text = pattern.sub(instead, text)
        text = _PRINTED.sub(lambda found: found[1] + _instead_of(found[2]), text)
        for name in sorted(self.names, key=len, reverse=True):
            text = re.sub(re.escape(name), _instead_of(name), text, flags=re.IGNORECASE)
        return text

    def value(self, value: Any, *, under: str = "") -> Any:
        """Return a value without them; ``under`` is the name of the property that holds it."""
        match value:
            case str():
                private = under.lower() in _PRIVATE or package_of(value) is not None
                return _instead_of(value) if private and value else self.text(value)
            case Mapping():
                return {name: self.value(each, under=name) for name, each in value.items()}
            case Sequence() if not isinstance(value, bytes):
                return [self.value(each, under=under) for each in value]
            case _:
                return value


def _instead_of(value: str) -> str:
    return _NO_UUID if _UUID.match(value) else REDACTED
