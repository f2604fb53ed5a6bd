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
_INTERFACES = st.sampled_from(["cable", "cab*", "eth0", "wg*", "wg0", "lo", "bad name", "x" * 16])
_USERS = st.sampled_from(["0", "1000", "65534", "4294967295", "root", "Bad"])
_MESSAGES = st.sampled_from(["8:0", "3:*", "3:1", "3:2", "128:0", "*", "255:255", "256:0", "8"])
_BEYOND = {
    "interfaces": st.lists(_INTERFACES, max_size=3).map(tuple),
    "users": st.lists(_USERS, max_size=3).map(tuple),
    "protocolnumber": st.sampled_from([0, 1, 6, 17, 47, 255, 256]),
    "icmptypes": st.lists(_MESSAGES, max_size=4).map(tuple),
    "servicename": st.sampled_from(["-.slice", "absent.service", "nonsense"]),
}
_CHOICE_COLLECTIONS = {
    "zones": st.lists(st.sampled_from(["trusted", "internal", "public"]), max_size=3, unique=True).map(tuple),
    "interfacetypes": st.lists(st.sampled_from(["lan", "wireless", "virtual"]), max_size=2, unique=True).map(tuple),
}
_CHOICES = {
    "enabled": st.sampled_from(["0", "1", "2"]),
    "direction": st.sampled_from(["in", "out"]),
    "action": st.sampled_from(["block", "allow"]),
    "protocol": st.sampled_from(["any", "tcp", "udp", "icmp"]),
    "log": st.sampled_from(["false", "true"]),
}


def firewall_rule(name: str = "a rule", **members: str | int | tuple[str, ...]) -> Item:
    """An item as resolution hands it on; choices by the last word of their option, ``action="block"`` say."""
    values: dict[SettingId, SettingValue] = {SettingId(f"{_PREFIX}name"): name}
    for member, value in ({"action": "block"} | members).items():
        setting = SettingId(f"{_PREFIX}{member}")
        if member in _CHOICES:
            values[setting] = f"{setting}_{value}"
        elif member in _CHOICE_COLLECTIONS:
            assert isinstance(value, tuple)
            values[setting] = tuple(f"{setting}_{word}" for word in value)
        else:
            values[setting] = value
    return Item(tuple(sorted(values.items())))


@st.composite
def rules(draw: st.DrawFn) -> Item:
    """Rules good and bad: what cannot be expressed must not spoil the others."""
    members: dict[str, Any] = draw(
        st.fixed_dictionaries({}, optional=_CHOICES | _COLLECTIONS | _CHOICE_COLLECTIONS | _BEYOND)
    )
    return firewall_rule(draw(_NAMES), **members)
