"""Random firewall policies about one interface, all of which can be expressed but for a few rules."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from tests.support.firewall_model import Settings
from tests.support.firewall_profiles import everywhere, zone
from tests.support.firewall_rules import firewall_rule

from shieldwall.agent.providers.nftables.rules import FIREWALL_RULES
from shieldwall.policy.values import SettingValue

_BOOLEAN = st.sampled_from(["false", "true"])
_DEFAULT = st.sampled_from(["allow", "block"])


@st.composite
def policies(draw: st.DrawFn) -> Settings:
    """Policies about the one interface there is, all of which can be expressed."""
    policy: Settings = everywhere(enableauditmode=draw(st.sampled_from(["false"] * 7 + ["true"])))
    for name in ("trusted", "internal", "public"):
        members: dict[str, Any] = draw(
            st.fixed_dictionaries(
                {"enablefirewall": st.sampled_from(["true", "true", "true", "false"])},
                optional={
                    "shielded": st.sampled_from(["false", "false", "true"]),
                    "defaultinboundaction": _DEFAULT,
                    "defaultoutboundaction": _DEFAULT,
                    "allowestablished": st.sampled_from(["true", "true", "false"]),
                    "stealthmode": _BOOLEAN,
                    "icmpecho": _DEFAULT,
                    "dropinvalidpackets": _BOOLEAN,
                    "sourceaddressvalidation": st.sampled_from(["off", "loose", "strict"]),
                    "enablelogdroppedpackets": _BOOLEAN,
                    "interfaces": st.sampled_from([("cable",), ("cab*",), ("eth7",)]),
                    "networks": st.sampled_from([("10.99.0.0/24",), ("fd00::/8", "192.0.2.1"), ("10.98.0.0/16",)]),
                },
            )
        )
        policy |= draw(st.sampled_from([{}, zone(name, **members), zone(name, **members)]))
    rules = draw(st.lists(single_rules(), max_size=5, unique=True))
    return policy | {FIREWALL_RULES: tuple(rules)}


@st.composite
def single_rules(draw: st.DrawFn) -> SettingValue:
    """Rules that some of the probes meet and others do not."""
    protocol = draw(st.sampled_from(["any", "tcp", "udp", "icmp"]))
    direction = draw(st.sampled_from(["in", "out"]))
    ends = st.lists(
        st.sampled_from(
            ["10.99.0.1", "10.99.0.2", "10.99.0.0/30", "fd00:99::/64", "fd00:99::1-fd00:99::2", "10.0.0.1"]
        ),
        min_size=1,
        max_size=2,
        unique=True,
    ).map(tuple)
    ports = st.sampled_from([("8000",), ("8001",), ("7000-8000", "8002"), ("1-65535",), ("9",), ("53",), ("8443",)])
    optional: dict[str, st.SearchStrategy[Any]] = {
        "remoteaddresses": ends,
        "localaddresses": ends,
        "zones": st.sampled_from([("public",), ("trusted", "internal"), ("trusted", "internal", "public")]),
        "interfaces": st.sampled_from([("cable",), ("cab*", "eth9"), ("eth9",)]),
        "log": _BOOLEAN,
        "enabled": st.sampled_from(["1", "1", "0"]),
    }
    if protocol in {"tcp", "udp"}:
        optional |= {"localports" if direction == "in" else "remoteports": ports}
    if protocol == "icmp":
        optional |= {"icmptypes": st.sampled_from([("8:0",), ("8:*", "128:0"), ("3:*",), ("*",), ("128:*", "129:*")])}
    if protocol == "any":
        optional |= {"protocolnumber": st.sampled_from([6, 17, 1, 58, 47])}
    if direction == "out":
        optional |= {"users": st.sampled_from([("0",), ("65534",), ("0", "65534")])}
    members = draw(st.fixed_dictionaries({"action": st.sampled_from(["block", "allow"])}, optional=optional))
    return firewall_rule(f"rule {draw(st.integers(0, 9))}", protocol=protocol, direction=direction, **members)
