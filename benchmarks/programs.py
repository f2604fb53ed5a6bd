"""The programs that are measured: a Shieldwall server with devices, and Debian's nginx."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

SHIELDWALL = str(Path(sys.executable).with_name("shieldwall"))
AGENT = str(Path(sys.executable).with_name("shieldwall-agent"))
_UNITS = Path(__file__).parents[1] / "package" / "units"
_TICKS = os.sysconf("SC_CLK_TCK")
_PATIENCE_SECONDS = 20


def processor_seconds(pids: Sequence[int], *, with_children: bool = False) -> float:
    """Add up the processor time that processes have used, in user and kernel mode, all threads.

    With that of the programs they started, as far as those have ended (proc(5), ``cutime``), where it is asked for.
    """
    last = 15 if with_children else 13
    return sum(sum(int(field) for field in _fields(pid)[11:last]) for pid in pids) / _TICKS


def resident_bytes(pid: int) -> int:
    """Say how much memory a process holds resident."""
    return int(_fields(pid)[21]) * os.sysconf("SC_PAGE_SIZE")


def proportional_bytes(pid: int) -> int:
    """Say how much memory a process holds resident, of pages that others map as well its share (proc(5), ``Pss``)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"process {pid} has no Pss")


def children(pid: int) -> list[int]:
    """List the direct children of a process."""
    processes = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [process for process in processes if _parent(process) == pid]


def command_line(pid: int) -> str:
    """Say how a process was called."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def gateway_and_signer(server: int) -> list[int]:
    """List the processes of a server that devices meet."""
    measured = ("gateway_process", "shieldwall.server.signer")
    return [child for child in children(server) if any(name in command_line(child) for name in measured)]


def unit(name: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return how a unit starts its program, up to the program's own words, and the environment that it gives."""
    text = (_UNITS / f"shieldwall-{name}.service").read_text()
    (start,) = re.findall(r"^ExecStart=(.+)$", text, re.MULTILINE)
    _, *words = shlex.split(start)
    said = dict(pair.split("=", 1) for pair in re.findall(r"^Environment=(\S+)$", text, re.MULTILINE))
    command = (sys.executable, *words[: words.index("-m") + 2])
    return command, {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", **said}


@contextmanager
def started(command: Sequence[str], log: Path, environment: dict[str, str] | None = None) -> Iterator[int]:
    """Run a program for a while, with our environment unless another is given; gives its process id."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment)
        try:
            yield process.pid
        finally:
            process.terminate()
            try:
                process.wait(timeout=_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:  # what was measured is known by now
                process.kill()
                process.wait()


def wait_for_port(port: int) -> None:
    """Wait until somebody listens on a port of loopback. Raises: TimeoutError."""
    wait_until(lambda: _listens(port), f"port {port}", seconds=300)


def wait_until(ready: Callable[[], bool], what: str, seconds: float = 60, every: float = 0.05) -> None:
    """Ask until it is so. Raises: TimeoutError."""
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come in {seconds:.0f} s")
        time.sleep(every)


def run(*command: str, environment: dict[str, str] | None = None) -> str:
    """Run a program to its end and return what it printed."""
    inherited = {**os.environ, **(environment or {})}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=inherited)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr or done.stdout}")
    return done.stdout


class Server:
    """A Shieldwall server for a benchmark, with an onboarding package."""

    def __init__(self, home: Path, *, admin_port: int, gateway_port: int, database: Sequence[str] = ()) -> None:
        """``database`` is what its making is told of a database; without it there is one in a file."""
        self.data, self.package, self.home = home / "data", home / "package.json", home
        self.admin_port, self.gateway_port = admin_port, gateway_port
        self._database = database
        self.environment = {"SHIELDWALL_CONFIG": str(home / "cli")}

    @contextmanager
    def running(self, *permissions: str) -> Iterator[list[int]]:
        """Run it; gives the process ids of gateway and signer. Who talks to it may make packages, and what is named."""
        run(
            *(SHIELDWALL, "server", "init", "--data", str(self.data)),
            *("--public-url", f"https://localhost:{self.admin_port}"),
            *("--gateway-url", f"https://localhost:{self.gateway_port}"),
            *self._database,
        )
        with started([SHIELDWALL, "server", "run", "--data", str(self.data)], self.home / "server.log") as pid:
            wait_for_port(self.gateway_port)
            wait_for_port(self.admin_port)
            app = self.home / "app.json"
            words = ("server", "app", "create", "--data", str(self.data), "--name", "Benchmark", "--out", str(app))
            allowed = ("Shieldwall.Onboarding.ReadWrite.All", *permissions)
            run(SHIELDWALL, *words, *(word for each in allowed for word in ("--permission", each)))
            run(SHIELDWALL, "login", "--app", str(app), environment=self.environment)
            run(SHIELDWALL, "package", "create", "--out", str(self.package), environment=self.environment)
            yield gateway_and_signer(pid)

    @property
    def certificate(self) -> Path:
        """Its TLS certificate chain."""
        return self.data / "tls" / "server.pem"

    @property
    def key(self) -> Path:
        """Its TLS key."""
        return self.data / "tls" / "server.key"

    def authority(self) -> str:
        """The certificate authority that clients trust, PEM."""
        return str(json.loads((self.home / "app.json").read_text())["certificateAuthority"])


@contextmanager
def nginx(home: Path, *, port: int, certificate: Path, key: Path) -> Iterator[list[int]]:
    """Run Debian's nginx with one worker that answers 204 over TLS; gives the worker's process id."""
    home.mkdir()
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin") or "nginx"
    configuration = home / "nginx.conf"
    configuration.write_text(
        f"user root; worker_processes 1; daemon off; pid {home}/nginx.pid; error_log {home}/error.log;\n"
        "events { worker_connections 4096; }\n"
        f"http {{ access_log off; client_body_temp_path {home}; proxy_temp_path {home}; fastcgi_temp_path {home};\n"
        f"  uwsgi_temp_path {home}; scgi_temp_path {home};\n"
        f"  server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {certificate}; ssl_certificate_key {key};\n"
        "    ssl_protocols TLSv1.3; ssl_session_tickets off; location / { return 204; } } }\n"
    )
    with started([program, "-c", str(configuration)], home / "nginx.log") as pid:
        wait_for_port(port)
        yield children(pid)


def _listens(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


def _fields(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _parent(pid: int) -> int:
    try:
        return int(_fields(pid)[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0
