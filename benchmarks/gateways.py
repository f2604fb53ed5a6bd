"""A gateway and its signer on either engine, nothing beside them, and devices that check in there without news.

What is asked tells its cost: the processor time of whatever answers, on PostgreSQL with that of the database. All of it
has a core, and whoever asks has another (``cores``).
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from tests.support.check_in_storm import Storm, keep_up
from tests.support.ports import free_port
from tests.support.storm_fleet import StormFleet, StormRequest

from benchmarks.clusters import Storage
from benchmarks.cores import apart
from benchmarks.figures import POSTGRESQL, Engine
from benchmarks.programs import SHIELDWALL, gateway_and_signer, processor_seconds, run, started, wait_for_port
from shieldwall.server.storage.engine.database import Database

_ALL_AT_ONCE: Final = 64


@dataclass(frozen=True, slots=True)
class Asked:
    """A server that is asked: how to send it so many requests with so many at a time, and what it has worked."""

    send: Callable[[int, int], None]
    pids: list[int]
    """What answers."""
    storage: Storage | None = None

    def cost(self, requests: int, at_once: int) -> float:
        """Return the processor time of a request in microseconds."""
        with apart([*self.pids, *(self.storage.pids() if self.storage else ())]):
            before = self._seconds()
            self.send(requests, at_once)
            return (self._seconds() - before) / requests * 1e6

    def _seconds(self) -> float:
        return processor_seconds(self.pids) + (self.storage.processor_seconds() if self.storage else 0.0)


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that runs, and the fleet that is enrolled there."""

    data: Path
    database: Database
    fleet: StormFleet
    port: int
    pids: list[int]
    """Of gateway and signer."""

    @property
    def authority(self) -> str:
        """Host and port, as devices name it."""
        return f"localhost:{self.port}"


@contextmanager
def gateway(storage: Storage, devices: int) -> Iterator[Gateway]:
    """Run one over a storage, with so many devices that have not come yet."""
    data, port = storage.home, free_port()
    urls = ("--public-url", f"https://localhost:{free_port()}", "--gateway-url", f"https://localhost:{port}")
    run(SHIELDWALL, "server", "init", "--data", str(data), *urls, *storage.words)
    settings = msgspec.json.decode((data / "server.json").read_bytes())
    fleet = StormFleet(tenant_id=settings["tenantId"], count=devices)
    words = ("server", "run", "--data", str(data), "--role", "signer", "--role", "gateway")
    with closing(Database(settings["database"])) as database:
        fleet.enrol(database)
        with started([SHIELDWALL, *words], data / "server.log") as pid:
            wait_for_port(port)
            yield Gateway(data, database, fleet, port, gateway_and_signer(pid))


@contextmanager
def asked_without_news(storage: Storage, devices: int) -> Iterator[Asked]:
    """Run a gateway that so many devices ask in turn, each of which has been met once."""
    with gateway(storage, devices) as running:
        running.database.close()  # of its connections none is left to be counted
        coming = itertools.cycle(running.fleet)

        def send(requests: int, at_once: int) -> None:
            made = (next(coming).check_in(running.authority, time.time()) for _ in range(requests))
            answered_204(running.port, made, at_once)

        send(devices, _ALL_AT_ONCE)
        yield Asked(send, running.pids, storage)


def answered_204(port: int, requests: Iterable[StormRequest], at_once: int) -> None:
    """Send requests. Raises: AssertionError where one is answered by anything but 204."""
    with closing(Storm(port=port)) as storm:
        for outcome in keep_up(storm, requests, at_once=at_once):
            assert outcome.status == 204, f"{outcome.status} {outcome.failure} {outcome.body[:200]!r}"


def parts(engine: Engine) -> str:
    """Say whose processor time a cost is."""
    return "gateway, signer and database" if engine == POSTGRESQL else "gateway and signer"
