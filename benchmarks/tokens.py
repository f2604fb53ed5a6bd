"""What a token costs: the CPU time of one request for a token, beside that of one bare RS256 signature.

Half of a request is the web framework's; the signature is made in this process, as the signer makes it in its own.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
from argon2 import PasswordHasher
from joserfc import jwt

from benchmarks.figures import Bar, Figure, Peer
from shieldwall.contract.ids import TenantId
from shieldwall.server.directory import apps
from shieldwall.server.directory.app_credentials import hash_of

TIMES: Final = 200
NOW: Final = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TENANT: Final = TenantId("00000000-0000-4000-8000-00000000000a")


def measure(home: Path, *, quick: bool = False) -> list[Figure]:
    """Measure CPU milliseconds of a token, of a signature, and of the hash that secrets had before."""
    del quick  # it takes seconds
    from tests.support.admin import create_admin_world  # noqa: PLC0415 - the same world that tests use

    from shieldwall.server.storage import migrate  # noqa: PLC0415 - as above
    from shieldwall.server.storage.database import Database  # noqa: PLC0415 - as above

    database = Database.at(home / "shieldwall.db")
    migrate.upgrade(database)
    world = create_admin_world(database, home / "data")
    with world.writing() as connection:
        acting = world.services.acting("console")
        app, secret = apps.create_app(connection, acting, display_name="CI", permissions=("Group.Read.All",))
    form = {
        "grant_type": "client_credentials",
        "client_id": app.client_id,
        "client_secret": secret,
        "scope": "https://graph.microsoft.com/.default",
    }
    signing = world.signer.keys.token_keys.signing(NOW)
    claims = {"iss": "x", "aud": "y", "iat": 1, "exp": 2}
    slow = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
    kept = slow.hash(secret)
    whole = asyncio.run(_requests(world.application, form))
    signature = Peer("one bare RS256 signature", _each(lambda: jwt.encode({"alg": "RS256"}, claims, signing.key)))
    now, before = _each(lambda: hash_of(secret)), _each(lambda: slow.verify(kept, secret))
    database.close()
    note = "all threads of the process"
    return [
        Figure(
            "a token for a secret, whole request in process", whole, "ms CPU", peer=signature, bar=Bar(10), note=note
        ),
        Figure("… the hash of a secret", now, "ms CPU", peer=Peer("Argon2id", before)),
    ]


async def _requests(application: Any, form: dict[str, str]) -> float:
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="https://localhost:8443") as client:
        path = f"/{TENANT}/oauth2/v2.0/token"
        for _ in range(5):
            assert (await client.post(path, data=form)).status_code == 200
        started = time.process_time()
        for _ in range(TIMES):
            await client.post(path, data=form)
        return (time.process_time() - started) * 1000 / TIMES


def _each(work: Any) -> float:
    work()
    started = time.process_time()
    for _ in range(TIMES):
        work()
    return (time.process_time() - started) * 1000 / TIMES
