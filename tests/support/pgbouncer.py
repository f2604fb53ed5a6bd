"""A PgBouncer of the test's own, set up as ``docs/scale.md`` says, in front of the test run's PostgreSQL."""

from __future__ import annotations

import os
import pwd
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import make_url
from tests.support.documentation import DOCS, blocks
from tests.support.gateway_world import until
from tests.support.ports import free_port

PROGRAM = "/usr/sbin/pgbouncer"
_UNPRIVILEGED = "postgres"


@contextmanager
def pooled(url: str, directory: Path, *, port: int | None = None, connections: int = 2) -> Iterator[str]:
    """Run PgBouncer in front of the database ``url`` and give the URL that leads through it.

    Few connections, so that whoever needs one for longer than a transaction is found out.
    """
    (shown,) = [block.text for block in blocks(DOCS / "scale.md") if "[pgbouncer]" in block.text]
    there = make_url(url)
    used = free_port() if port is None else port
    directory.mkdir(exist_ok=True)
    for said, here in (
        ("host=10.0.0.20 port=5432", f"host={there.query['host']}"),
        ("dbname=shieldwall", f"dbname={there.database}"),
        (
            "listen_addr = 127.0.0.1",
            f"listen_addr = 127.0.0.1\nunix_socket_dir = {directory}\nlogfile = {directory}/log",
        ),
        ("listen_port = 6432", f"listen_port = {used}"),
        ("default_pool_size = 20", f"default_pool_size = {connections}"),
        ("auth_type = scram-sha-256", "auth_type = trust"),
        ("/etc/pgbouncer/userlist.txt", f"{directory}/users"),
    ):
        assert said in shown, said
        shown = shown.replace(said, here)
    (directory / "users").write_text('"shieldwall" ""\n')
    (directory / "pgbouncer.ini").write_text(shown)
    as_user: dict[str, Any] = {}
    if os.geteuid() == 0:  # PgBouncer refuses to run as root
        account = pwd.getpwnam(_UNPRIVILEGED)
        as_user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        for each in (directory, *directory.iterdir()):
            os.chown(each, account.pw_uid, account.pw_gid)
        for above in directory.parents:
            if above.stat().st_uid == 0 and above.stat().st_mode & 0o077 == 0:
                above.chmod(0o711)  # pytest's own directories are closed to others
    process = subprocess.Popen([PROGRAM, directory / "pgbouncer.ini"], cwd="/", **as_user)
    try:
        until(lambda: _listens(used) or process.poll() is not None)
        assert process.poll() is None, (directory / "log").read_text()
        yield f"postgresql://shieldwall@127.0.0.1:{used}/shieldwall"
    finally:
        process.terminate()
        process.wait(20)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
