from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shieldwall.server.outgoing.errors import InvalidReceiverError, ReceiverRefusedError
from shieldwall.server.outgoing.rules import Address, OutgoingRules, admitted, check_url, may_connect

USUAL = OutgoingRules()
STRICT = OutgoingRules(private_networks=False)
LOCAL = OutgoingRules(loopback=True)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104 - nothing listens here
        "0.1.2.3",
        "127.0.0.1",
        "127.255.255.254",
        "169.254.169.254",
        "169.254.0.1",
        "168.63.129.16",
        "100.100.100.200",
        "192.0.0.192",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "ff02::1",
        "fd00:ec2::254",
        "fd20:ce::254",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2002:a9fe:a9fe::1",
    ],
)
def test_this_machine_its_link_and_the_metadata_of_clouds_are_off_limits(address: str) -> None:
    assert not may_connect(ip_address(address), USUAL)


@pytest.mark.parametrize("address", ["10.1.2.3", "172.31.0.1", "192.168.1.1", "100.64.0.1", "fd12::1"])
def test_networks_of_ones_own_are_open_unless_a_setting_closes_them(address: str) -> None:
    assert may_connect(ip_address(address), USUAL)
    assert not may_connect(ip_address(address), STRICT)
    assert not may_connect(ip_address("::ffff:10.1.2.3"), STRICT)
    assert not may_connect(ip_address("64:ff9b::a01:203"), STRICT)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "64:ff9b::808:808"])
def test_public_addresses_are_open(address: str) -> None:
    assert may_connect(ip_address(address), STRICT)


def test_this_machine_is_open_where_a_setting_says_so_and_nothing_else_with_it() -> None:
    assert may_connect(IPv4Address("127.0.0.1"), LOCAL)
    assert may_connect(IPv6Address("::1"), LOCAL)
    assert not may_connect(IPv4Address("169.254.169.254"), LOCAL)
    assert not may_connect(IPv4Address(0), LOCAL)


@given(st.ip_addresses(v=4), st.booleans(), st.booleans())
def test_writing_an_address_as_ipv6_opens_nothing(address: IPv4Address, private: bool, loopback: bool) -> None:
    rules = OutgoingRules(private_networks=private, loopback=loopback)
    plain = may_connect(address, rules)
    assert may_connect(IPv6Address(f"::ffff:{address}"), rules) == plain
    assert may_connect(IPv6Address(f"64:ff9b::{address}"), rules) == plain
    if not plain:
        assert not may_connect(IPv6Address((0x2002 << 112) | (int(address) << 80)), rules)


def test_a_name_with_one_good_address_is_reached_there_and_one_without_is_refused() -> None:
    found = [IPv4Address("127.0.0.1"), IPv4Address("8.8.8.8")]
    assert admitted("host", "https", found, USUAL) == (IPv4Address("8.8.8.8"),)
    with pytest.raises(ReceiverRefusedError):
        admitted("host", "https", found[:1], USUAL)


def test_plain_http_goes_to_this_machine_alone() -> None:
    found: list[Address] = [
        IPv4Address("127.0.0.1"),
        IPv4Address("10.0.0.1"),
        IPv4Address("8.8.8.8"),
        IPv6Address("::1"),
    ]
    assert admitted("host", "http", found, LOCAL) == (IPv4Address("127.0.0.1"), IPv6Address("::1"))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://",
        "https:///path",
        "http://example.org/",
        "ftp://example.org/",
        "file:///etc/passwd",
        "gopher://example.org",
        "https://user@example.org/",
        "https://user:pass@example.org/",
        "https://example.org/#part",
        "https://example.org:0/",
        "https://example.org:65536/",
        "https://example.org:port/",
        "https://exa mple.org/",
        "https://example.org/\r\nHost: other",
        "https://example.org\\@other/",
        "https://exämple.org/",
        "https://[fe80::1%25eth0]/",
        "https://[::1",
        "//example.org/",
        "https://example.org/" + "a" * 2_048,
    ],
)
def test_an_address_that_cannot_be_meant_is_refused(url: str) -> None:
    with pytest.raises(InvalidReceiverError):
        check_url(url, USUAL)


@pytest.mark.parametrize("url", ["https://example.org", "https://example.org:8443/a/b?c=d", "https://[2001:db8::1]/x"])
def test_an_https_address_is_taken(url: str) -> None:
    assert check_url(url, USUAL).scheme == "https"


@given(st.text())
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        parts = check_url(text, USUAL)
    except InvalidReceiverError:
        return
    assert parts.scheme == "https"
    assert parts.hostname
