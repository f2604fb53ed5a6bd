from __future__ import annotations

import fcntl
import socket
import subprocess
import sys
from pathlib import Path

from shieldwall.server.connections import SILENT_SECONDS, ConnectionGuard
from shieldwall.server.storage.database import Database

TRY_TO_LOCK = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit("locked")
"""
WRITE_AND_LEAVE = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
with connection:
    connection.execute("INSERT INTO kept VALUES (2)")
connection.close()
"""


def in_another_process(program: str, file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", program, str(file)], capture_output=True, text=True, check=False)


def test_looking_over_connections_keeps_the_locks_on_files(tmp_path: Path) -> None:
    path = tmp_path / "locked"
    with path.open("w+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)

        ConnectionGuard(1, lambda: 0.0).sweep()

        assert in_another_process(TRY_TO_LOCK, path).stderr.strip() == "locked"


def test_another_process_that_leaves_the_database_does_not_take_its_log_along(tmp_path: Path) -> None:
    database = Database.at(path := tmp_path / "shieldwall.db")
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE kept (number INTEGER)")

    ConnectionGuard(1, lambda: 0.0).sweep()

    assert in_another_process(WRITE_AND_LEAVE, path).returncode == 0
    assert path.with_name("shieldwall.db-wal").exists()
    with database.write() as connection:
        connection.exec_driver_sql("INSERT INTO kept VALUES (3)")
    database.close()
    with Database.at(path).read() as connection:
        assert connection.exec_driver_sql("SELECT number FROM kept ORDER BY 1").scalars().all() == [2, 3]


def test_a_silent_connection_is_shut_and_an_asking_one_stays() -> None:
    now = 0.0
    with socket.create_server(("127.0.0.1", 0)) as server:
        guard = ConnectionGuard(server.getsockname()[1], lambda: now)
        with (
            socket.create_connection(server.getsockname()) as silent,
            socket.create_connection(server.getsockname()) as asking,
        ):
            accepted = [server.accept()[0] for _ in range(2)]
            guard.sweep()
            now = SILENT_SECONDS
            guard.asked("{}:{}".format(*asking.getsockname()))
            guard.sweep()

            assert guard.closed == 1
            assert silent.recv(1) == b""
            asking.sendall(b"x")
            assert any(each.recv(1) == b"x" for each in accepted)
            for each in accepted:
                each.close()
