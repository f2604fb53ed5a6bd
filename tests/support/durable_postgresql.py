"""A PostgreSQL that keeps what it acknowledged through anything, to be killed and started again."""

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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

_USER = "postgres"
_PATIENCE_SECONDS = 60.0


@dataclass
class DurablePostgresql:
    """One cluster in a directory of its own, with the settings of a server that means it."""

    programs: Path
    directory: Path
    as_user: dict[str, Any] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextmanager
    def running(cls, programs: Path) -> Iterator[DurablePostgresql]:
        """Make one, run it, and remove it."""
        made = cls(programs, Path(tempfile.mkdtemp(prefix="shieldwall-durable-")))
        try:
            if os.geteuid() == 0:  # PostgreSQL refuses to run as root
                account = pwd.getpwnam(_USER)
                made.as_user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
                os.chown(made.directory, account.pw_uid, account.pw_gid)
            made._initialise()
            made.start()
            yield made
        finally:
            made.kill()
            shutil.rmtree(made.directory, ignore_errors=True)

    @property
    def url(self) -> str:
        """Where its database is."""
        return f"postgresql://shieldwall@/postgres?host={self.directory}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.directory),
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "autovacuum": "off",
        }
        words = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(self.programs / "postgres"), "-D", str(self.directory / "data"), *words],
                stdout=log,
                stderr=log,
                cwd="/",
                **self.as_user,
            )
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not self._answers():
            assert time.monotonic() < deadline, (self.directory / "log").read_text()[-2000:]
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill it with all of its processes, as an end of the machine's power would."""
        if self.process is not None and self.process.poll() is None:
            pid = self.process.pid
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            for each in (pid, *map(int, children)):  # each of its processes has a session of its own
                with suppress(ProcessLookupError):
                    os.kill(each, signal.SIGKILL)
            self.process.wait(_PATIENCE_SECONDS)
            for file in ("data/postmaster.pid", ".s.PGSQL.5432.lock"):
                (self.directory / file).unlink(missing_ok=True)  # the machine has no such process any more

    def stop_at_once(self) -> None:
        """Stop it as ``pg_ctl stop -m immediate`` does: nothing is written any more."""
        assert self.process is not None
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(_PATIENCE_SECONDS)

    def _initialise(self) -> None:
        options = ["--auth=trust", "--username=shieldwall", "--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums"]
        subprocess.run(
            [str(self.programs / "initdb"), "--pgdata", str(self.directory / "data"), *options],
            check=True,
            capture_output=True,
            cwd="/",
            **self.as_user,
        )

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self.directory / "log").read_text()[-2000:]
        try:
            with psycopg.connect(self.url, connect_timeout=5) as connection:
                connection.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True
