"""A real server as its processes, and programs of others that use it, each run as a program of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest
from tests.support.connect_proxy import ConnectProxy, connect_proxy
from tests.support.ports import free_port
from tests.support.samples import a_device

from shieldwall.contract.ids import TenantId
from shieldwall.server.access.permissions import PERMISSIONS, RESERVED
from shieldwall.server.configuration.settings import load
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.engine.database import Database

REPOSITORY: Final = Path(__file__).parents[2]
PYTHON: Final = REPOSITORY / ".venv-clients/bin/python"
PROGRAMS: Final = Path(__file__).parent / "programs"
SERVER: Final = (sys.executable, "-c", "from shieldwall.cli.shieldwall import main; main()", "server")
MICROSOFT: Final = ("https://graph.microsoft.com", "https://login.microsoftonline.com")
DEVICES: Final = 25
DOMAIN: Final = "contoso.example"


@dataclass(frozen=True)
class Service:
    """A server that runs, an application that may do everything, and a way there for tools that know only Microsoft."""

    data: Path
    public_url: str
    tenant_id: str
    client_id: str
    client_secret: str
    authority: Path
    proxy_url: str
    proxy: ConnectProxy

    def console(self, *words: str) -> str:
        """Run a command of the server's console."""
        done = subprocess.run(
            [*SERVER, *words, "--data", str(self.data)], capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def environment(self, **more: str) -> dict[str, str]:
        """What a program of others is given: whom to trust, and nothing of our own."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.data.parent),
            "SSL_CERT_FILE": str(self.authority),
            "REQUESTS_CA_BUNDLE": str(self.authority),
            **more,
        }

    def run(self, program: str, *, environment: Mapping[str, str] | None = None, **given: Any) -> Any:
        """Run one of ``programs`` with what it is given; return what it says."""
        told = {
            "url": self.public_url,
            "tenant": self.tenant_id,
            "domain": DOMAIN,
            "clientId": self.client_id,
            "clientSecret": self.client_secret,
            **given,
        }
        done = subprocess.run(
            [PYTHON, PROGRAMS / f"{program}.py"],
            input=json.dumps(told),
            capture_output=True,
            text=True,
            timeout=170,
            env=self.environment(**(environment or {})),
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="session")
def _clients() -> None:
    """Make the environment of the clients; on CI it has to be there, elsewhere who has no network goes without."""
    made = subprocess.run([REPOSITORY / "scripts/client-environment"], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"No clients to test with:\n{made.stderr}")


@pytest.fixture(scope="session")
def service(_clients: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Run a server with devices in it for all tests of clients."""
    data = tmp_path_factory.mktemp("clients") / "data"
    public_url = f"https://localhost:{free_port()}"
    words = ["init", "--data", str(data), "--public-url", public_url, "--domain", DOMAIN]
    words += ["--gateway-url", f"https://localhost:{free_port()}"]
    for alias in MICROSOFT:
        words += ["--public-alias", alias]
    subprocess.run([*SERVER, *words], check=True, capture_output=True, timeout=60)
    settings = load(data)
    _add_devices(settings.database, settings.tenant_id)
    log = data.parent / "server.log"
    with log.open("wb") as errors:
        running = subprocess.Popen([*SERVER, "run", "--data", str(data)], stdout=subprocess.PIPE, stderr=errors)
    hosts = frozenset(alias.removeprefix("https://") for alias in MICROSOFT)
    with running, connect_proxy(hosts, settings.public_port) as (proxy_url, proxy):
        assert running.stdout is not None
        assert public_url.encode() in running.stdout.readline(), log.read_text()
        service = Service(
            data=data,
            public_url=public_url,
            tenant_id=settings.tenant_id,
            client_id="",
            client_secret="",
            authority=settings.tls_authority,
            proxy_url=proxy_url,
            proxy=proxy,
        )
        yield _with_application(service)
        running.send_signal(signal.SIGTERM)
        running.wait(60)


def _with_application(service: Service) -> Service:
    out = service.data.parent / "app.json"
    permissions = [word for name in (*PERMISSIONS, *RESERVED) for word in ("--permission", name)]
    service.console("app", "create", "--name", "Everything", "--out", str(out), *permissions)
    login = json.loads(out.read_text())
    return replace(service, client_id=login["clientId"], client_secret=login["clientSecret"])


def _add_devices(url: str, tenant_id: TenantId) -> None:
    database = Database(url)
    with database.write() as connection:
        for number in range(1, DEVICES + 1):
            device = a_device(
                number,
                tenant_id=tenant_id,
                display_name=f"{'srv' if number % 2 else 'pc'}-{number:02d}",
                os_type="Linux" if number % 2 else "Windows",
            )
            devices.add(connection, device)
            check_ins.add(connection, device.id)
    database.close()
