"""The console of a server as an administrator uses it: the real command line, the real processes."""

from __future__ import annotations

import json
import os
import signal
import ssl
import stat
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate
from tests.support.identity_clients import certified
from tests.support.loaded_program import LoadedProgram
from tests.support.ports import free_port

from shieldwall.contract.ids import TenantId
from shieldwall.server.configuration.settings import load
from shieldwall.server.directory.administrators import redeem
from shieldwall.server.directory.app_credentials import authenticate_by_secret
from shieldwall.server.main import open_services
from shieldwall.server.signer.client import SignerClient
from shieldwall.trust.verification import open_time

_LATER = datetime(2100, 1, 1, tzinfo=UTC)
PROGRAM = (sys.executable, "-c", "from shieldwall.cli.shieldwall import main; main()", "server")
CONSOLE = LoadedProgram(
    "shieldwall.cli.shieldwall:main",
    os.environ,
    rehearsed=["server", "app", "list", "--data", os.devnull],
    besides="shieldwall.server.main shieldwall.server.console.initialise shieldwall.server.storage.engine.migrate",
)


@dataclass
class Console:
    data: Path
    public_url: str
    gateway_url: str

    def __call__(self, *words: str) -> subprocess.CompletedProcess[str]:
        return CONSOLE(["server", *words], os.environ)

    def init(self) -> subprocess.CompletedProcess[str]:
        urls = ("--public-url", self.public_url, "--gateway-url", self.gateway_url)
        return self("init", "--data", str(self.data), *urls)


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Console:
    made = Console(
        data=tmp_path_factory.mktemp("console") / "data",
        public_url=f"https://localhost:{free_port()}",
        gateway_url=f"https://localhost:{free_port()}",
    )
    done = made.init()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"Next: shieldwall server run --data {made.data}"
    return made


@pytest.fixture
def server(console: Console) -> Iterator[subprocess.Popen[str]]:
    with running(console) as process:
        yield process


@contextmanager
def running(console: Console, *words: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [*PROGRAM, "run", "--data", str(console.data), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        try:
            first = process.stdout.readline().split()
            if "--role" not in words or "admin" in words:
                assert first == ["Admin", "center", console.public_url]
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.communicate(timeout=60)


def get(
    console: Console, url: str, *, token: str | None = None, form: dict[str, str] | None = None, port: int | None = None
) -> tuple[int, Any]:
    """Ask for a page; ``port`` names another gateway, which answers under the same name as all of them."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    if port is not None:
        headers["Host"] = url.split("/")[2]
        url = url.replace(headers["Host"], f"localhost:{port}")
    body = None if form is None else urllib.parse.urlencode(form).encode()
    asked = urllib.request.Request(url, headers=headers, data=body)  # noqa: S310 - our own https address
    trust = ssl.create_default_context(cafile=str(load(console.data).tls_authority))
    try:
        with urllib.request.urlopen(asked, context=trust, timeout=20) as answer:  # noqa: S310 - as above
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def children(process: subprocess.Popen[str]) -> dict[str, int]:
    pids = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return {name_of(int(pid)): int(pid) for pid in pids}


def name_of(pid: int) -> str:
    module = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[2].decode()
    return module.rpartition(".")[2].removesuffix("_process")


def test_a_server_is_made_once(console: Console) -> None:
    again = console.init()
    assert again.returncode == 1
    assert "[alreadyInitialised]" in again.stderr


def test_a_server_runs_speaks_json_and_ends_when_asked(console: Console, server: subprocess.Popen[str]) -> None:
    for url in (console.public_url, console.gateway_url):
        assert get(console, f"{url}/healthz")[0] == 200
        assert get(console, f"{url}/readyz") == (200, {"status": "ready", "database": "ok", "signer": "ok"})
    assert set(children(server)) == {"signer", "gateway", "admin"}
    assert os.sched_getscheduler(children(server)["gateway"]) == os.SCHED_BATCH

    second = console("run", "--data", str(console.data))
    assert second.returncode == 1
    assert "[alreadyRunning]" in second.stderr

    server.send_signal(signal.SIGINT)
    _, log = server.communicate(timeout=60)
    assert server.returncode == 0
    events = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    assert {"server_ready", "gateway_listens", "admin_listens", "server_ending"} <= {each["event"] for each in events}


def test_each_role_runs_by_itself_and_a_gateway_as_often_as_there_are_ports(console: Console) -> None:
    other = free_port()
    with (
        running(console, "--role", "signer") as signer,
        running(console, "--role", "gateway") as one,
        running(console, "--role", "gateway", "--gateway-port", str(other)) as another,
        running(console, "--role", "admin") as admin,
    ):
        found = [set(children(each)) for each in (signer, one, another, admin)]
        assert found == [{"signer"}, {"gateway"}, {"gateway"}, {"admin"}]
        ready = (200, {"status": "ready", "database": "ok", "signer": "ok"})
        assert get(console, f"{console.public_url}/readyz") == ready
        assert get(console, f"{console.gateway_url}/readyz") == ready
        assert get(console, f"{console.gateway_url}/readyz", port=other) == ready

        for words in ((), ("--role", "signer"), ("--role", "gateway", "--gateway-port", str(other))):
            refused = console("run", "--data", str(console.data), *words)
            assert refused.returncode == 1
            assert "[alreadyRunning]" in refused.stderr

        one.send_signal(signal.SIGTERM)
        assert one.wait(60) == 0
        assert get(console, f"{console.gateway_url}/readyz", port=other)[0] == 200


def test_without_the_signer_nothing_goes_on(server: subprocess.Popen[str]) -> None:
    pids = children(server)
    os.kill(pids["signer"], signal.SIGKILL)

    _, log = server.communicate(timeout=60)

    assert server.returncode == 1
    assert "The signer ended by itself with status -9. [processEnded]" in log
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids.values())


def test_an_application_is_made_with_the_secret_that_lets_it_in(console: Console, tmp_path: Path) -> None:
    out = tmp_path / "app.json"
    words = ("app", "create", "--data", str(console.data), "--name", "Sample", "--out", str(out))
    made = console(*words, "--permission", "Group.Read.All", "--permission", "Device.Read.All")

    assert made.returncode == 0, made.stderr
    login = json.loads(out.read_text())
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert login["clientSecret"] not in made.stdout
    settings = load(console.data)
    assert login["authority"] == f"{console.public_url}/{settings.tenant_id}"
    assert login["graph"] == console.public_url
    assert login["certificateAuthority"] == settings.tls_authority.read_text()
    with open_services(settings) as services, services.database.read() as connection:
        now = services.clock.now()
        found = authenticate_by_secret(
            connection, settings.tenant_id, login["clientId"], login["clientSecret"], now=now
        )
    assert found.app.permissions == ("Device.Read.All", "Group.Read.All")

    again = console(*words, "--permission", "Group.Read.All")
    assert (again.returncode, "[fileExists]" in again.stderr) == (1, True)
    assert json.loads(out.read_text()) == login


def test_secrets_and_certificates_come_and_go_on_the_console(console: Console, tmp_path: Path) -> None:
    data, certificate = ("--data", str(console.data)), tmp_path / "app.pem"
    ours = load_der_x509_certificate(certified("EC", 9, ends=_LATER).certificate)
    certificate.write_bytes(ours.public_bytes(Encoding.PEM))
    made = console("app", "create", *data, "--name", "Certified", "--certificate", str(certificate))
    assert made.returncode == 0, made.stderr
    public = ("--public", "--require-proof", "--redirect-uri", "http://localhost")
    desk = console("app", "create", *data, "--name", "Desk", *public)
    assert desk.returncode == 0, desk.stderr
    refused = console("app", "create", *data, "--name", "Nowhere")
    assert (refused.returncode, "[outMissing]" in refused.stderr) == (1, True)
    app, other = apps_of(console)["Certified"], apps_of(console)["Desk"]
    assert [each["kind"] for each in app["credentials"]] == ["certificate"]
    assert (other["isPublic"], other["redirectUris"], other["credentials"]) == (True, ["http://localhost"], [])
    assert (app["requiresProof"], other["requiresProof"]) == (False, True)

    out = tmp_path / "more.json"
    added = console("app", "add-secret", *data, app["clientId"], "--out", str(out), "--days", "30")
    assert added.returncode == 0, added.stderr
    assert json.loads(out.read_text())["clientId"] == app["clientId"]
    again = console("app", "add-certificate", *data, app["clientId"], str(certificate))
    assert "[invalidApp]" in again.stderr
    (kept,) = (each for each in app["credentials"] if each["kind"] == "certificate")
    assert console("app", "remove-credential", *data, app["clientId"], kept["id"]).returncode == 0
    assert [each["kind"] for each in apps_of(console)["Certified"]["credentials"]] == ["secret"]
    assert console("app", "delete", *data, app["clientId"]).returncode == 0
    assert "Certified" not in apps_of(console)


def apps_of(console: Console) -> dict[str, Any]:
    listed = console("app", "list", "--data", str(console.data), "--json")
    assert listed.returncode == 0, listed.stderr
    return {each["displayName"]: each for each in json.loads(listed.stdout)}


def test_a_permission_that_nothing_asks_for_is_refused_and_leaves_no_file(console: Console, tmp_path: Path) -> None:
    out = tmp_path / "app.json"
    words = ("app", "create", "--data", str(console.data), "--name", "Sample", "--out", str(out))
    refused = console(*words, "--permission", "Everything.All")
    assert refused.returncode == 1
    assert "[unknownPermission]" in refused.stderr
    assert not out.exists()


def test_a_key_of_tokens_turns_over_and_the_server_knows_it_after_a_restart(
    console: Console, server: subprocess.Popen[str], tmp_path: Path
) -> None:
    assert server.poll() is None
    data, out = ("--data", str(console.data)), tmp_path / "app.json"
    made = console(
        "app", "create", *data, "--name", "Turns", "--permission", "Organization.Read.All", "--out", str(out)
    )
    assert made.returncode == 0, made.stderr
    login, home = json.loads(out.read_text()), load(console.data).tenant_id
    where = f"{console.public_url}/{home}/discovery/v2.0/keys"
    token = token_of(console, home, login)
    before = get(console, where)[1]["keys"]

    assert console("rotate-token-key", *data).returncode == 0

    both = get(console, where)[1]["keys"]
    assert [each["kid"] for each in both][:-1] == [each["kid"] for each in before]
    assert get(console, f"{console.public_url}/v1.0/organization", token=token)[0] == 200
    assert console("rotate-token-key", *data, "--at-once").returncode == 0
    (only,) = get(console, where)[1]["keys"]
    assert only["kid"] not in {each["kid"] for each in both}
    fresh = token_of(console, home, login)
    assert get(console, f"{console.public_url}/v1.0/organization", token=fresh)[0] == 200

    server.send_signal(signal.SIGINT)
    server.communicate(timeout=60)
    with running(console):
        assert get(console, where)[1]["keys"] == [only]
        assert get(console, f"{console.public_url}/v1.0/organization", token=fresh)[0] == 200
        assert get(console, f"{console.public_url}/v1.0/organization", token=token)[0] == 401


def test_an_invitation_is_a_link_that_lets_in_once(console: Console) -> None:
    link = console("admin", "invite", "--data", str(console.data)).stdout.strip()
    address, _, code = link.partition("?code=")
    assert address == f"{console.public_url}/sign-in"
    with open_services(load(console.data)) as services, services.database.write() as connection:
        session, _ = redeem(connection, services.acting("test"), code)
    assert session.display_name == "Administrator"


def test_a_directory_without_a_server_is_said_to_be_that(console: Console, tmp_path: Path) -> None:
    refused = console("run", "--data", str(tmp_path))
    assert refused.returncode == 1
    assert "[notInitialised]" in refused.stderr


def test_a_tenant_added_while_the_server_runs_is_served_at_once(
    console: Console, server: subprocess.Popen[str], tmp_path: Path
) -> None:
    assert server.poll() is None
    data = ("--data", str(console.data))
    home = load(console.data).tenant_id
    out = tmp_path / "app.json"
    app_words = ("--name", "Theirs", "--permission", "Device.Read.All", "--out", str(out), "--tenant")

    assert console("app", "create", *data, *app_words, "fabrikam.example").returncode == 1
    added = console("tenant", "add", *data, "Fabrikam", "--domain", "Fabrikam.example")
    assert added.returncode == 0, added.stderr

    listed = json.loads(console("tenant", "list", *data, "--json").stdout)
    assert [(each["displayName"], each["domain"], each["isHome"]) for each in listed] == [
        ("My organisation", "shieldwall.localhost", True),
        ("Fabrikam", "fabrikam.example", False),
    ]
    fabrikam = listed[1]["id"]
    assert fabrikam in added.stdout

    made = console("app", "create", *data, *app_words, "fabrikam.example")
    assert made.returncode == 0, made.stderr
    login = json.loads(out.read_text())
    assert (login["tenantId"], login["authority"]) == (fabrikam, f"{console.public_url}/{fabrikam}")
    token = token_of(console, "fabrikam.example", login)
    assert token is not None
    assert token_of(console, home, login) is None, "another tenant does not know the application"
    status, organizations = get(console, f"{console.public_url}/v1.0/organization", token=token)
    assert status == 200, organizations
    assert [each["displayName"] for each in organizations["value"]] == ["Fabrikam"]
    assert get(console, f"{console.public_url}/{fabrikam}/discovery/v2.0/keys") != get(
        console, f"{console.public_url}/{home}/discovery/v2.0/keys"
    )

    status, places = get(console, f"{console.gateway_url}/{fabrikam}/Discover?api-version=1.0")
    assert (status, places["tenantId"]) == (200, fabrikam)
    nobody = get(console, f"{console.gateway_url}/{'0' * 8}-0000-4000-8000-{'0' * 12}/Discover?api-version=1.0")
    assert nobody[0] == 404
    assert "/sign-in?code=" in console("admin", "invite", *data, "--tenant", fabrikam).stdout
    assert "/sign-in?code=" in console("admin", "invite", *data, "--all-tenants").stdout
    refused = console("admin", "invite", *data, "--tenant", fabrikam, "--all-tenants")
    assert (refused.returncode, "[invalidAdministrator]" in refused.stderr) == (1, True)

    with SignerClient(console.data) as signers:
        statements = [
            open_time(signer.sign_time("0" * 32), signer.trust_root(), tenant_id=tenant, nonce="0" * 32)
            for tenant in (home, TenantId(fabrikam))
            for signer in [signers.for_tenant(tenant)]
        ]
    assert len(statements) == 2


@pytest.mark.parametrize(
    ("name", "domain", "code"),
    [
        ("Ours", "shieldwall.localhost", "alreadyExists"),
        ("Ours", "SHIELDWALL.localhost", "alreadyExists"),
        ("", "new.example", "invalidTenant"),
        ("a\nb", "new.example", "invalidTenant"),
        ("New", "not a domain", "invalidTenant"),
        ("New", "localhost", "invalidTenant"),
        ("New", "11111111-1111-4111-8111-111111111111", "invalidTenant"),
    ],
)
def test_a_tenant_that_cannot_be_leaves_no_keys(console: Console, name: str, domain: str, code: str) -> None:
    before = sorted((console.data / "keys").iterdir())

    refused = console("tenant", "add", "--data", str(console.data), name, "--domain", domain)

    assert refused.returncode == 1
    assert f"[{code}]" in refused.stderr
    assert sorted((console.data / "keys").iterdir()) == before


def token_of(console: Console, tenant: str, login: dict[str, str]) -> str | None:
    form = {
        "grant_type": "client_credentials",
        "client_id": login["clientId"],
        "client_secret": login["clientSecret"],
        "scope": f"{console.public_url}/.default",
    }
    status, answer = get(console, f"{console.public_url}/{tenant}/oauth2/v2.0/token", form=form)
    return answer["access_token"] if status == 200 else None
