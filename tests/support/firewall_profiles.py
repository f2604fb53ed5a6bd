"""The profile "Linux Firewall" as settings, for tests."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from shieldwall.agent.providers.nftables.rules import FIREWALL_RULES
from shieldwall.agent.providers.nftables.zones import PREFIX
from shieldwall.contract.ids import SettingId
from shieldwall.policy.values import SettingValue

ZONES = ("trusted", "internal", "public")
_BOOLEAN = ("false", "true")
_DEFAULT = ("allow", "block")
_CHOICES = {
    "enablefirewall": _BOOLEAN,
    "shielded": _BOOLEAN,
    "defaultinboundaction": _DEFAULT,
    "defaultoutboundaction": _DEFAULT,
    "allowestablished": _BOOLEAN,
    "stealthmode": _BOOLEAN,
    "icmpecho": _DEFAULT,
    "allowunicastresponsestomulticastbroadcast": _BOOLEAN,
    "dropinvalidpackets": _BOOLEAN,
    "sourceaddressvalidation": ("off", "loose", "strict"),
    "allowlocalpolicymerge": _BOOLEAN,
    "enablelogdroppedpackets": _BOOLEAN,
    "enablelogsuccessconnections": _BOOLEAN,
}
_NUMBERS = {"icmpechorate": (1, 10_000), "lograte": (1, 1_000), "logmaxfilesize": (64, 1_048_576)}
_GLOBAL = {
    "forwardedtraffic": ("leave", "block"),
    "connectiontrackinghelpers": _BOOLEAN,
    "enableauditmode": _BOOLEAN,
    "loadatboot": _BOOLEAN,
}
_INTERFACES = st.sampled_from(["cable", "eth0", "eth*", "wg*", "wg0", "bad name", "lo"])
_NETWORKS = st.sampled_from(["10.0.0.0/8", "10.99.0.0/24", "fd00::/8", "192.0.2.1", "10.0.0.1-10.0.0.9", "nonsense"])


def zone(name: str, **members: str | int | tuple[str, ...]) -> dict[SettingId, SettingValue]:
    """Settings of a zone; choices by the last word of their option, ``shielded="true"`` say."""
    return dict(_setting(f"{PREFIX}{name}_{member}", member, value) for member, value in members.items())


def everywhere(**members: str | int) -> dict[SettingId, SettingValue]:
    """Settings for all zones at once."""
    return dict(_setting(f"{PREFIX}global_{member}", member, value) for member, value in members.items())


@st.composite
def profiles(draw: st.DrawFn) -> dict[SettingId, SettingValue]:
    """Any settings of the profile; lists hold what is no interface or network as well."""
    settings: dict[SettingId, SettingValue] = {}
    for name in ZONES:
        members: dict[str, Any] = draw(
            st.fixed_dictionaries(
                {},
                optional={
                    **{member: st.sampled_from(options) for member, options in _CHOICES.items()},
                    **{member: st.integers(*limits) for member, limits in _NUMBERS.items()},
                    "interfaces": st.lists(_INTERFACES, max_size=3, unique=True).map(tuple),
                    "networks": st.lists(_NETWORKS, max_size=3, unique=True).map(tuple),
                },
            )
        )
        settings |= zone(name, **members)
    members = draw(
        st.fixed_dictionaries(
            {},
            optional={
                **{member: st.sampled_from(options) for member, options in _GLOBAL.items()},
                "confirmseconds": st.integers(15, 600),
            },
        )
    )
    return settings | everywhere(**members)


def firewalls(rules: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[SettingId, SettingValue]]:
    """Any settings of the profile together with rules, or either alone."""
    lists = st.lists(rules, max_size=4, unique=True).map(tuple)
    with_rules = st.tuples(profiles(), lists).map(lambda pair: pair[0] | {FIREWALL_RULES: pair[1]})
    return profiles() | with_rules | lists.map(lambda items: {FIREWALL_RULES: items})


def _setting(name: str, member: str, value: str | int | tuple[str, ...]) -> tuple[SettingId, SettingValue]:
    chosen = member in _CHOICES or member in _GLOBAL
    return SettingId(name), f"{name}_{value}" if chosen else value
