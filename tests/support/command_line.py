"""A real server over TLS, and the command line of its administrators, each in processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.support import loaded_server
from tests.support.loaded_program import LoadedProgram
from tests.support.ports import free_port
from tests.support.samples import a_device
from typer.testing import CliRunner

from shieldwall.cli.shieldwall import app
from shieldwall.contract.ids import TenantId
from shieldwall.server.access.permissions import PERMISSIONS
from shieldwall.server.configuration.settings import load
from shieldwall.server.main import open_services
from shieldwall.server.storage.check_ins import check_ins
from shieldwall.server.storage.devices import devices

PROGRAM: Final = (sys.executable, "-c", "from shieldwall.cli.shieldwall import main; main()")
_PLAIN: Final = {"COLUMNS": "200", "NO_COLOR": "1"}


def loaded_shieldwall(*within: str) -> LoadedProgram:
    """Return ``shieldwall`` as something that is loaded once; ``within`` are words before its command."""
    return LoadedProgram(
        "shieldwall.cli.shieldwall:main",
        {**os.environ, **_PLAIN, "SHIELDWALL_CONFIG": os.devnull},
        rehearsed=["group", "list"],
        besides="httpx rich.table",
        within=within,
    )


_SHIELDWALL: Final = loaded_shieldwall()


@dataclass(frozen=True)
class CommandLine:
    """``shieldwall`` with a configuration directory of its own."""

    config: Path
    app: Path
    data: Path
    public_url: str

    def __call__(self, *words: str, status: int | None = 0, stdin: str = "") -> subprocess.CompletedProcess[str]:
        done = _SHIELDWALL(words, {**os.environ, **_PLAIN, "SHIELDWALL_CONFIG": str(self.config)}, stdin)
        assert status is None or done.returncode == status, f"{words}: {done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def json(self, *words: str) -> Any:
        return json.loads(self(*words).stdout)


def on_console(*words: str) -> None:
    """Run a command of the server's console in this process, which has long loaded what takes two seconds to load."""
    mask = os.umask(0o022)
    os.umask(mask)
    try:
        done = CliRunner().invoke(app, words)
    finally:
        os.umask(mask)  # the console's own is stricter
    assert done.exit_code == 0, done.output


@contextmanager
def running_server(folder: Path, **settings: Any) -> Iterator[CommandLine]:
    """Make a server in ``folder`` and run it; the command line is logged in as an application that may do all.

    ``settings`` are members of ``server.json`` that ``init`` does not ask for.
    """
    data, login = folder / "data", folder / "app.json"
    public_url = f"https://localhost:{free_port()}"
    line = CommandLine(config=folder / "config", app=login, data=data, public_url=public_url)
    urls = ("--public-url", public_url, "--gateway-url", f"https://localhost:{free_port()}")
    on_console("server", "init", "--data", str(data), *urls)
    if settings:
        file = data / "server.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | settings))
    permissions = [word for name in PERMISSIONS for word in ("--permission", name)]
    on_console("server", "app", "create", "--data", str(data), "--name", "Console", "--out", str(login), *permissions)
    with serving(line, folder / "server.log"):
        line("login", "--app", str(login))
        yield line


@contextmanager
def serving(line: CommandLine, log_file: Path) -> Iterator[None]:
    """Run a server that was made; its log goes to a file."""
    with log_file.open("w") as log, loaded_server.serving(line.data, log) as said:
        assert said, log_file.read_text()
        yield


def written(path: Path, document: object, encoding: str = "utf-8") -> str:
    """Write a document for a command to read; return where."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(json.dumps(document).encode(encoding))
    return str(path)


def add_devices(line: CommandLine, count: int, *, first: int = 1) -> None:
    """Put devices into the directory, which are called ``web-01`` and so on, or from the number of the ``first`` on."""
    with open_services(load(line.data)) as services, services.database.write() as connection:
        for number in range(first, first + count):
            tenant = TenantId(services.tenant.id)
            made = a_device(
                number, tenant_id=tenant, display_name=f"web-{number:02}", catalog_version=services.catalog.version
            )
            devices.add(connection, made)
            check_ins.add(connection, made.id)
