"""Many signatures looked at together: each gets its own verdict, whatever the others are."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy import event, update
from tests.support.databases import bare_database, database, database_url
from tests.support.samples import a_device, a_tenant, device_id

from shieldwall.server.gateway import authentication
from shieldwall.server.gateway.authentication import Authentication
from shieldwall.server.gateway.calls import SignedRequest
from shieldwall.server.gateway.workers import Workers
from shieldwall.server.manager.turns import CallingDevice
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.tables import schema
from shieldwall.server.storage.tenants import tenants
from shieldwall.trust.device_key import DeviceKey, public_key_bytes
from shieldwall.trust.request_signature import BadSignatureError, SignedHeaders, parse_signature, sign_request

__all__ = ["bare_database", "database", "database_url"]

KEYS = [DeviceKey.generate() for _ in range(4)]


@pytest.fixture
def workers() -> Iterator[Workers]:
    running = Workers()
    yield running
    running.close()


@pytest.fixture
def registered(database: Database) -> Database:
    with database.write() as connection:
        tenants.add(connection, a_tenant())
        for number, key in enumerate(KEYS, start=1):
            point = public_key_bytes(key.public_key)
            devices.add(connection, a_device(number, key_thumbprint=key.thumbprint, public_key=point))
    return database


def signed(key: DeviceKey, received: bytes = b"{}") -> SignedRequest:
    """A request as it was received, signed over a body of ``{}``."""
    headers = sign_request(
        key, method="POST", authority="host", path="/", body=b"{}", created=1_700_000_000, nonce="0" * 32
    )
    return SignedRequest(
        signature=parse_signature(
            SignedHeaders(
                content_type=headers["Content-Type"],
                content_digest=headers["Content-Digest"],
                signature_input=headers["Signature-Input"],
                signature=headers["Signature"],
            )
        ),
        method="POST",
        authority="host",
        path="/",
        query="",
        body=received,
    )


def together(database: Database, workers: Workers, *requests: SignedRequest) -> list[CallingDevice | BaseException]:
    async def story() -> list[CallingDevice | BaseException]:
        asking = Authentication(database, workers)
        return await asyncio.gather(*map(asking.caller_of, requests), return_exceptions=True)

    return asyncio.run(story())


def test_each_gets_its_own_verdict(registered: Database, workers: Workers) -> None:
    stranger = DeviceKey.generate()
    good, forged, unknown, other = together(
        registered, workers, signed(KEYS[0]), signed(KEYS[1], b"[]"), signed(stranger), signed(KEYS[2])
    )
    assert isinstance(good, CallingDevice)
    assert (good.id, good.key) == (device_id(1), KEYS[0].thumbprint)
    assert isinstance(forged, BadSignatureError)
    assert isinstance(unknown, BadSignatureError)
    assert isinstance(other, CallingDevice)
    assert other.id == device_id(3)


def test_a_key_that_cannot_be_read_is_nobody_elses_harm(registered: Database, workers: Workers) -> None:
    with registered.write() as connection:
        rotten = update(schema.devices).where(schema.devices.c.id == device_id(1)).values(public_key=b"rotten")
        connection.execute(rotten)
    verdicts = together(registered, workers, *map(signed, KEYS))
    assert isinstance(verdicts[0], BadSignatureError)
    assert all(isinstance(verdict, CallingDevice) for verdict in verdicts[1:])


def test_unknown_keys_are_looked_up_with_one_query_and_known_ones_with_none(
    registered: Database, workers: Workers
) -> None:
    asked: list[str] = []
    event.listen(registered.followed, "before_cursor_execute", lambda *arguments: asked.append(arguments[2]))

    async def story() -> None:
        asking = Authentication(registered, workers)
        for _ in range(2):
            await asyncio.gather(*(asking.caller_of(signed(key)) for key in KEYS))
            assert len([each for each in asked if "public_key" in each]) == 1

    asyncio.run(story())


def test_so_many_keys_are_remembered_and_the_others_are_looked_up_again(
    registered: Database, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authentication, "MOST_REMEMBERED", 2)

    async def story() -> None:
        asking = Authentication(registered, workers)
        for _ in range(2):
            for number, key in enumerate(KEYS, start=1):
                assert (await asking.caller_of(signed(key))).id == device_id(number)

    asyncio.run(story())
