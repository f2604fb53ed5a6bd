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
_PORTS = st.sampled_from(
    [("8000",), ("8000",), ("8001",), ("7000-8000", "8002"), ("1-65535",), ("9",), ("53",), ("53", "8443"), ("8443",)]
)
_ENDS = st.lists(
    st.sampled_from(["10.99.0.1", "10.99.0.2", "10.99.0.0/30", "fd00:99::/64", "fd00:99::1-fd00:99::2", "10.0.0.1"]),
    min_size=1,
    max_size=2,
    unique=True,
).map(tuple)


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
    rules = draw(st.lists(single_rules(), min_size=draw(st.integers(0, 4)), max_size=6, unique=True))
    if draw(st.booleans()):
        focus, rule = draw(_closed_but_for_one_rule())
        policy, rules = policy | focus, [rule, *rules[:2]]
    return policy | {FIREWALL_RULES: tuple(dict.fromkeys(rules))}


@st.composite
def _closed_but_for_one_rule(draw: st.DrawFn) -> tuple[Settings, SettingValue]:
    """Zones of which everything is closed in one direction, and a rule that opens one port of them."""
    inbound = draw(st.booleans())
    closed = {"defaultinboundaction" if inbound else "defaultoutboundaction": "block"}
    told = {"stealthmode": draw(_BOOLEAN), "shielded": "false", "allowestablished": "true", "enablefirewall": "true"}
    settings = everywhere(enableauditmode="false")
    for name in ("trusted", "internal", "public"):
        settings |= zone(name, **closed, **told)
    members: dict[str, Any] = {"localports" if inbound else "remoteports": draw(_PORTS)}
    if draw(st.booleans()):
        members["remoteaddresses" if draw(st.booleans()) else "localaddresses"] = draw(_ENDS)
    rule = firewall_rule(
        "focus",
        action="allow",
        direction="in" if inbound else "out",
        protocol=draw(st.sampled_from(["tcp", "udp"])),
        **members,
    )
    return settings, rule


@st.composite
def single_rules(draw: st.DrawFn) -> SettingValue:
    """Rules that some of the probes meet and others do not: few conditions each, most of them near the mark."""
    protocol = draw(st.sampled_from(["tcp", "tcp", "udp", "udp", "any", "icmp"]))
    direction = draw(st.sampled_from(["in", "out"]))
    by_protocol: dict[str, dict[str, st.SearchStrategy[Any]]] = {
        "tcp": {"localports" if direction == "in" else "remoteports": _PORTS},
        "udp": {"localports" if direction == "in" else "remoteports": _PORTS},
        "icmp": {"icmptypes": st.sampled_from([("8:0",), ("8:*", "128:0"), ("3:*",), ("*",), ("128:*", "129:*")])},
        "any": {"protocolnumber": st.sampled_from([6, 17, 1, 58, 47])},
    }
    own = by_protocol[protocol]
    others: dict[str, st.SearchStrategy[Any]] = {
        "remoteaddresses": _ENDS,
        "localaddresses": _ENDS,
        "zones": st.sampled_from([("public",), ("trusted", "internal"), ("trusted", "internal", "public")]),
        "interfaces": st.sampled_from([("cable",), ("cab*", "eth9"), ("eth9",)]),
        "log": _BOOLEAN,
        "enabled": st.sampled_from(["1", "1", "0"]),
        **({"users": st.sampled_from([("0",), ("65534",), ("0", "65534")])} if direction == "out" else {}),
    }
    chosen = draw(st.lists(st.sampled_from(sorted(others)), max_size=2, unique=True))
    conditions = {**(own if draw(st.integers(0, 3)) else {}), **{name: others[name] for name in chosen}}
    members = {name: draw(values) for name, values in conditions.items()}
    action = draw(st.sampled_from(["block", "allow"]))
    return firewall_rule(
        f"rule {draw(st.integers(0, 9))}", action=action, protocol=protocol, direction=direction, **members
    )
