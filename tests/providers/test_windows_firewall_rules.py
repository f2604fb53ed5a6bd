"""Rules of the Windows firewall: every member as it stands in the registry, and one bad rule fails alone."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest
from tests.support import every_setting
from tests.support import policies as p
from tests.support import windows_firewall_rules as r
from tests.support.windows_firewall import CATALOG, RULE_SETTING, FirewalledMachine, item, rules

from shieldwall.agent.host.registry import decode
from shieldwall.agent.providers.windows_firewall import MDM_STORE, WindowsFirewallProvider, grammar
from shieldwall.agent.providers.windows_firewall.members import package_sid
from shieldwall.agent.providers.windows_firewall.rules import UnusableRuleError, id_of, rule_of
from shieldwall.contract.ids import SettingId
from shieldwall.contract.settings import SettingInstance
from shieldwall.contract.status import SettingState
from shieldwall.policy.values import Item
from shieldwall.testing.windows.cim import PretendCim
from shieldwall.testing.windows.firewall_rules import PretendRule

GOLDEN: Final = Path(__file__).parent / "golden/windows_firewall_rules.json"
PROVIDER: Final = WindowsFirewallProvider(CATALOG, PretendCim())
CORTANA: Final = "S-1-15-2-1861897761-1695161497-2927542615-642690995-327840285-2659745135-2630312742"
"""As it stands in published rules of Windows itself."""
ON: Final = p.choice(f"{r.RULES}_enabled", "_1")
USERS: Final = "O:LSD:(A;;CC;;;S-1-5-4)"


def text(member: str, value: str) -> SettingInstance:
    return p.text(f"{r.RULES}_{member}", value)


def written(*members: SettingInstance) -> str:
    found = grammar.render(rule_of(item(*members)))
    PretendRule.read("x", found)
    return found


MEMBERS: Final[dict[str, tuple[tuple[SettingInstance, ...], str]]] = {
    "nothing": ((), "Action=Allow|Active=TRUE|Dir=Out|"),
    "block": ((r.BLOCK, r.IN), "Action=Block|Active=TRUE|Dir=In|"),
    "off": ((p.choice(f"{r.RULES}_enabled", "_0"),), "Action=Allow|Active=FALSE|Dir=Out|"),
    "protocol": ((p.number(f"{r.RULES}_protocol", 47),), "Action=Allow|Active=TRUE|Dir=Out|Protocol=47|"),
    "ports": (
        (r.TCP, r.local_ports("443", "8000-8010"), r.remote_ports("00080", "7-7")),
        "Action=Allow|Active=TRUE|Dir=Out|Protocol=6|LPort=443|LPort2_10=8000-8010|RPort=80|RPort=7|",
    ),
    "icmp": (
        (r.ICMP, p.texts(f"{r.RULES}_icmptypesandcodes", "8:0", "3:*")),
        "Action=Allow|Active=TRUE|Dir=Out|Protocol=1|ICMP4=3:*|ICMP4=8:0|",
    ),
    "icmp six": (
        (p.number(f"{r.RULES}_protocol", 58), p.texts(f"{r.RULES}_icmptypesandcodes", "128:0")),
        "Action=Allow|Active=TRUE|Dir=Out|Protocol=58|ICMP6=128:0|",
    ),
    "every icmp": (
        (r.ICMP, p.texts(f"{r.RULES}_icmptypesandcodes", "8:0", "*")),
        "Action=Allow|Active=TRUE|Dir=Out|Protocol=1|",
    ),
    "profiles": (
        (r.several("profiles", "_1", "_4"),),
        "Action=Allow|Active=TRUE|Dir=Out|Profile=Domain|Profile=Public|",
    ),
    "all profiles": ((r.several("profiles", "_2147483647"),), "Action=Allow|Active=TRUE|Dir=Out|"),
    "interfaces": (
        (r.several("interfacetypes", "_wireless", "_lan"),),
        "Action=Allow|Active=TRUE|Dir=Out|IFType=Lan|IFType=Wireless|",
    ),
    "every interface": ((r.several("interfacetypes", "_all"),), "Action=Allow|Active=TRUE|Dir=Out|"),
    "addresses": (
        (r.local("10.1.2.3/32"), r.remote("10.0.0.0/255.0.0.0", "192.0.2.1-192.0.2.9", "0.0.0.0/0")),
        "Action=Allow|Active=TRUE|Dir=Out|LA4=10.1.2.3|RA4=0.0.0.0-255.255.255.255|RA4=10.0.0.0/8|RA4=192.0.2.1-192.0.2.9|",
    ),
    "addresses six": (
        (r.remote("2001:DB8::/32", "::1"),),
        "Action=Allow|Active=TRUE|Dir=Out|RA6=2001:db8::/32|RA6=::1|",
    ),
    "words": (
        (r.remote("localsubnet", "Defaultgateway"),),
        "Action=Allow|Active=TRUE|Dir=Out|RA4=DefaultGateway|RA6=DefaultGateway|RA4=LocalSubnet|RA6=LocalSubnet|",
    ),
    "every address": ((r.remote("*", "10.0.0.1"), r.local("*")), "Action=Allow|Active=TRUE|Dir=Out|"),
    "program": (
        (r.program(r"%ProgramFiles%\A b\c.exe"), r.service("*")),
        r"Action=Allow|Active=TRUE|Dir=Out|App=%ProgramFiles%\A b\c.exe|Svc=*|",
    ),
    "texts": ((text("description", "What = for: 100 %"),), "Action=Allow|Active=TRUE|Dir=Out|Desc=What = for: 100 %|"),
    "edge": ((r.IN, p.choice(f"{r.RULES}_edgetraversal", "_1")), "Action=Allow|Active=TRUE|Dir=In|Edge=TRUE|"),
    "internal name": ((text("firewallrulename", "x"),), "Action=Allow|Active=TRUE|Dir=Out|"),
}
NEWER: Final[dict[str, tuple[tuple[SettingInstance, ...], str]]] = {
    "newer words": (
        (r.remote("Internet", "rmtintranet"),),
        "Action=Allow|Active=TRUE|Dir=Out|RA42=IntErnet|RA62=IntErnet|RA42=RmtIntrAnet|RA62=RmtIntrAnet|",
    ),
    "users": ((text("localuserauthorizedlist", USERS),), f"Action=Allow|Active=TRUE|Dir=Out|LUAuth={USERS}|"),
    "package": (
        (text("app_packagefamilyname", "Microsoft.Windows.Cortana_cw5n1h2txyewy"),),
        f"Action=Allow|Active=TRUE|Dir=Out|AppPkgId={CORTANA}|",
    ),
}


@pytest.mark.parametrize("name", [*MEMBERS, *NEWER])
def test_each_member_stands_in_the_rule_as_windows_reads_it(name: str) -> None:
    members, expected = (MEMBERS | NEWER)[name]
    assert written(*members) == f"v2.{10 if name in MEMBERS else 20}|{expected}"


def test_the_rules_are_written_as_their_golden_file() -> None:
    items = tuple(item(*r.rule(*members, name=name)) for name, (members, _) in (MEMBERS | NEWER).items())
    rendered = PROVIDER.render({}, {RULE_SETTING: items}, {})
    assert rendered.files[MDM_STORE.path] == GOLDEN.read_bytes()
    assert PROVIDER.read(rendered.files) == {RULE_SETTING: items}
    assert not rendered.rejected


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ((r.local_ports("80"),), "portsNeedProtocol"),
        ((r.TCP, r.remote_ports("70000")), "invalidRule"),
        ((r.TCP, r.remote_ports("9-8")), "invalidRule"),
        ((r.TCP, p.texts(f"{r.RULES}_icmptypesandcodes", "8:0")), "icmpNeedsProtocol"),
        ((r.ICMP, p.texts(f"{r.RULES}_icmptypesandcodes", "8")), "invalidRule"),
        ((r.OUT, p.choice(f"{r.RULES}_edgetraversal", "_1")), "edgeNeedsInbound"),
        ((r.remote("10.0.0.300"),), "invalidRule"),
        ((r.local("LocalSubnet"),), "invalidRule"),
        ((r.local("10.0.0.1"), r.remote("::1")), "addressFamiliesDiffer"),
        ((r.program("C:\\a|Action=Allow"),), "invalidRule"),
        ((r.program("C:\\*.exe"),), "invalidRule"),
        ((r.service("a\\b"),), "invalidRule"),
        ((text("description", "two\nlines"),), "invalidRule"),
        ((text("name", "@C:\\evil.dll,-1"),), "invalidRule"),
        ((text("localuserauthorizedlist", "Everyone"),), "invalidRule"),
        ((text("app_packagefamilyname", "Cortana"),), "invalidRule"),
        ((text("policyappid", "Browsers"),), "notPublished"),
        ((text("app_fqbn", "x"),), "notPublished"),
        ((r.several("interfacetypes", "_mbb"),), "notPublished"),
        (
            (p.texts(f"{r.RULES}_remoteaddressdynamickeywords", "00000000-0000-4000-8000-000000000002"),),
            "groupNotReplaced",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_windows_would_refuse_is_refused_before(members: tuple[SettingInstance, ...], code: str) -> None:
    with pytest.raises(UnusableRuleError) as refused:
        rule_of(item(*members))
    assert refused.value.code == code


def test_a_rule_that_the_registry_does_not_hold_is_refused() -> None:
    ranges = [f"2001:db8:{i:x}:1111:2222:3333:4444:5555-2001:db8:{i:x}:1111:2222:3333:4444:6666" for i in range(7_000)]
    assert len(rule_of(item(r.remote(*ranges[:1_000]))).remote_addresses) == 1_000
    with pytest.raises(UnusableRuleError) as refused:
        rule_of(item(r.remote(*ranges)))
    assert refused.value.code == "ruleTooLong"


def test_a_condition_that_is_not_known_is_never_left_out() -> None:
    known = item(*r.rule(r.TCP))
    strange = Item((*known.members, (SettingId(f"{r.RULES}_zone"), "inner")))
    with pytest.raises(UnusableRuleError, match="does not know"):
        rule_of(strange)
    with pytest.raises(UnusableRuleError):
        rule_of("no item")


def test_one_bad_rule_fails_alone(tmp_path: Path) -> None:
    machine = FirewalledMachine(tmp_path)
    told = machine.enforce(
        rules(
            r.rule(r.TCP, r.remote_ports("443"), name="Good"),
            r.rule(text("policyappid", "Browsers"), name="Tagged"),
            r.rule(r.BLOCK, r.TCP, r.remote_ports("23"), name="Telnet"),
        )
    )

    status = told["firewallrules_{firewallrulename}"]
    assert [(each.item, each.state, each.code) for each in status.items] == [
        ("Tagged", SettingState.NOT_APPLICABLE, "notPublished")
    ]
    assert status.effective is True
    held = decode(machine.host.read_file(MDM_STORE.path) or b"")["FirewallRules"]
    assert len(held) == 2
    assert machine.firewall.errors == []


def test_the_same_rule_of_two_policies_is_one(tmp_path: Path) -> None:
    machine = FirewalledMachine(tmp_path)
    rule = r.rule(r.BLOCK, r.TCP, r.remote_ports("23"), name="Telnet")
    machine.enforce(rules(rule), rules(rule, r.rule(r.UDP, name="More"), number=3))
    held = decode(machine.host.read_file(MDM_STORE.path) or b"")["FirewallRules"]
    assert set(held) == {id_of(item(*rule)), id_of(item(*r.rule(r.UDP, name="More")))}


def test_every_member_of_the_catalog_is_known_or_refused_for_a_reason() -> None:
    template = CATALOG.template(r.TEMPLATE)
    members = {path[-1][0] for path in every_setting.paths(CATALOG, template)} - {RULE_SETTING}
    assert {member.removeprefix(f"{r.RULES}_") for member in members} == {
        *("action_type", "app_filepath", "app_fqbn", "app_packagefamilyname", "app_servicename", "description"),
        *("direction", "edgetraversal", "enabled", "firewallrulename", "icmptypesandcodes", "interfacetypes"),
        *("localaddressranges", "localportranges", "localuserauthorizedlist", "name", "policyappid", "profiles"),
        *("protocol", "remoteaddressdynamickeywords", "remoteaddressranges", "remoteportranges"),
    }


def test_the_identifier_of_a_package_is_the_one_that_windows_writes() -> None:
    assert package_sid("Microsoft.Windows.Cortana_cw5n1h2txyewy") == CORTANA
