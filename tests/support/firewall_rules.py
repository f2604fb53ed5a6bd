"""Firewall rules as items of the setting, for tests."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from shieldwall.agent.providers.nftables.rules import FIREWALL_RULES
from shieldwall.contract.ids import SettingId
from shieldwall.policy.values import Item, SettingValue

_PREFIX = f"{FIREWALL_RULES}_item_"
_NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
_PORTS = st.sampled_from(["22", "8000-8010", "1-65535", "65535", "8005-9000", "0", "70000", "9-1", "22 ", "٢٢"])
_ADDRESSES = st.one_of(
    st.ip_addresses().map(str),
    st.sampled_from(["10.0.0.0/8", "0.0.0.0/0", "::/0", "10.0.0.1-10.0.0.9", "fe80::/10", "fe80::1%lo", "nonsense"]),
)
_COLLECTIONS = {
    "localports": st.lists(_PORTS, max_size=3).map(tuple),
    "remoteports": st.lists(_PORTS, max_size=3).map(tuple),
    "localaddresses": st.lists(_ADDRESSES, max_size=3).map(tuple),
    "remoteaddresses": st.lists(_ADDRESSES, max_size=3).map(tuple),
}
_CHOICES = {
    "enabled": st.sampled_from(["0", "1", "2"]),
    "direction": st.sampled_from(["in", "out"]),
    "action": st.sampled_from(["block", "allow"]),
    "protocol": st.sampled_from(["any", "tcp", "udp", "icmp"]),
}


def firewall_rule(name: str = "a rule", **members: str | tuple[str, ...]) -> Item:
    """An item as resolution hands it on; choices by the last word of their option, ``action="block"`` say."""
    values: dict[SettingId, SettingValue] = {SettingId(f"{_PREFIX}name"): name}
    for member, value in ({"action": "block"} | members).items():
        setting = SettingId(f"{_PREFIX}{member}")
        values[setting] = f"{setting}_{value}" if member in _CHOICES else value
    return Item(tuple(sorted(values.items())))


@st.composite
def rules(draw: st.DrawFn) -> Item:
    """Rules good and bad: what cannot be expressed must not spoil the others."""
    members: dict[str, Any] = draw(st.fixed_dictionaries({}, optional=_CHOICES | _COLLECTIONS))
    return firewall_rule(draw(_NAMES), **members)
