"""A rule that would cut the device off from its server is refused, on every platform."""

from __future__ import annotations

import pytest
from tests.support import policies as p
from tests.support import windows_firewall_rules as w

from shieldwall.catalog.firewall import Endpoint, ServerEndpoints
from shieldwall.catalog.firewall.ranges import Addresses
from shieldwall.catalog.validate import validate
from shieldwall.contract.ids import SettingId
from shieldwall.contract.settings import (
    ChoiceCollectionSetting,
    ChoiceValue,
    SettingInstance,
    SimpleCollectionSetting,
    SimpleValue,
)

SERVER = ServerEndpoints.of(["https://gateway.contoso.example:8443", "https://198.51.100.7/graph"])
PUBLIC = ServerEndpoints.of(["https://8.8.8.8:8443"])

OUT = p.choice(f"{p.RULES}_item_direction", "_out")
TCP, UDP = p.choice(f"{p.RULES}_item_protocol", "_tcp"), p.choice(f"{p.RULES}_item_protocol", "_udp")


def ports(*named: str) -> SettingInstance:
    return p.texts(f"{p.RULES}_item_remoteports", *named)


def local_ports(*named: str) -> SettingInstance:
    return p.texts(f"{p.RULES}_item_localports", *named)


def remote(*named: str) -> SettingInstance:
    return p.texts(f"{p.RULES}_item_remoteaddresses", *named)


def interfaces(*named: str) -> SettingInstance:
    return p.texts(f"{p.RULES}_item_interfaces", *named)


def users(*named: str) -> SettingInstance:
    return p.texts(f"{p.RULES}_item_users", *named)


def zones(*named: str) -> SettingInstance:
    member = SettingId(f"{p.RULES}_item_zones")
    return ChoiceCollectionSetting(
        definition=member, values=tuple(ChoiceValue(value=f"{member}_{zone}") for zone in named)
    )


def service(name: str) -> SettingInstance:
    return p.text(f"{p.RULES}_item_servicename", name)


def groups(side: str) -> SettingInstance:
    reference = SimpleValue(kind="reference", value="6f8db2e3-340e-4aad-8e62-6f463ed00014")
    member = SettingId(f"{p.RULES}_item_{side}addressgroups")
    return SimpleCollectionSetting(definition=member, values=(reference,))


def codes(*members: SettingInstance, server: ServerEndpoints | None = SERVER) -> list[str]:
    settings = (p.items(p.RULES, p.firewall_rule("A rule", "block", *members)),)
    found = validate(p.catalog(), p.FIREWALL_RULES, "linux", "microsoftSense", settings, server=server)
    assert {finding.path for finding in found} <= {"settings[0].values[0]"}
    return [finding.code for finding in found]


def windows_codes(*members: SettingInstance, server: ServerEndpoints = SERVER) -> list[str]:
    settings = (p.items(w.RULES, w.rule(w.BLOCK, *members)),)
    found = validate(p.catalog(), w.TEMPLATE, "windows10", "mdm,microsoftSense", settings, server=server)
    return [finding.code for finding in found]


def test_urls_give_ports_and_the_addresses_that_stand_in_them() -> None:
    number = (198 << 24) + (51 << 16) + (100 << 8) + 7

    assert SERVER.endpoints == (Endpoint(8443), Endpoint(443, (Addresses(4, (number, number)),)))
    assert ServerEndpoints.of(["https://[::1]:9"]).endpoints == (Endpoint(9, (Addresses(6, (1, 1)),)),)
    assert ServerEndpoints.of(["HTTP://a.example?x#y"]).endpoints == (Endpoint(80),)


@pytest.mark.parametrize(
    "text", ["", "gateway", "ftp://a", "https://", "https://a:b", "https://u@a", "https://[::1", "//a"]
)
def test_what_is_not_a_url_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a URL"):
        ServerEndpoints.of([text])


@pytest.mark.parametrize(
    "members",
    [
        (OUT, TCP, ports("8443")),
        (OUT, TCP, ports("443")),
        (OUT, TCP, ports("1-52", "54-65535")),
        (OUT, remote("198.51.100.0/24")),
        (OUT, TCP, ports("443"), remote("198.51.100.7")),
        (OUT, TCP, ports("8443"), zones("public")),
        (OUT, TCP, ports("8443"), users("root", "postgres")),
        (OUT, TCP, ports("8443"), service("shieldwall-agent.service")),
        (OUT, TCP, ports("8443"), service("system.slice")),
        (OUT, TCP, ports("8443"), interfaces("e*")),
        (OUT, TCP, ports("8443"), local_ports("1024-65535")),
    ],
)
def test_a_rule_that_cuts_the_device_off_from_the_server_is_refused(members: tuple[SettingInstance, ...]) -> None:
    assert codes(*members) == ["blocksServer"]
    assert codes(*members, server=None) == []


@pytest.mark.parametrize(
    "members",
    [
        (TCP, ports("8443")),
        (OUT, UDP, ports("8443")),
        (OUT, TCP, ports("8080")),
        (OUT, TCP, ports("8443"), remote("192.0.2.0/24")),
        (OUT, TCP, ports("80"), remote("198.51.100.7")),
        (OUT, TCP, ports("8443"), local_ports("22")),
        (OUT, TCP, ports("8443"), interfaces("wg0")),
        (OUT, TCP, ports("8443"), users("postgres")),
        (OUT, TCP, ports("8443"), service("nginx.service")),
        (OUT, TCP, ports("8443"), p.choice(f"{p.RULES}_item_enabled", "_0")),
        (OUT, TCP, ports("8443"), p.texts(f"{p.RULES}_item_localaddresses", "192.0.2.1")),
        (OUT, groups("remote")),
        (OUT, groups("local")),
        (OUT, p.number(f"{p.RULES}_item_protocolnumber", 47)),
        (OUT, service("nginx.service"), remote("127.0.0.1")),
    ],
)
def test_a_rule_that_leaves_the_server_alone_is_taken(members: tuple[SettingInstance, ...]) -> None:
    assert codes(*members) == []


def test_a_rule_for_the_agent_alone_is_refused_wherever_the_server_is() -> None:
    assert codes(OUT, service("shieldwall-agent.service"), server=None) == ["blocksServer"]
    assert codes(OUT, service("systemd-resolved.service"), server=None) == ["blocksNameResolution"]
    assert codes(OUT, service("nginx.service"), server=None) == []


@pytest.mark.parametrize(
    ("members", "is_refused"),
    [
        ((w.TCP, w.remote_ports("8443")), True),
        ((w.remote("198.51.100.0/255.255.255.0"),), True),
        ((w.TCP, w.remote_ports("8443"), w.remote("*")), True),
        ((w.TCP, w.remote_ports("8443"), w.IN), False),
        ((w.TCP, w.remote_ports("8080")), False),
        ((w.remote("192.0.2.1"),), False),
        ((w.remote("Internet"),), False),
        ((w.TCP, w.remote_ports("8443"), w.program("C:\\Windows\\System32\\calc.exe")), False),
        (
            (
                w.TCP,
                w.remote_ports("8443"),
                w.program("%ProgramFiles%\\Shieldwall\\bin\\shieldwall-agent.exe"),
            ),
            True,
        ),
    ],
)
def test_windows_rules(members: tuple[SettingInstance, ...], is_refused: bool) -> None:
    assert windows_codes(*members) == (["blocksServer"] if is_refused else [])


def test_the_internet_holds_a_server_with_a_public_address() -> None:
    assert windows_codes(w.remote("Internet"), server=PUBLIC) == ["blocksServer"]
