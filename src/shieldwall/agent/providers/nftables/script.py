"""The file we own: an nft script that replaces our table in one transaction, and can be read back.

Above the table stands one comment line for each rule, with the item as canonical JSON. Reading takes the items from
these lines and believes them only when writing them again gives the same bytes; a file that somebody changed by hand
says nothing about our setting, so it is never mistaken for what was asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from shieldwall.agent.providers.nftables.lines import CHAINS, TABLE, lines_for
from shieldwall.agent.providers.nftables.rules import UnusableRuleError, parse_rule
from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import SettingId
from shieldwall.contract.strict_json import decode_any, encode
from shieldwall.policy.values import Item, SettingValue

_HEADING: Final = """\
#!/usr/sbin/nft -f
# Written by shieldwall-agent; a change made here is put back. One line for each rule, then the table made of them.
"""
_RULE: Final = "# rule "


def script_of(items: Iterable[SettingValue]) -> bytes:
    """Write the script for items that can all be expressed. Raises: UnusableRuleError."""
    kept = tuple(items)
    lines = lines_for(parse_rule(item) for item in kept)
    remembered = "".join(f"{_RULE}{encode(_plain(item)).decode()}\n" for item in kept)
    chains = "\n".join(
        f"  chain {chain} {{\n"
        f"    type filter hook {chain} priority 0; policy accept;\n"
        + "".join(f"    {line}\n" for line in lines if line.chain == chain)
        + "  }"
        for chain in CHAINS
    )
    # Adding before deleting makes the deletion succeed whether or not the table was there.
    table = f"add table inet {TABLE}\ndelete table inet {TABLE}\ntable inet {TABLE} {{\n{chains}\n}}\n"
    return f"{_HEADING}{remembered}{table}".encode()


def items_in(script: bytes | None) -> tuple[SettingValue, ...] | None:
    """Read the items back; ``None`` when the bytes are not a script that we would write."""
    if script is None:
        return None
    try:
        text = script.decode()
        items = tuple(
            _value(decode_any(line.removeprefix(_RULE).encode())) for line in text.split("\n") if line.startswith(_RULE)
        )
        return items if script_of(items) == script else None
    except (UnicodeDecodeError, InvalidJsonError, UnusableRuleError):
        return None


def _plain(value: SettingValue) -> Any:
    match value:
        case Item():
            return {member: _plain(content) for member, content in value.members}
        case tuple():
            return [_plain(entry) for entry in value]
        case _:
            return value


def _value(plain: Any) -> SettingValue:
    match plain:
        case dict():
            return Item(tuple((SettingId(member), _value(content)) for member, content in sorted(plain.items())))
        case list():
            return tuple(_value(entry) for entry in plain)
        case bool() | float() | None:
            raise InvalidJsonError("A member of a rule is a text, a number or a list.")
        case _:
            return plain  # type: ignore[no-any-return]  # str or int, all that JSON has left
