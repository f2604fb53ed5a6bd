from __future__ import annotations

import asyncio
import errno
import fcntl
import select
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest

from shieldwall.server.listening import connections
from shieldwall.server.listening.connections import (
    ANSWERED_SECONDS,
    AT_LEAST_SECONDS,
    CROWDED_PATIENCE,
    FIRST_BYTES_SECONDS,
    IDLE_SECONDS,
    PLACES,
    PLACES_OF_ONE_BLOCK,
    SILENT_SECONDS,
    SWEEP_SECONDS,
    ConnectionGuard,
    block_of,
    prepare,
)
from shieldwall.server.storage.engine.database import Database

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


@dataclass
class Door:
    """A listening socket with connections, and the guard over them."""

    places: int = PLACES
    places_of_one_block: int = PLACES_OF_ONE_BLOCK
    now: float = 0.0
    callers: list[socket.socket] = field(default_factory=list)
    accepted: list[socket.socket] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.guard = ConnectionGuard(
            self.server.getsockname()[1],
            lambda: self.now,
            places=self.places,
            places_of_one_block=self.places_of_one_block,
        )
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self.server, *self.callers, *self.accepted):
            each.close()

    def enter(self, source: str = "127.0.0.1") -> socket.socket:
        caller = socket.create_connection(self.server.getsockname(), source_address=(source, 0))
        caller.setblocking(False)
        self.callers.append(caller)
        caller.sendall(b"x")  # the kernel keeps whoever says nothing to itself for some seconds
        accepted, _ = self.server.accept()
        assert accepted.recv(1) == b"x"
        self.accepted.append(accepted)
        self.guard.sweep()
        return caller

    def after(self, seconds: float) -> None:
        self.now += seconds
        self.guard.sweep()

    def read(self, caller: socket.socket) -> None:
        self.guard.reading(name_of(caller))

    def ask(self, caller: socket.socket) -> None:
        self.guard.asked(name_of(caller))

    def answer(self, caller: socket.socket) -> None:
        self.guard.answered(name_of(caller))


def name_of(caller: socket.socket) -> str:
    host, port = caller.getsockname()
    return f"{host}:{port}"


def is_shut(caller: socket.socket) -> bool:
    try:
        return caller.recv(1) == b""
    except BlockingIOError:
        return False


def test_a_silent_connection_is_shut_and_an_asking_one_stays() -> None:
    with Door() as door:
        silent, asking = door.enter(), door.enter()
        door.ask(asking)
        door.after(SILENT_SECONDS)
        assert (is_shut(silent), is_shut(asking), door.guard.closed) == (True, False, 1)
        door.after(IDLE_SECONDS - SILENT_SECONDS - 1)
        assert not is_shut(asking), "it may wait for a policy sync"
        door.after(1)
        assert is_shut(asking)


def test_whoever_was_answered_and_asks_no_more_is_shut_within_half_a_minute() -> None:
    with Door() as door:
        done, again = door.enter(), door.enter()
        for caller in (done, again):
            door.ask(caller)
            door.answer(caller)
        door.after(ANSWERED_SECONDS - 1)
        door.ask(again)
        door.after(1)
        assert (is_shut(done), is_shut(again)) == (True, False)
    assert max(SILENT_SECONDS + FIRST_BYTES_SECONDS, ANSWERED_SECONDS) + SWEEP_SECONDS <= 30


def test_whoever_does_not_come_to_an_end_is_shut_too() -> None:
    with Door() as door:
        slow, waiting = door.enter(), door.enter()
        for caller in (slow, waiting):
            door.read(caller)
        door.ask(waiting)
        door.after(SILENT_SECONDS)
        assert (is_shut(slow), is_shut(waiting)) == (True, False)


def test_whoever_waits_for_us_is_not_silent() -> None:
    with Door() as door:
        caller = door.enter()
        caller.sendall(b"a greeting that nobody has read yet")
        door.after(3 * SILENT_SECONDS)
        assert not is_shut(caller)
        assert door.accepted[0].recv(100)
        door.after(1)
        assert is_shut(caller)


def test_where_places_are_few_so_is_patience() -> None:
    with Door(places=4) as door:
        callers = [door.enter() for _ in range(3)]
        assert door.guard.is_crowded
        door.after(SILENT_SECONDS * CROWDED_PATIENCE)
        assert [is_shut(caller) for caller in callers] == [True, True, True]


def test_one_corner_of_the_network_gets_no_more_than_its_part() -> None:
    with Door(places_of_one_block=3) as door:
        waiting, slow, silent = door.enter("127.0.0.1"), door.enter("127.0.0.2"), door.enter("127.0.0.3")
        door.ask(waiting)
        door.read(slow)
        door.after(AT_LEAST_SECONDS)
        elsewhere = door.enter("127.0.1.1")
        door.read(elsewhere)
        assert not any(map(is_shut, door.callers)), "three are its part"
        newest = [door.enter("127.0.0.200") for _ in range(2)]
        door.now += AT_LEAST_SECONDS
        door.read(newest[0])
        door.after(0)
        shut = [is_shut(caller) for caller in (waiting, slow, silent, *newest)]
        assert shut == [False, True, False, False, False], "one that lets us wait goes; silence has its own patience"
        assert not is_shut(elsewhere)
        assert door.guard.surplus


def test_a_herd_from_behind_one_address_is_not_thinned_out_while_it_is_served() -> None:
    with Door(places_of_one_block=3) as door:
        callers = [door.enter() for _ in range(9)]
        for caller in callers[:4]:
            door.read(caller)
            door.ask(caller)
        door.after(AT_LEAST_SECONDS - 1)
        assert not any(map(is_shut, callers))


@pytest.mark.parametrize(
    ("one", "other", "are_one"),
    [
        ("10.1.2.3:5", "10.1.2.250:9", True),
        ("10.1.2.3:5", "10.1.3.3:5", False),
        ("[2001:db8:0:1::5]:443", "[2001:db8:0:1:ffff::1]:9", True),
        ("[2001:db8:0:1::5]:443", "[2001:db8:0:2::5]:443", False),
        ("[::ffff:10.1.2.3]:5", "10.1.2.9:7", True),
        ("[fe80::1%eth0]:5", "[fe80::2%eth0]:5", True),
    ],
)
def test_what_one_network_is(one: str, other: str, *, are_one: bool) -> None:
    assert (block_of(one) == block_of(other)) is are_one


def test_the_kernel_hands_over_nobody_who_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        prepare(server)
        server.setblocking(False)
        with socket.create_connection(server.getsockname()) as caller:
            with pytest.raises(BlockingIOError):
                server.accept()
            caller.sendall(b"x")
            readable, _, _ = select.select([server], [], [], 5)
            assert readable
            connection, _ = server.accept()
            with connection:
                assert connection.recv(1) == b"x"
                assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 20_000


def test_a_process_that_has_no_file_left_to_look_with_looks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        looks, looked_again = [OSError(errno.EMFILE, "Too many open files")], asyncio.Event()
        loop = asyncio.get_running_loop()

        def sweep(_guard: ConnectionGuard) -> None:
            if looks:
                raise looks.pop()
            loop.call_soon_threadsafe(looked_again.set)

        monkeypatch.setattr(connections, "CROWDED_SWEEP_SECONDS", 0)
        monkeypatch.setattr(ConnectionGuard, "sweep", sweep)
        running = asyncio.ensure_future(ConnectionGuard(1, lambda: 0.0).run())
        async with asyncio.timeout(5):
            await looked_again.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(story())
