"""Two PostgreSQL servers, of which the second has everything that the first acknowledges: as ``docs/scale.md`` says.

They keep what they acknowledge (``fsync``), for what is asked of them is whether it survives the end of one of them.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from tests.support.documentation import DOCS, blocks
from tests.support.ports import free_port
from tests.support.postgresql import find_programs
from tests.support.scratch import scratch

_UNPRIVILEGED = "postgres"
_PATIENCE_SECONDS = 60.0


@dataclass
class Member:
    """One of the two servers."""

    name: str
    home: Path
    programs: Path
    as_user: dict[str, Any]
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        """Where it keeps the databases."""
        return self.home / self.name

    def run(self, program: str, *words: str) -> None:
        """Run one of PostgreSQL's own programs as its user."""
        command = [str(self.programs / program), *words]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False, **self.as_user)
        assert done.returncode == 0, done.stderr

    def configure(self, **settings: str) -> None:
        """Add to its settings; those that come later count."""
        with (self.data / "postgresql.auto.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def start(self) -> None:
        """Start it and wait until it answers."""
        with (self.home / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(self.programs / "postgres"), "-D", str(self.data)], stdout=log, stderr=log, cwd="/", **self.as_user
            )
        self.until("SELECT true")

    def kill(self) -> None:
        """End all of its processes without warning, as a machine does whose power is cut."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for pid in (self.process.pid, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(_PATIENCE_SECONDS)
        self.process = None

    def stop(self) -> None:
        """End it in order."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(_PATIENCE_SECONDS)
            self.process = None

    def promote(self) -> None:
        """Make it the one that takes writes."""
        self.run("pg_ctl", "promote", "-D", str(self.data), "--no-wait")

    def ask(self, statement: str, database: str = "postgres") -> Any:
        """Ask for one value."""
        where = f"host=127.0.0.1 port={self.port} user=shieldwall dbname={database} connect_timeout=2"
        with psycopg.connect(where, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            row = cursor.fetchone() if cursor.description else None
            return None if row is None else row[0]

    def until(self, statement: str, seconds: float = _PATIENCE_SECONDS) -> None:
        """Wait until a statement's one value is true."""
        deadline = time.monotonic() + seconds
        while True:
            with suppress(psycopg.OperationalError):
                if self.ask(statement):
                    return
            assert self.process is None or self.process.poll() is None, self.last_lines()
            assert time.monotonic() < deadline, f"{statement} did not become true\n{self.last_lines()}"
            time.sleep(0.05)

    def last_lines(self) -> str:
        """Return the end of its log."""
        return "\n".join((self.home / f"{self.name}.log").read_text().splitlines()[-20:])


@dataclass
class Pair:
    """Two members; the first takes writes in the beginning."""

    one: Member
    two: Member

    @property
    def url(self) -> str:
        """How the server reaches whichever takes writes."""
        hosts = f"127.0.0.1:{self.one.port},127.0.0.1:{self.two.port}"
        return f"postgresql://shieldwall@{hosts}/shieldwall?target_session_attrs=read-write"

    def follow(self, follower: Member, leader: Member) -> None:
        """Let a member begin anew as the copy of the other, which waits for it from then on."""
        shutil.rmtree(follower.data, ignore_errors=True)
        where = f"host=127.0.0.1 port={leader.port} user=shieldwall"
        follower.run(
            "pg_basebackup",
            f"--pgdata={follower.data}",
            "--checkpoint=fast",
            "--write-recovery-conf",
            f"--dbname={where} application_name={follower.name}",
        )
        follower.configure(port=str(follower.port), primary_conninfo=f"{where} application_name={follower.name}")
        follower.start()
        wait_for_copy(leader, follower.name)


def wait_for_copy(leader: Member, follower: str) -> None:
    """Let a member acknowledge only what the other has."""
    leader.until(f"SELECT count(*) = 1 FROM pg_stat_replication WHERE application_name = '{follower}'")  # noqa: S608
    leader.ask("ALTER SYSTEM SET synchronous_standby_names TO '*'")
    leader.ask("SELECT pg_reload_conf()")
    leader.until("SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync'")


@contextmanager
def postgresql_pair() -> Iterator[Pair]:
    """Make two servers with an empty database ``shieldwall``."""
    programs = find_programs()
    assert programs is not None
    home = Path(tempfile.mkdtemp(prefix="shieldwall-pair-", dir=scratch() or "/tmp"))
    as_user: dict[str, Any] = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        account = pwd.getpwnam(_UNPRIVILEGED)
        as_user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        os.chown(home, account.pw_uid, account.pw_gid)
    one, two = (
        Member(name=name, home=home, programs=programs, as_user=as_user, port=free_port()) for name in ("one", "two")
    )
    pair = Pair(one, two)
    (shown,) = [block.text for block in blocks(DOCS / "scale.md") if "synchronous_commit" in block.text]
    try:
        options = ["--auth=trust", "--username=shieldwall", "--encoding=UTF8", "--locale=C.UTF-8"]
        one.run("initdb", "--pgdata", str(one.data), *options)
        with (one.data / "postgresql.conf").open("a") as file:
            file.write(shown)
        one.configure(port=str(one.port), listen_addresses="127.0.0.1", unix_socket_directories=str(home))
        one.start()
        one.ask("CREATE DATABASE shieldwall")
        pair.follow(two, one)
        yield pair
    finally:
        for member in (two, one):
            member.stop()
        shutil.rmtree(home, ignore_errors=True)
