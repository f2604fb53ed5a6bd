"""Many real packets at once between two namespaces, and what became of each: answered, refused, or lost."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from tests.support.namespaces import Namespace

Kind = Literal["tcp", "udp", "icmp"]
Fate = Literal["accept", "reject", "drop"]

_ANSWER = """
import json, selectors, socket, sys
waiting = selectors.DefaultSelector()
for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
    for port in json.loads(sys.argv[1]):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            server = socket.socket(family, kind)
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            server.bind((address, port))
            server.setblocking(False)
            if kind == socket.SOCK_STREAM:
                server.listen(64)
            waiting.register(server, selectors.EVENT_READ, kind)
print("ready", flush=True)
while True:
    for key, _ in waiting.select():
        try:
            if key.data == socket.SOCK_STREAM:
                connection, _ = key.fileobj.accept()
                connection.sendall(b"here")
                connection.close()
            else:
                _, sender = key.fileobj.recvfrom(100)
                key.fileobj.sendto(b"here", sender)
        except OSError:
            pass
"""
_PROBE = """
import errno, itertools, json, os, selectors, socket, struct, sys, time
# A port, or a ping's number, that comes again soon would belong to a conversation that the firewall still knows.
numbers = itertools.cycle(range(33000, 60000))
KINDS = {
    "tcp": lambda six: (socket.SOCK_STREAM, socket.IPPROTO_TCP),
    "udp": lambda six: (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    "icmp": lambda six: (socket.SOCK_DGRAM, socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP),
}
def fate(code):
    return "reject" if code in (errno.ECONNREFUSED, errno.ECONNRESET) else "drop"
def begun(kind, address, port, user):
    six = ":" in address
    os.seteuid(user)
    client = socket.socket(socket.AF_INET6 if six else socket.AF_INET, *KINDS[kind](six))
    os.seteuid(0)
    client.setblocking(False)
    if kind != "tcp":
        client.bind(("::" if six else "0.0.0.0", next(numbers)))
    code = client.connect_ex((address, 0 if kind == "icmp" else port))
    if code not in (0, errno.EINPROGRESS):
        raise OSError(code, "connect")
    if kind != "tcp":
        try:
            client.send(b"knock" if kind == "udp" else struct.pack("!BBHHH", 128 if six else 8, 0, 0, 0, 1) + b"knock")
        except PermissionError:
            pass  # stopped on its way out, of which a refusal may still tell
    return client
print("ready", flush=True)
for line in sys.stdin:
    seconds, probes = json.loads(line)
    fates, waiting = ["drop"] * len(probes), selectors.DefaultSelector()
    left = 0
    for number, probe in enumerate(probes):
        try:
            waiting.register(begun(*probe), selectors.EVENT_READ, number)
            left += 1
        except OSError as error:
            fates[number] = fate(error.errno)
    end = time.monotonic() + seconds
    while left and (rest := end - time.monotonic()) > 0:
        for key, _ in waiting.select(rest):
            try:
                fates[key.data] = "accept" if key.fileobj.recv(100) else "drop"
            except OSError as error:
                fates[key.data] = fate(error.errno)
            waiting.unregister(key.fileobj)
            key.fileobj.close()
            left -= 1
    for key in list(waiting.get_map().values()):
        key.fileobj.close()
    print(json.dumps(fates), flush=True)
"""


@dataclass(frozen=True)
class Probe:
    """One packet to send, and as whom."""

    kind: Kind
    address: str
    port: int = 0
    user: int = 0


class Prober:
    """A process in a namespace that sends probes."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def send(self, probes: Sequence[Probe], *, seconds: float = 0.3) -> list[Fate]:
        """Send all at once and say what became of each within the time."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = [[probe.kind, probe.address, probe.port, probe.user] for probe in probes]
        self._process.stdin.write(json.dumps([seconds, asked]).encode() + b"\n")
        self._process.stdin.flush()
        fates: list[Fate] = json.loads(self._process.stdout.readline())
        return fates


@contextlib.contextmanager
def answering(namespace: Namespace, ports: Sequence[int]) -> Iterator[None]:
    """Answer on TCP and UDP ports of both families until the block ends."""
    with _running(namespace, _ANSWER, json.dumps(list(ports))):
        yield


@contextlib.contextmanager
def prober(namespace: Namespace) -> Iterator[Prober]:
    """Send probes from a namespace until the block ends."""
    namespace.run("sysctl", "-q", "-w", "net.ipv4.ping_group_range=0 2147483647")
    unlimited(namespace)
    with _running(namespace, _PROBE) as process:
        yield Prober(process)


def unlimited(namespace: Namespace) -> None:
    """Let a namespace send as many refusals as there are; the kernel sends one a second by itself."""
    for name in ("net.ipv4.icmp_ratelimit=0", "net.ipv6.icmp.ratelimit=0", "net.ipv4.icmp_msgs_per_sec=1000000"):
        namespace.run("sysctl", "-q", "-w", name)


@contextlib.contextmanager
def _running(namespace: Namespace, program: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    command = ["ip", "netns", "exec", namespace.name, sys.executable, "-c", program, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield process
        finally:
            process.kill()
