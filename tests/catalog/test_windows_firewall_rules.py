"""Windows firewall rules: how they are written, what must stand together, and what none may do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import policies as p
from tests.support.windows_firewall_rules import (
    ALLOW,
    BLOCK,
    ICMP,
    IN,
    OUT,
    RULES,
    TCP,
    TEMPLATE,
    UDP,
    local,
    local_ports,
    program,
    remote,
    remote_ports,
    rule,
    service,
    several,
)

from shieldwall.catalog.validate import Finding, validate
from shieldwall.contract.ids import SettingId, TemplateId
from shieldwall.contract.settings import (
    SettingInstance,
    SimpleCollectionSetting,
    SimpleKind,
    SimpleSetting,
    SimpleValue,
)

GUID = "6f8db2e3-340e-4aad-8e62-6f463ed00014"


def findings(*rules: tuple[SettingInstance, ...]) -> tuple[Finding, ...]:
    return validate(p.catalog(), TEMPLATE, "windows10", "mdm,microsoftSense", (p.items(RULES, *rules),))


@pytest.mark.parametrize("text", ["0", "22", "65535", "0-65535", "8000-8010"])
def test_a_port_is_taken(text: str) -> None:
    assert findings(rule(ALLOW, TCP, local_ports(text))) == ()


@pytest.mark.parametrize("text", ["65536", "23-22", "-1", "22-", "any", "RPC", "*", "1,2", "٢٢", ""])
def test_a_bad_port_is_refused(text: str) -> None:
    (finding,) = findings(rule(ALLOW, TCP, local_ports("22", text)))

    assert (finding.path, finding.code) == ("settings[0].values[0].children[3].values[1]", "invalidPort")
    assert "0 to 65535" in finding.allowed


@pytest.mark.parametrize(
    "text",
    [
        *("*", "10.0.0.1", "10.0.0.0/8", "10.0.0.0/255.0.0.0", "10.0.0.1-10.0.0.9", "2001:db8::1", "2001:db8::/32"),
        *("2001:db8::1-2001:db8::9", "LocalSubnet", "localsubnet", "DNS", "DHCP", "WINS", "Defaultgateway", "Intranet"),
        *("RmtIntranet", "Internet", "Ply2Renders"),
    ],
)
def test_an_address_is_taken(text: str) -> None:
    assert findings(rule(ALLOW, remote(text))) == ()


@pytest.mark.parametrize(
    "text",
    [
        *(
            "10.0.0.1/8",
            "10.0.0.0/33",
            "10.0.0.0/255.0.255.0",
            "2001:db8::/ffff::",
            "fe80::1%eth0",
            "10.0.0.9-10.0.0.1",
        ),
        *("any", "host.example", "LocalSubnet6x", "10.0.0.0/", "10.0.0.1-2001:db8::1", ""),
    ],
)
def test_a_bad_address_is_refused(text: str) -> None:
    (finding,) = findings(rule(ALLOW, remote("192.0.2.1", text)))

    assert (finding.path, finding.code) == ("settings[0].values[0].children[2].values[1]", "invalidAddress")


@pytest.mark.parametrize(
    ("text", "is_good"),
    [
        *((text, True) for text in ("8:0", "3:*", "255:255", "*")),
        *((text, False) for text in ("256:0", "3:256", "3", "3:", ":0", "*:0", "echo", "3:0:0", "")),
    ],
)
def test_kinds_of_messages(text: str, is_good: bool) -> None:
    found = findings(rule(ALLOW, ICMP, p.texts(f"{RULES}_icmptypesandcodes", text)))

    assert [finding.code for finding in found] == ([] if is_good else ["invalidIcmpType"])


@pytest.mark.parametrize(
    ("kind", "value", "code"),
    [
        ("reference", GUID, None),
        ("string", GUID, None),
        ("string", f"{{{GUID}}}", None),
        ("string", "10.0.0.0/8", "invalidGuid"),
        ("reference", "{" + GUID, "invalidGuid"),
        ("secret", GUID, "wrongType"),
    ],
)
def test_reusable_groups_are_referred_to_by_their_id(kind: SimpleKind, value: str, code: str | None) -> None:
    member = SettingId(f"{RULES}_remoteaddressdynamickeywords")
    groups = SimpleCollectionSetting(definition=member, values=(SimpleValue(kind=kind, value=value),))

    assert [finding.code for finding in findings(rule(ALLOW, groups))] == ([code] if code else [])


def test_an_address_is_no_reference() -> None:
    member = SettingId(f"{RULES}_remoteaddressranges")
    groups = SimpleCollectionSetting(definition=member, values=(SimpleValue(kind="reference", value=GUID),))

    (finding,) = findings(rule(ALLOW, groups))

    assert (finding.code, finding.allowed) == ("wrongType", "A value of kind string.")


@pytest.mark.parametrize(
    ("members", "position", "allowed"),
    [
        ((local_ports("22"),), 2, "6 or 17"),
        ((remote_ports("22"), ICMP), 2, "6 or 17"),
        ((p.texts(f"{RULES}_icmptypesandcodes", "8:0"), TCP), 2, "1 or 58"),
        ((p.choice(f"{RULES}_edgetraversal", "_1"),), 2, "_in"),
        ((OUT, p.choice(f"{RULES}_edgetraversal", "_1")), 3, "_in"),
        ((several("interfacetypes", "_lan", "_all"),), 2, "All alone"),
        ((local("10.0.0.1", "LocalSubnet"),), 2, "this device"),
    ],
)
def test_what_does_not_go_together_is_said_at_its_field(
    members: tuple[SettingInstance, ...], position: int, allowed: str
) -> None:
    (finding,) = findings(rule(ALLOW, *members))

    assert (finding.path, finding.code) == (f"settings[0].values[0].children[{position}]", "notTogether")
    assert allowed in finding.allowed


def test_what_goes_together_is_taken() -> None:
    assert (
        findings(
            rule(ALLOW, TCP, local_ports("22"), IN, p.choice(f"{RULES}_edgetraversal", "_1"), name="one"),
            rule(ALLOW, p.number(f"{RULES}_protocol", 58), p.texts(f"{RULES}_icmptypesandcodes", "128:*"), name="two"),
            rule(ALLOW, several("interfacetypes", "_lan", "_wireless"), several("profiles", "_1", "_4"), name="three"),
            rule(
                BLOCK, OUT, program("%systemroot%\\System32\\mshta.exe"), several("interfacetypes", "_all"), name="four"
            ),
        )
        == ()
    )


def test_names_of_rules_are_unique_in_a_policy() -> None:
    (finding,) = findings(rule(ALLOW), rule(ALLOW, TCP))

    assert (finding.path, finding.code) == ("settings[0].values[1].children[0]", "duplicateItem")


def test_a_policy_holds_150_rules() -> None:
    rules = [rule(ALLOW, name=f"rule {number}") for number in range(151)]

    assert findings(*rules[:150]) == ()
    assert [finding.code for finding in findings(*rules)] == ["wrongCount"]


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ((), "blocksEverything"),
        ((IN,), "blocksEverything"),
        ((TCP,), "blocksEverything"),
        ((remote("*"),), "blocksEverything"),
        ((remote("0.0.0.0/0.0.0.0"),), "blocksEverything"),
        ((TCP, remote_ports("0-65535")), "blocksEverything"),
        ((several("profiles", "_1", "_2", "_4"), IN), "blocksEverything"),
        ((several("profiles", "_2147483647"), IN), "blocksEverything"),
        ((several("profiles", "_4"),), "blocksEverything"),
        ((several("interfacetypes", "_lan", "_wireless", "_remoteaccess"), IN), "blocksEverything"),
        ((remote("Internet", "Intranet"),), "blocksEverything"),
        ((remote("LocalSubnet", "RmtIntranet", "Internet"), IN), "blocksEverything"),
        ((service("*"),), "blocksEverything"),
        ((remote("127.0.0.0/255.0.0.0"),), "blocksLoopback"),
        ((local("::1"),), "blocksLoopback"),
        ((UDP, remote_ports("53")), "blocksNameResolution"),
        ((UDP, remote_ports("53"), remote("DNS")), "blocksNameResolution"),
        ((remote("10.0.0.1", "dns"),), "blocksNameResolution"),
        ((service("Dnscache"),), "blocksNameResolution"),
        ((program("%SystemRoot%\\system32\\svchost.exe"), UDP, remote_ports("53")), "blocksNameResolution"),
        ((program("C:\\Program Files\\Shieldwall\\shieldwall-agent.exe"),), "blocksServer"),
        ((program("C:\\PROGRA~1\\Shieldwall\\shieldwall-agent.exe"),), "blocksServer"),
        ((program("C:\\x\\..\\Program Files\\Shieldwall\\shieldwall-agent.exe"),), "blocksServer"),
    ],
)
def test_a_rule_that_cuts_the_device_off_is_refused(members: tuple[SettingInstance, ...], code: str) -> None:
    (finding,) = findings(rule(BLOCK, *members))

    assert (finding.path, finding.code) == ("settings[0].values[0]", code)
    assert findings(rule(ALLOW, *members)) == ()
    assert findings(rule(BLOCK, p.choice(f"{RULES}_enabled", "_0"), *members)) == ()


@pytest.mark.parametrize(
    "members",
    [
        (ICMP,),
        (IN, several("profiles", "_4")),
        (IN, several("interfacetypes", "_wireless")),
        (program("C:\\Windows\\System32\\calc.exe"),),
        (service("Spooler"),),
        (program("%SystemRoot%\\System32\\svchost.exe"), service("Spooler")),
        (UDP, IN, remote_ports("53")),
        (remote("Intranet"),),
        (remote("LocalSubnet"),),
        (p.texts(f"{RULES}_remoteaddressdynamickeywords", GUID),),
        (p.text(f"{RULES}_localuserauthorizedlist", "D:(A;;CC;;;S-1-5-32-545)"),),
        (IN, program("C:\\Program Files\\Shieldwall\\shieldwall-agent.exe")),
    ],
)
def test_a_rule_that_leaves_something_is_taken(members: tuple[SettingInstance, ...]) -> None:
    assert findings(rule(BLOCK, *members)) == ()


def test_a_rule_without_an_action_allows() -> None:
    assert findings(rule()) == ()


@given(st.text(max_size=60), st.integers(-1, 300))
def test_any_text_gives_findings_and_never_an_error(text: str, protocol: int) -> None:
    members = (
        local_ports(text),
        remote(text),
        local(text),
        program(text),
        service(text),
        p.texts(f"{RULES}_icmptypesandcodes", text),
    )
    found = findings(rule(BLOCK, p.number(f"{RULES}_protocol", protocol), *members))

    assert all(finding.code and finding.message and finding.path for finding in found)


def test_a_secret_is_no_plain_text() -> None:
    detection = TemplateId("0385b795-0f2f-44ac-8602-9f65bf6adede_1")
    prefix = "device_vendor_msft_windowsadvancedthreatprotection_"

    def found(kind: SimpleKind) -> list[str]:
        blob = SimpleSetting(definition=SettingId(f"{prefix}onboarding"), value=SimpleValue(kind=kind, value="blob"))
        settings = (p.choice(f"{prefix}configurationtype", "_onboard", blob),)
        checked = validate(p.catalog(), detection, "windows10", "mdm,microsoftSense", settings)
        return [finding.code for finding in checked]

    assert found("secret") == []
    assert found("string") == ["wrongType"]
    assert found("reference") == ["wrongType"]
