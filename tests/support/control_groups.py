"""Control groups of units without systemd: a mount namespace of our own with cgroup2, and groups made in it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support.namespaces import Namespace, NamespaceHost

from shieldwall.agent.host.ports import Completed

SLICE = f"shieldwalltest{os.getpid()}.slice"
_MOUNT = "mount -t cgroup2 none /sys/fs/cgroup && echo ready && exec sleep infinity"
_LISTEN = "echo $$ > /sys/fs/cgroup/{group}/cgroup.procs && exec {python} -c '{program}' {address} {port}"
_PROGRAM = """
import socket, sys
server = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("ready", flush=True)
while True:
    connection, _ = server.accept()
    connection.sendall(b"here")
    connection.close()
"""


class GroupHost(NamespaceHost):
    """A host whose programs see one network namespace, and the control groups of one mount namespace."""

    def __init__(self, root: Path, namespace: Namespace, holder: int) -> None:
        super().__init__(root, namespace)
        self._inside = ("nsenter", f"--mount=/proc/{holder}/ns/mnt", f"--net=/run/netns/{namespace.name}")
        self._address = namespace.ipv4

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout_seconds: float = 30.0) -> Completed:
        completed = subprocess.run(
            [*self._inside, *command], input=stdin, capture_output=True, check=False, timeout=timeout_seconds
        )
        return Completed(returncode=completed.returncode, stdout=completed.stdout, stderr=completed.stderr)

    @contextlib.contextmanager
    def service(self, unit: str, port: int) -> Iterator[None]:
        """Run a service that answers on a port, in a control group of its own as systemd would make it."""
        group = f"{SLICE}/{unit}"
        self.run(["mkdir", "-p", f"/sys/fs/cgroup/{group}"])
        listen = _LISTEN.format(
            group=group, python=sys.executable, program=_PROGRAM, address=self._address, port=str(port)
        )
        try:
            with subprocess.Popen([*self._inside, "sh", "-c", listen], stdout=subprocess.PIPE) as process:
                try:
                    assert process.stdout is not None
                    assert process.stdout.readline() == b"ready\n"
                    yield
                finally:
                    process.kill()
        finally:
            self.run(["rmdir", f"/sys/fs/cgroup/{group}", f"/sys/fs/cgroup/{SLICE}"])


@contextlib.contextmanager
def group_host(root: Path, namespace: Namespace) -> Iterator[GroupHost]:
    """Make a host with control groups, and take its mount namespace away whatever happens."""
    with subprocess.Popen(["unshare", "--mount", "sh", "-c", _MOUNT], stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"ready\n"
            yield GroupHost(root, namespace, holder.pid)
        finally:
            holder.kill()
