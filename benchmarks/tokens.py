"""What a token costs on both engines: the CPU time of one request for it, beside that of one bare RS256 signature.

Half of a request is the web framework's; the signature is made in this process, as the signer makes it in its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx
import structlog
from argon2 import PasswordHasher
from joserfc import jwt
from litestar.types import ASGIApp
from tests.support.admin import PUBLIC_URL, create_admin_world

from benchmarks.engines import Measured, on_both
from benchmarks.figures import Bar, Figure, Peer
from shieldwall.contract.ids import TenantId
from shieldwall.server.directory import apps
from shieldwall.server.directory.app_credentials import hash_of, new_secret

TIMES: Final = 200
_WARM_UP: Final = 5
NOW: Final = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TENANT: Final = TenantId("00000000-0000-4000-8000-00000000000a")


def measure(home: Path, *, quick: bool = False) -> list[Figure]:
    """Measure CPU milliseconds of a token on both engines, of a signature, and of the hash that secrets had before."""
    del quick  # it takes seconds
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))  # a terminal to write to costs more
    return [*on_both(home, _measured), _hash_of_a_secret()]


def _measured(measured: Measured) -> list[Figure]:
    world = create_admin_world(measured.database, measured.home / "data")
    with world.writing() as connection:
        acting = world.services.acting("console")
        app, secret = apps.create_app(connection, acting, display_name="CI", permissions=("Group.Read.All",))
    form = {
        "grant_type": "client_credentials",
        "client_id": app.client_id,
        "client_secret": secret,
        "scope": "https://graph.microsoft.com/.default",
    }
    key, claims = world.signer.keys.token_keys.signing(NOW).key, {"iss": "x", "aud": "y", "iat": 1, "exp": 2}
    peer = Peer("one bare RS256 signature", _each(lambda: jwt.encode({"alg": "RS256"}, claims, key)))
    whole = _requests(measured, world.application, form)
    what, note = "a token for a secret, whole request in process", "all threads of the process, and the database"
    return [Figure(what, whole, "ms CPU", engine=measured.engine, peer=peer, bar=Bar(10), note=note)]


def _hash_of_a_secret() -> Figure:
    secret = new_secret()
    slow = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
    kept = slow.hash(secret)
    now, before = _each(lambda: hash_of(secret)), _each(lambda: slow.verify(kept, secret))
    return Figure("… the hash of a secret", now, "ms CPU", peer=Peer("Argon2id", before))


def _requests(measured: Measured, application: ASGIApp, form: dict[str, str]) -> float:
    with asyncio.Runner() as runner:
        runner.run(_send(application, form, _WARM_UP))
        return measured.cost(lambda: runner.run(_send(application, form, TIMES))) * 1000 / TIMES


async def _send(application: ASGIApp, form: dict[str, str], times: int) -> None:
    transport = httpx.ASGITransport(application)  # type: ignore[arg-type]  # the same protocol, other names
    async with httpx.AsyncClient(transport=transport, base_url=PUBLIC_URL) as client:
        for _ in range(times):
            assert (await client.post(f"/{TENANT}/oauth2/v2.0/token", data=form)).status_code == 200


def _each(work: Callable[[], object]) -> float:
    work()
    started = time.process_time()
    for _ in range(TIMES):
        work()
    return (time.process_time() - started) * 1000 / TIMES
