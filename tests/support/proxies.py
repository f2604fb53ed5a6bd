"""HAProxy and nginx in front of several gateways, set up as ``docs/scale.md`` says."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tests.support.documentation import DOCS, blocks
from tests.support.gateway_world import until

from shieldwall.server.configuration.settings import ServerSettings
from shieldwall.trust.certificates import LocalAuthority

SCALE = DOCS / "scale.md"
HAPROXY = "/usr/sbin/haproxy"
NGINX = "/usr/sbin/nginx"


@contextmanager
def haproxy(settings: ServerSettings, gateways: Sequence[int], directory: Path) -> Iterator[None]:
    """Listen on the gateways' common port and lead connections to two of them."""
    shown = _filled(
        _shown("haproxy"),
        {
            "maxconn 20000": "maxconn 400",  # of files, not every machine that runs tests lets one have more
            "bind :8444": f"bind 127.0.0.1:{settings.gateway_port}",
            "sdm.contoso.example:8444": f"localhost:{settings.gateway_port}",
            "/etc/haproxy/shieldwall-ca.pem": str(settings.tls_authority),
            **_places(gateways),
        },
    )
    (directory / "haproxy.cfg").write_text(shown)
    command = [HAPROXY, "-db", "-f", str(directory / "haproxy.cfg")]
    checked = subprocess.run([*command, "-c"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "WARNING" not in checked.stderr, checked.stderr
    with _running(command, settings.gateway_port):
        yield


@contextmanager
def nginx(settings: ServerSettings, gateways: Sequence[int], directory: Path) -> Iterator[None]:
    """End TLS on the gateways' common port and hand requests to two of them."""
    chain, key = LocalAuthority.create(datetime.now(UTC)).issue_server([], datetime.now(UTC))
    (directory / "sdm.pem").write_text(chain)
    (directory / "sdm.key").write_text(key)
    shown = _filled(
        _shown("nginx"),
        {
            "listen 8444": f"listen 127.0.0.1:{settings.gateway_port}",
            "/etc/nginx/shieldwall-ca.pem": str(settings.tls_authority),
            "/etc/nginx/": f"{directory}/",
            **_places(gateways),
        },
    )
    temporary = "".join(f"{name}_temp_path {directory}/{name};" for name in ("proxy", "fastcgi", "uwsgi", "scgi"))
    (directory / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {directory}/pid; error_log {directory}/errors;\n"
        f"events {{ worker_connections 4096; }}\n"
        f"http {{ access_log off; client_body_temp_path {directory}/body; {temporary}\n{shown}}}\n"
    )
    with _running([NGINX, "-p", str(directory), "-c", str(directory / "nginx.conf")], settings.gateway_port):
        yield


def _shown(language: str) -> str:
    (text,) = [block.text for block in blocks(SCALE) if block.language == language]
    return text


def _places(gateways: Sequence[int]) -> dict[str, str]:
    """Lead from where the gateways are on the page to where they are here."""
    one, two = gateways
    return {"10.0.0.11:18444": f"127.0.0.1:{one}", "10.0.0.12:18444": f"127.0.0.1:{two}"}


def _filled(shown: str, here: dict[str, str]) -> str:
    for there, put in here.items():
        assert there in shown, there
        shown = shown.replace(there, put)
    return shown


@contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command)
    try:
        until(lambda: listens(port) or process.poll() is not None)
        assert process.poll() is None, f"{command[0]} ended"
        yield
    finally:
        process.terminate()
        process.wait(20)


def listens(port: int) -> bool:
    """Say whether somebody listens on a port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
