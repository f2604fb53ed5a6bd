"""Two network namespaces joined by a cable of their own: real packets, and nothing of the machine's network touched."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.host.ports import Completed

PORT_OPENED = b"ready\n"
_SECONDS = 20
_own_ports = itertools.cycle(range(33000, 60000))
"""A port that came again soon would belong to a conversation that the firewall still knows."""

_LISTEN = """
import socket, sys
kind, family, address, port = sys.argv[1:]
server = socket.socket(getattr(socket, family), getattr(socket, kind))
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind((address, int(port)))
if kind == "SOCK_STREAM":
    server.listen()
print("ready", flush=True)
while True:
    if kind == "SOCK_STREAM":
        connection, _ = server.accept()
        connection.sendall(b"here")
        connection.close()
    else:
        _, sender = server.recvfrom(100)
        server.sendto(b"here", sender)
"""
_KNOCK = """
import socket, sys
kind, family, address, port, own_port = sys.argv[1:]
with socket.socket(getattr(socket, family), getattr(socket, kind)) as client:
    client.settimeout(1.0)
    if kind == "SOCK_DGRAM":
        client.bind(("", int(own_port)))
    try:
        client.connect((address, int(port)))
        if kind == "SOCK_DGRAM":
            client.send(b"knock")
        sys.exit(0 if client.recv(4) == b"here" else 1)
    except OSError:
        sys.exit(1)
"""


@dataclass(frozen=True)
class Namespace:
    """One end of the cable."""

    name: str
    ipv4: str
    ipv6: str

    def run(self, *command: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return _run("ip", "netns", "exec", self.name, *command, stdin=stdin)

    @contextlib.contextmanager
    def listening(self, port: int, *, udp: bool = False, ipv6: bool = False) -> Iterator[None]:
        """Answer on a port until the block ends."""
        command = ["ip", "netns", "exec", self.name, sys.executable, "-c", _LISTEN]
        arguments = _socket_arguments(self.ipv6 if ipv6 else self.ipv4, port, udp=udp, ipv6=ipv6)
        with subprocess.Popen([*command, *arguments], stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout is not None
                assert process.stdout.readline() == PORT_OPENED
                yield
            finally:
                process.kill()

    def reaches(self, other: Namespace, port: int, *, udp: bool = False, ipv6: bool = False) -> bool:
        """Open a real connection to the other end and wait for its answer."""
        arguments = _socket_arguments(other.ipv6 if ipv6 else other.ipv4, port, udp=udp, ipv6=ipv6)
        own_port = str(next(_own_ports))
        command = ["ip", "netns", "exec", self.name, sys.executable, "-c", _KNOCK, *arguments, own_port]
        return subprocess.run(command, check=False, timeout=_SECONDS).returncode == 0


class NamespaceHost(LocalHost):
    """A host whose programs see the network of one namespace; its files are under ``root``."""

    def __init__(self, root: Path, namespace: Namespace) -> None:
        super().__init__(root, program_directories=[Path("/usr/sbin"), Path("/usr/bin")])
        self._namespace = namespace

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout_seconds: float = 30.0) -> Completed:
        return super().run(
            ["ip", "netns", "exec", self._namespace.name, *command], stdin=stdin, timeout_seconds=timeout_seconds
        )


@contextlib.contextmanager
def joined_namespaces() -> Iterator[tuple[Namespace, Namespace]]:
    """Make two namespaces joined by a veth pair, and take both away whatever happens."""
    prefix = f"shieldwall-test-{os.getpid()}"
    device = Namespace(name=f"{prefix}-device", ipv4="10.99.0.1", ipv6="fd00:99::1")
    other = Namespace(name=f"{prefix}-other", ipv4="10.99.0.2", ipv6="fd00:99::2")
    try:
        for namespace in (device, other):
            _check("ip", "netns", "add", namespace.name)
        _check(
            "ip",
            "-n",
            device.name,
            "link",
            "add",
            "cable",
            "type",
            "veth",
            "peer",
            "name",
            "cable",
            "netns",
            other.name,
        )
        for namespace in (device, other):
            address = ("ip", "-n", namespace.name, "address", "add")
            _check(*address, f"{namespace.ipv4}/24", "dev", "cable")
            _check(*address, f"{namespace.ipv6}/64", "dev", "cable", "nodad")
            _check("ip", "-n", namespace.name, "link", "set", "lo", "up")
            _check("ip", "-n", namespace.name, "link", "set", "cable", "up")
        yield device, other
    finally:
        for namespace in (device, other):
            _run("ip", "netns", "delete", namespace.name)


def _socket_arguments(address: str, port: int, *, udp: bool, ipv6: bool) -> list[str]:
    return ["SOCK_DGRAM" if udp else "SOCK_STREAM", "AF_INET6" if ipv6 else "AF_INET", address, str(port)]


def _check(*command: str) -> None:
    completed = _run(*command)
    assert completed.returncode == 0, completed.stderr.decode()


def _run(*command: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=_SECONDS)
