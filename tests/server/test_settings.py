from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from shieldwall.contract.ids import TenantId
from shieldwall.server.configuration.settings import (
    FILE,
    InvalidSettingsError,
    InvalidUrlError,
    NotInitialisedError,
    UnreadableSettingsError,
    authority_of,
    host_of,
    load,
    port_of,
    store,
)
from shieldwall.server.configuration.settings_file import SettingsFile

TENANT = TenantId("00000000-0000-4000-8000-00000000000a")


def settings(listen: str = "127.0.0.1") -> SettingsFile:
    return SettingsFile(tenant_id=TENANT, database="sqlite:///x", listen=listen, public_port=8443, gateway_port=8444)


def test_what_was_stored_is_loaded_and_nobody_else_can_read_it(tmp_path: Path) -> None:
    store(tmp_path, settings(listen="10.0.0.1"))
    store(tmp_path, settings(listen="10.0.0.2"))

    assert load(tmp_path).listen == "10.0.0.2"
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == [FILE]


def test_a_directory_without_a_server_is_said_to_be_that(tmp_path: Path) -> None:
    with pytest.raises(NotInitialisedError, match=r"no server\.json"):
        load(tmp_path)


def test_what_is_no_directory_holds_no_server(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotInitialisedError, match=r"no server\.json"):
        load(tmp_path / "file")


def test_settings_that_cannot_be_read_are_said_to_be_there(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    with pytest.raises(UnreadableSettingsError, match=r"server\.json cannot be read: Is a directory\."):
        load(tmp_path)


@pytest.mark.parametrize(
    "change",
    [{"more": 1}, {"gatewayPort": "8444"}, {"gatewayPort": 0}, {"tenantId": "x"}, {"publicUrl": "http://x"}],
    ids=str,
)
def test_settings_that_are_not_exactly_right_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    store(tmp_path, settings())
    members = json.loads((tmp_path / FILE).read_text()) | change
    (tmp_path / FILE).write_text(json.dumps(members))
    with pytest.raises(InvalidSettingsError, match=r"server\.json"):
        load(tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://server.example",
        "https://",
        "https://server.example/",
        "https://server.example/path",
        "https://server.example?x",
        "https://user@server.example",
        "https://SERVER.example",
        "https://server.example:99999",
        "https://server.example:x",
        "https://server.example:",
        " https://server.example",
    ],
)
def test_an_address_that_links_could_not_be_made_of_is_refused(url: str) -> None:
    with pytest.raises(InvalidUrlError):
        authority_of(url)


@pytest.mark.parametrize(
    ("url", "authority", "host", "port"),
    [
        ("https://server.example", "server.example", "server.example", 443),
        ("https://server.example:8444", "server.example:8444", "server.example", 8444),
        ("https://192.0.2.1:1", "192.0.2.1:1", "192.0.2.1", 1),
        ("https://[2001:db8::1]:8444", "[2001:db8::1]:8444", "2001:db8::1", 8444),
    ],
)
def test_an_address_names_authority_host_and_port(url: str, authority: str, host: str, port: int) -> None:
    assert (authority_of(url), host_of(url), port_of(url)) == (authority, host, port)
