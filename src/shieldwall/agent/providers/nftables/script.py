"""The files we own: nft scripts that replace our table in one transaction, and can be read back.

In the head of a script stands, line by line as canonical JSON, all that it was made of: the machine as it was surveyed,
the settings, the rules. Reading takes them from there and believes them only when writing them again gives the same
bytes; a file that somebody changed by hand says nothing about our settings, so it is never mistaken for what was asked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, Final

import msgspec

from shieldwall.agent.providers.base import Desired
from shieldwall.agent.providers.nftables.layout import table_of
from shieldwall.agent.providers.nftables.lines import Table, table_text
from shieldwall.agent.providers.nftables.machine import Machine, plain
from shieldwall.agent.providers.nftables.rules import FIREWALL_RULES, parse_rule
from shieldwall.agent.providers.nftables.usable import refusal, without_services
from shieldwall.agent.providers.nftables.zones import (
    Profile,
    is_list,
    is_of_profile,
    profile_of,
    unusable,
    unusable_entry,
)
from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import SettingId
from shieldwall.contract.kinds import learned
from shieldwall.contract.strict_json import decode_any, encode
from shieldwall.policy.values import Item, SettingValue

_HEADING: Final = """\
#!/usr/sbin/nft -f
# Written by Shieldwall; a change made here is put back. First what the table is made of, then the table.
"""
_BOOT_HEADING: Final = """\
#!/usr/sbin/nft -f
# Written by Shieldwall; a change made here is put back. What is loaded before any service runs.
"""
_MACHINE: Final = "# machine "
_SETTING: Final = "# setting "
_RULE: Final = "# rule "
_NAME: Final = "# name "


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a script is made of. All of it can be expressed on this machine."""

    settings: Desired = field(default_factory=dict)
    """Settings of the profile."""
    rules: tuple[SettingValue, ...] | None = None
    """Items of the setting for rules, ``None`` where it is not asked for."""
    machine: Machine = field(default_factory=Machine)

    @cached_property
    def profile(self) -> Profile:
        """What holds in the zones; every setting that is observed asks for it."""
        return profile_of(self.settings)

    @property
    def desired(self) -> Desired:
        """All of it as settings."""
        return self.settings if self.rules is None else {**self.settings, FIREWALL_RULES: self.rules}

    def table(self, *, at_boot: bool = False) -> Table:
        """Lay out the table. Raises: UnusableRuleError."""
        rules = tuple(map(parse_rule, self.rules or ()))
        return table_of(self.profile, without_services(rules) if at_boot else rules, self.machine)


def script_of(asked: Asked) -> bytes:
    """Write the script. Raises: UnusableRuleError."""
    return f"{_HEADING}{_head(asked)}{table_text(asked.table())}".encode()


def boot_script_of(asked: Asked) -> bytes:
    """Write the script for the start of the machine, which nothing reads back. Raises: UnusableRuleError."""
    return f"{_BOOT_HEADING}{table_text(asked.table(at_boot=True))}".encode()


@lru_cache(maxsize=4)
def read_script(script: bytes | None) -> Asked | None:
    """Read what a script is made of; ``None`` when the bytes are not a script that we would write.

    The same script is read several times at each look; what is kept here is named by the very bytes.
    """
    if script is None:
        return None
    try:
        asked = _asked(script.decode())
        return asked if asked is not None and script_of(asked) == script else None
    except (InvalidJsonError, msgspec.ValidationError, ValueError, TypeError):
        return None


def _head(asked: Asked) -> str:
    lines = [f"{_MACHINE}{encode(plain(asked.machine)).decode()}"]
    lines += [f"{_SETTING}{encode([name, _plain(value)]).decode()}" for name, value in sorted(asked.settings.items())]
    lines += [] if asked.rules is None else [f"{_RULE}{len(asked.rules)}"]
    lines += [f"{_RULE}{encode(_plain(item)).decode()}" for item in asked.rules or ()]
    # For whoever reads a log, in which a rule is known by its id.
    lines += [f"{_NAME}{rule.id} {encode(rule.name).decode()}" for rule in map(parse_rule, asked.rules or ())]
    return "".join(f"{line}\n" for line in lines)


def _asked(text: str) -> Asked | None:
    lines = text.split("\n")
    machine = msgspec.convert(_first(lines, _MACHINE), learned(Machine))
    settings: dict[SettingId, SettingValue] = {}
    for line in lines:
        if line.startswith(_SETTING):
            name, value = decode_any(line.removeprefix(_SETTING).encode())
            settings[SettingId(str(name))] = _value(value)
    if not all(is_right(name, value) for name, value in settings.items()):
        return None
    items = [decode_any(line.removeprefix(_RULE).encode()) for line in lines if line.startswith(_RULE)]
    rules = tuple(map(_value, items[1:])) if items else None
    if any(refusal(parse_rule(item), machine) for item in rules or ()):
        return None
    return Asked(settings=settings, rules=rules, machine=machine)


def is_right(setting: SettingId, value: SettingValue) -> bool:
    """Say whether a setting of the profile has a value that means something."""
    if not is_of_profile(setting):
        return False
    if is_list(setting):
        return isinstance(value, tuple) and not any(unusable_entry(setting, entry) for entry in value)
    return unusable(setting, value) is None


def _first(lines: list[str], prefix: str) -> Any:
    found = next((line for line in lines if line.startswith(prefix)), None)
    if found is None:
        raise InvalidJsonError("The machine is missing.")
    return decode_any(found.removeprefix(prefix).encode())


def _plain(value: SettingValue) -> Any:
    match value:
        case Item():
            return {member: _plain(content) for member, content in value.members}
        case tuple():
            return [_plain(entry) for entry in value]
        case _:
            return value


def _value(plain_value: Any) -> SettingValue:
    match plain_value:
        case dict():
            return Item(tuple((SettingId(member), _value(content)) for member, content in sorted(plain_value.items())))
        case list():
            return tuple(_value(entry) for entry in plain_value)
        case bool() | float() | None:
            raise InvalidJsonError("A setting is a text, a number or a list.")
        case _:
            return plain_value  # type: ignore[no-any-return]  # str or int, all that JSON has left
