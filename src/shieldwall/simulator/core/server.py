"""A whole server device side in this process: its real gateway over SQLite in memory, its real signer.

Requests come in as Granian would hand them over, one at a time. A restart loses what a process loses: keys it has seen,
pace of devices, numbers it had reserved. The database is a file in memory, so what was committed is there afterwards.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from shieldwall.catalog import loader
from shieldwall.catalog.model import Catalog
from shieldwall.server.configuration.settings import ServerSettings
from shieldwall.server.console.initialise import Initialise
from shieldwall.server.directory.acting import Acting
from shieldwall.server.gateway.application import Application
from shieldwall.server.gateway.composition import compose_gateway
from shieldwall.server.manager.targeting import Retargeting
from shieldwall.server.signer.keys import load_keys
from shieldwall.server.signer.ledger import Ledger
from shieldwall.server.signer.service import SignerService
from shieldwall.server.signer.tenants import TenantSigners
from shieldwall.server.storage.engine.database import Database
from shieldwall.simulator.chance import Chance
from shieldwall.simulator.core.virtual_time import VirtualTime

URL: Final = "https://gateway.simulated:8444"
AT_ONCE: Final = 5
"""So small that most changes are left to each device to take up, as in a large fleet."""
_AUTHORITY: Final = URL.removeprefix("https://")
_IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a directory of our own is made in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the gateway answered."""

    status: int
    body: bytes = b""
    content_type: str = ""
    retry_after: int | None = None


@dataclass(slots=True)
class SimulatedServer:
    """One server, made anew for a simulation. ``chance`` draws its ids and the times it asks busy devices to wait."""

    directory: Path
    time: VirtualTime
    chance: Chance
    database_url: str | None = None
    """A database with its tables and nothing in them; without, one is made."""
    settings: ServerSettings = field(init=False)
    catalog: Catalog = field(init=False)
    database: Database = field(init=False)
    signers: TenantSigners = field(init=False)
    _application: Application = field(init=False)
    _open: ExitStack = field(default_factory=ExitStack)
    _loop: _Loop = field(init=False)
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        """Make the server, and start it."""
        make = Initialise(
            clock=self.time, new_id=self.new_id, randomness=self.chance.randbytes, tell=lambda _step: None
        )
        self.settings = make(
            self.directory / "server",
            database=self.database_url,
            public_url="https://admin.simulated:8443",
            gateway_url=URL,
            listen="127.0.0.1",
            tenant_name="Simulated",
            domain="simulated.example",
        )
        self.catalog = loader.load()
        self._loop = _Loop(self.time)
        self.start()

    def new_id(self) -> str:
        """Return the next id of this simulation: a UUID of chance, and of a count that keeps it the only one."""
        return f"{self.chance.getrandbits(32):08x}-0000-4000-8000-{next(self._ids):012x}"

    @property
    def signer(self) -> SignerService:
        """What signs for the one tenant."""
        return self.signers.for_tenant(self.settings.tenant_id)

    @property
    def acting(self) -> Acting:
        """An administrator at work."""
        return Acting(
            tenant_id=self.settings.tenant_id,
            actor="simulator",
            clock=self.time,
            new_id=self.new_id,
            on_devices_changed=Retargeting(clock=self.time),
            most_at_once=AT_ONCE,
        )

    def start(self) -> None:
        """Put the processes of the server together over what is on the disk."""
        stack = ExitStack()
        self.database = Database(self.settings.database)
        stack.callback(self.database.close)
        ledger = Ledger(self.settings.data / "signer")
        stack.callback(ledger.close)
        self.signers = TenantSigners(
            lambda tenant_id: load_keys(self.settings.keys, tenant_id), ledger=ledger, clock=self.time
        )
        gateway = stack.enter_context(
            compose_gateway(
                self.settings,
                database=self.database,
                signers=self.signers,
                clock=self.time,
                monotonic=self.time.monotonic,
                new_id=self.new_id,
                draw_between=self.chance.randint,
            )
        )
        self._application = gateway.application
        self._open = stack

    def restart(self) -> None:
        """End the processes and start them again."""
        self._open.close()
        self.start()

    def close(self) -> None:
        """End the processes for good."""
        self._open.close()
        self._loop.close()

    def answer(self, path: str, headers: Mapping[str, str], body: bytes, client: str) -> Reply:
        """Answer one POST. Whoever waits for a policy sync is answered at once: the caller keeps the time."""
        transport = _Transport(body)
        scope = _Scope(path, headers, len(body), client)
        self._loop.run_until_complete(self._application.__rsgi__(scope, transport))
        assert transport.reply is not None, "the gateway answers every request"
        return transport.reply


class _Loop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps with that of the simulation, and goes on while a request is answered.

    So requests that are an hour apart there are an hour apart for the gateway too, which waits for no company then.
    """

    def __init__(self, simulated: VirtualTime) -> None:
        self._simulated = simulated
        super().__init__()

    def time(self) -> float:
        return super().time() + self._simulated.seconds


class _Headers:
    """Header fields as Granian hands them over."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = {name.lower(): value for name, value in fields.items()}

    def get(self, key: str, default: Any = None) -> Any:
        return self._fields.get(key, default)

    def get_all(self, key: str) -> list[str]:
        return [self._fields[key]] if key in self._fields else []

    def __getitem__(self, key: str) -> str:
        return self._fields[key]

    def __contains__(self, key: str) -> bool:
        return key in self._fields

    def keys(self) -> list[str]:
        return list(self._fields)

    def values(self) -> list[str]:
        return list(self._fields.values())

    def items(self) -> list[tuple[str, str]]:
        return list(self._fields.items())


class _Scope:
    """A request line and header as Granian hands them over."""

    proto = "http"
    http_version = "1.1"
    scheme = "https"
    method = "POST"
    query_string = ""
    authority: str | None = None
    server = "127.0.0.1:8444"

    def __init__(self, path: str, headers: Mapping[str, str], length: int, client: str) -> None:
        self.path = path
        self.client = client
        self.headers = _Headers({**headers, "Host": _AUTHORITY, "Content-Length": str(length)})


class _Transport:
    """The rest of a request and the way back. The caller is gone as soon as somebody asks whether it is."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.reply: Reply | None = None

    async def __call__(self) -> bytes:
        return self._body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body

    async def client_disconnect(self) -> None:
        return

    def response_empty(self, status: int, headers: list[tuple[str, str]]) -> None:
        self.response_bytes(status, headers, b"")

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        named = dict(headers)
        asked = named.get("retry-after")
        self.reply = Reply(
            status=status,
            body=body,
            content_type=named.get("content-type", ""),
            retry_after=None if asked is None else int(asked),
        )


@contextmanager
def in_memory() -> Iterator[Path]:
    """Lend a directory that is in memory where the system offers one, else on the disk for temporary files."""
    place = _IN_MEMORY if _IN_MEMORY.is_dir() else None
    with TemporaryDirectory(prefix="shieldwall-sim-", dir=place) as path:
        yield Path(path)
