"""Traffic of special kinds between two namespaces: conversations that last, forgeries, questions to many, routing."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator

from tests.support.namespaces import Namespace

_SECONDS = 20
_SPEAKING_PORT = 9100

_ECHO = """
import socket, sys
server = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("ready", flush=True)
connection, _ = server.accept()
while data := connection.recv(1):
    connection.sendall(data)
"""
_SPEAK = """
import socket, sys
connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=2)
print("ready", flush=True)
connection.settimeout(1.0)
for _ in sys.stdin:
    try:
        connection.sendall(b"x")
        print("echoed" if connection.recv(1) == b"x" else "silent", flush=True)
    except OSError:
        print("silent", flush=True)
"""
_PING = """
import socket, struct, sys, time
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
client.connect((sys.argv[1], 0))
client.settimeout(0.7)
for number in range(int(sys.argv[2])):
    client.send(struct.pack("!BBHHH", 8, 0, 0, 0, number) + b"ping")
answers = 0
try:
    while True:
        client.recv(100)
        answers += 1
except OSError:
    print(answers)
"""
_ANSWER_MANY = """
import socket, struct, sys
here, group, port = sys.argv[1:]
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("0.0.0.0", int(port)))
server.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + socket.inet_aton(here))
print("ready", flush=True)
while True:
    _, sender = server.recvfrom(100)
    answer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    answer.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    answer.bind((here, 0))
    answer.sendto(b"here", sender)
"""
_ASK_MANY = """
import socket, sys
here, target, port = sys.argv[1:]
client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
client.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(here))
client.bind(("0.0.0.0", 0))
client.settimeout(1.0)
client.sendto(b"anyone?", (target, int(port)))
try:
    client.recv(100)
except OSError:
    sys.exit(1)
"""
_RAW = """
import socket, struct, sys
source, target, protocol, payload = sys.argv[1:]
body = bytes.fromhex(payload)
header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 7, 0, 64, int(protocol), 0,
                     socket.inet_aton(source), socket.inet_aton(target))
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
raw.sendto(header + body, (target, 0))
"""


_SERVE_FILES = """
import re, socket, sys
server = socket.create_server((sys.argv[1], 21))
print("ready", flush=True)
control, _ = server.accept()
control.sendall(b"220 here\\r\\n")
control.recv(100)
control.sendall(b"331 who\\r\\n")
line = control.recv(200).decode()
numbers = [int(number) for number in re.findall("[0-9]+", line)]
control.sendall(b"200 well\\r\\n")
socket.create_connection((".".join(map(str, numbers[:4])), numbers[4] * 256 + numbers[5]), timeout=2).sendall(b"data")
"""
_FETCH_FILES = """
import socket, sys
here, there = sys.argv[1:]
waiting = socket.create_server((here, 0))
waiting.settimeout(2)
port = waiting.getsockname()[1]
control = socket.create_connection((there, 21), timeout=2)
control.recv(100)
control.sendall(b"USER anonymous\\r\\n")  # the kernel reads along from the second line on
control.recv(100)
control.sendall(f"PORT {here.replace('.', ',')},{port // 256},{port % 256}\\r\\n".encode())
try:
    data, _ = waiting.accept()
    sys.exit(0 if data.recv(4) == b"data" else 1)
except OSError:
    sys.exit(1)
"""


class Conversation:
    """A connection that is open, along which one end can speak."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def echoed(self) -> bool:
        """Whether a byte still goes there and back."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        return self._process.stdout.readline() == b"echoed\n"


@contextlib.contextmanager
def conversation(speaker: Namespace, listener: Namespace) -> Iterator[Conversation]:
    """Keep a connection open until the block ends."""
    with (
        _running(listener, _ECHO, listener.ipv4, str(_SPEAKING_PORT)),
        _running(speaker, _SPEAK, listener.ipv4, str(_SPEAKING_PORT)) as process,
    ):
        yield Conversation(process)


def pings_of_one(sender: Namespace, address: str, number: int) -> int:
    """Send pings of one conversation at once; return how many are answered."""
    return int(sender.run(sys.executable, "-c", _PING, address, str(number)).stdout)


def asks_many(asking: Namespace, answering: Namespace, target: str, group: str = "239.255.1.1") -> bool:
    """Send a datagram to a group or to all, and say whether the answer of one comes back."""
    asking.run("ip", "route", "replace", "224.0.0.0/4", "dev", "cable")
    with _running(answering, _ANSWER_MANY, answering.ipv4, group, "9200"):
        return asking.run(sys.executable, "-c", _ASK_MANY, asking.ipv4, target, "9200").returncode == 0


def fetches_files(client: Namespace, server: Namespace) -> bool:
    """Ask a server of FTP for data over a connection that it opens itself, and say whether it gets through."""
    with _running(server, _SERVE_FILES, server.ipv4):
        return client.run(sys.executable, "-c", _FETCH_FILES, client.ipv4, server.ipv4).returncode == 0


def offers_address(sender: Namespace, receiver: Namespace) -> None:
    """Send a datagram as a server of DHCP does."""
    _raw(sender, sender.ipv4, receiver.ipv4, 17, bytes.fromhex("00430044000c0000") + b"DHCP")


def stray_reset(sender: Namespace, receiver: Namespace) -> None:
    """Send a packet of TCP that ends a connection which never was."""
    body = bytes.fromhex("1f401f40000000010000000050040000") + bytes(4)
    _raw(sender, sender.ipv4, receiver.ipv4, 6, body)


def forged(sender: Namespace, receiver: Namespace, source: str) -> None:
    """Send a datagram that claims to come from elsewhere."""
    receiver.run("sysctl", "-q", "-w", "net.ipv4.conf.all.rp_filter=0")
    receiver.run("sysctl", "-q", "-w", "net.ipv4.conf.cable.rp_filter=0")
    _raw(sender, source, receiver.ipv4, 17, bytes.fromhex("1f401f40000c0000") + b"hello")


@contextlib.contextmanager
def behind(device: Namespace, other: Namespace, port: int) -> Iterator[Callable[[], bool]]:
    """Put a machine behind the device; yield how to ask whether it reaches the other one through it."""
    hidden = Namespace(name=f"{device.name}-behind", ipv4="10.96.0.2", ipv6="fd00:96::2")
    try:
        for command in (
            f"ip netns add {hidden.name}",
            f"ip -n {device.name} link add inner type veth peer name cable netns {hidden.name}",
            f"ip -n {device.name} address add 10.96.0.1/24 dev inner",
            f"ip -n {device.name} link set inner up",
            f"ip -n {hidden.name} address add 10.96.0.2/24 dev cable",
            f"ip -n {hidden.name} link set cable up",
            f"ip -n {hidden.name} route add default via 10.96.0.1",
            f"ip -n {other.name} route replace 10.96.0.0/24 via {device.ipv4}",
            f"ip netns exec {device.name} sysctl -q -w net.ipv4.ip_forward=1",
        ):
            subprocess.run(command.split(), check=True, timeout=_SECONDS)
        yield lambda: hidden.reaches(other, port)
    finally:
        for command in (
            f"ip -n {other.name} route delete 10.96.0.0/24",
            f"ip netns delete {hidden.name}",
            f"ip -n {device.name} link delete inner",
        ):
            subprocess.run(command.split(), check=False, capture_output=True, timeout=_SECONDS)


def _raw(sender: Namespace, source: str, target: str, protocol: int, body: bytes) -> None:
    completed = sender.run(
        sys.executable, "-c", _RAW, source, target, str(protocol), _checksummed(body, source, target, protocol).hex()
    )
    assert completed.returncode == 0, completed.stderr


def _checksummed(body: bytes, source: str, target: str, protocol: int) -> bytes:
    """Put the checksum where UDP has it (zero, none) or TCP has it."""
    if protocol != 6:
        return body
    pseudo = bytes(map(int, source.split("."))) + bytes(map(int, target.split("."))) + bytes([0, 6, 0, len(body)])
    data = pseudo + body
    total = sum(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return body[:16] + (~total & 0xFFFF).to_bytes(2, "big") + body[18:]


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
