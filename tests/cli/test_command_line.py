"""The administrators' command line as they use it: real programs, a real server, real TLS."""

from __future__ import annotations

import json
import resource
import shutil
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.support.command_line import PROGRAM, CommandLine, written
from tests.support.graph_bodies import a_policy, sample
from tests.support.samples import TENANT_ID, a_device
from typer.main import get_command
from typer.testing import CliRunner

from shieldwall.cli.shieldwall import app
from shieldwall.contract.ids import TenantId
from shieldwall.server.configuration.settings import load
from shieldwall.server.main import open_services
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.devices import devices


@pytest.fixture(scope="module")
def device(shieldwall: CommandLine) -> str:
    """A device in the directory; what it is called."""
    with open_services(load(shieldwall.data)) as services, services.database.write() as connection:
        made = a_device(tenant_id=TenantId(services.tenant.id), display_name="web-01\x1b[2J")
        devices.add(connection, made)
        check_ins.add(connection, made.id)
    return made.id


def test_a_login_is_kept_for_its_owner_alone(shieldwall: CommandLine) -> None:
    kept = shieldwall.config / "login.json"

    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700


def test_a_policy_is_assigned_shown_and_unassigned_by_name(shieldwall: CommandLine, tmp_path: Path) -> None:
    shieldwall("policy", "import", written(tmp_path / "p.json", a_policy("Baseline")))
    shieldwall("group", "create", "Servers", "--rule", '(device.displayName -startsWith "srv")')
    shieldwall("group", "create", "Laboratory")

    shieldwall("policy", "assign", "Baseline", "--group", "Servers", "--exclude", "Laboratory")
    shown = shieldwall("policy", "show", "Baseline").stdout
    assert "group " in shown
    assert "not group " in shown
    found = shieldwall.json("policy", "show", "Baseline", "--json")
    assert {each["target"]["@odata.type"].rpartition(".")[2] for each in found["assignments"]} == {
        "groupAssignmentTarget",
        "exclusionGroupAssignmentTarget",
    }

    shieldwall("policy", "assign", "Baseline")
    assert not shieldwall.json("policy", "show", "Baseline", "--json")["isAssigned"]
    assert "[error]" in shieldwall("policy", "show", "No such", status=1).stderr
    assert shieldwall("policy", "delete", "Baseline", stdin="n\n", status=None).returncode != 0
    shieldwall("policy", "delete", "Baseline", stdin="y\n")


def test_a_device_is_found_tagged_synced_and_offboarded(shieldwall: CommandLine, device: str) -> None:
    listed = shieldwall("device", "list").stdout
    assert "\x1b" not in listed
    assert r"web-01\x1b[2J" in listed
    (found,) = shieldwall.json("device", "list", "--json")
    assert found["id"] == device
    assert "Fabrikam" in shieldwall("device", "show", device).stdout
    assert shieldwall.json("device", "effective", device, "--json") == []

    assert (
        "edge, web"
        in shieldwall("device", "tag", device, "--add", "web", "--add", "edge", "--remove", "MDE-Management").stdout
    )
    shieldwall("device", "sync", device)
    for action, state in (("disable", "disabled"), ("enable", "active")):
        shieldwall("device", action, device)
        assert shieldwall.json("device", "show", device, "--json")["shieldwall"]["deviceState"] == state
    assert "wrongDeviceState" in shieldwall("device", "release", device, status=1).stderr
    shieldwall("group", "create", "Chosen")
    shieldwall("group", "add", "Chosen", device)
    assert shieldwall("device", "offboard", device, stdin="n\n", status=None).returncode != 0
    shieldwall("device", "offboard", device, "--yes")
    assert shieldwall.json("device", "show", device, "--json")["shieldwall"]["deviceState"] == "leaving"
    assert "no device" in shieldwall("device", "show", "nobody", status=1).stderr


def test_a_package_is_written_once_for_its_owner_alone(shieldwall: CommandLine, tmp_path: Path) -> None:
    out = tmp_path / "package.json"
    shieldwall("package", "create", "--out", str(out), "--name", "Rack", "--days", "2", "--uses", "3")

    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert set(json.loads(out.read_text())) == {"payload", "payloadType", "signatures"}
    assert "[error]" in shieldwall("package", "create", "--out", str(out), status=1).stderr
    (package,) = [each for each in shieldwall.json("package", "list", "--json") if each["displayName"] == "Rack"]
    shieldwall("package", "revoke", package["id"])
    assert "revoked" in shieldwall("package", "list").stdout


def test_any_call_can_be_made_raw_and_stays_on_the_server(shieldwall: CommandLine, tmp_path: Path) -> None:
    assert shieldwall.json("api", "GET", "/v1.0/organization")["value"][0]["verifiedDomains"]
    body = written(tmp_path / "body.json", sample("linux-antivirus") | {"name": "Raw"})
    made = shieldwall.json("api", "post", "/beta/deviceManagement/configurationPolicies", "--body", body)
    assert shieldwall("api", "DELETE", f"/beta/deviceManagement/configurationPolicies/{made['id']}").stdout == ""

    assert "(HTTP 404, notFound)" in shieldwall("api", "GET", "/v1.0/nothing", status=1).stderr
    for foreign in ("https://evil.example/v1.0/groups", "@evil.example/", ".evil.example/v1.0"):
        assert "[foreignAddress]" in shieldwall("api", "GET", foreign, status=1).stderr


def test_every_list_is_also_json(shieldwall: CommandLine) -> None:
    for noun in ("policy", "device", "group", "package", "filter", "reusable"):
        assert isinstance(shieldwall.json(noun, "list", "--json"), list)


def test_what_stands_in_the_way_is_said_in_three_lines(shieldwall: CommandLine, tmp_path: Path) -> None:
    login = json.loads(shieldwall.app.read_text())
    cases = {
        "notLoggedIn": None,
        "invalidLogin": {"x": 1},
        "serverUnreachable": login | {"graph": "https://localhost:1", "authority": f"https://localhost:1/{TENANT_ID}"},
        "refused": login | {"clientSecret": "wrong"},
    }
    unknown = {"invalid authority": login | {"certificateAuthority": "none"}}
    for code, content in {**cases, **unknown}.items():
        config = tmp_path / code
        config.mkdir()
        if content is not None:
            (config / "login.json").write_text(json.dumps(content))
        line = CommandLine(config=config, app=shieldwall.app, data=shieldwall.data, public_url=shieldwall.public_url)

        lines = line("device", "list", status=1).stderr.splitlines()

        assert [each.partition(" ")[0] for each in lines] == ["Could", "Why:", "What"], lines
        assert lines[1].endswith(f"[{code if code in cases else 'invalidLogin'}]")
        assert "wrong" not in "".join(lines)


def test_a_server_with_an_unknown_certificate_gets_no_secret(shieldwall: CommandLine, tmp_path: Path) -> None:
    login = json.loads(shieldwall.app.read_text())
    del login["certificateAuthority"]

    refused = shieldwall("login", "--app", written(tmp_path / "app.json", login), status=1)

    assert "[serverUnreachable]" in refused.stderr
    shutil.rmtree(tmp_path)


def commands(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command by its words."""
    for name, command in group.commands.items():
        if name == "server":
            continue  # on the server's own console, tested there
        if hasattr(command, "commands"):
            yield from commands(command, (*words, name))
        else:
            yield (*words, name), command


def test_every_command_has_help_with_an_example() -> None:
    found = dict(commands(get_command(app)))

    assert len(found) > 40
    for words, command in found.items():
        assert f"Example: shieldwall {' '.join(words)}" in " ".join((command.help or "").split()), words


def test_every_command_that_lists_or_shows_or_makes_something_has_json() -> None:
    telling = {"list", "show", "create", "count", "preview", "history", "members", "effective", "actions", "whoami"}
    files = {("package", "create")}  # writes what it makes to a file
    found = {words: command for words, command in commands(get_command(app)) if words[-1] in telling}

    assert len(found) > 40
    for words in found.keys() - files:
        assert "--json" in {option for each in found[words].params for option in each.opts}, words


def test_help_is_shown_when_asked_for() -> None:
    shown = CliRunner().invoke(app, ["policy", "import", "--help"])

    assert shown.exit_code == 0
    assert "Example: shieldwall policy import" in " ".join(shown.output.split())


def test_help_comes_at_once(shieldwall: CommandLine) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(3):
        shieldwall("--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert spent / 3 < 0.8, "four tenths of a second on an idle machine, and room for a busy one"


def test_the_command_line_loads_no_part_of_the_server_that_it_does_not_need() -> None:
    code = "import sys, shieldwall.cli.shieldwall; print(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    loaded = set(done.stdout.split())
    assert not loaded & {"httpx", "litestar", "sqlalchemy", "rich.table", "cryptography", "granian", "structlog"}
    # What a server can be told, and no more.
    named = ("access", "access.throttling", "configuration", "configuration.roles", "configuration.settings")
    light = {f"shieldwall.server.{name}" for name in (*named, "configuration.settings_file")}
    assert {name for name in loaded if name.startswith("shieldwall.server.")} <= light
    assert PROGRAM[0] == sys.executable


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
def test_a_body_without_end_is_refused_at_the_limit(shieldwall: CommandLine, *, declared: bool) -> None:
    address = urlsplit(shieldwall.public_url)
    trust = ssl.create_default_context(cafile=str(load(shieldwall.data).tls_authority))
    length = "Content-Length: 67108864" if declared else "Transfer-Encoding: chunked"
    head = f"POST /v1.0/groups HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n{length}\r\n\r\n"
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    with (
        socket.create_connection(("localhost", address.port or 443), timeout=20) as plain,
        trust.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.sendall(head.encode())
        sent = 0
        try:
            while not declared and sent < 32 * 1024 * 1024:
                connection.sendall(chunk)
                sent += len(chunk)
            answer = connection.recv(4096)
        except OSError:
            answer = b""

    assert sent < 32 * 1024 * 1024
    assert not answer or b" 413 " in answer.splitlines()[0]
