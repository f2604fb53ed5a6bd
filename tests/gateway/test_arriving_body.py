"""A body is on its way before anybody waits for it, and is what its header said, or is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import pytest

from shieldwall.server.gateway.guard import ArrivingBody, BodyWatch
from shieldwall.server.gateway.problems import ContentTooLargeError, RefusedError


class Transport:
    """What Granian hands over, with a body that has come as soon as it is asked for."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = chunks
        self.asked = 0

    def __call__(self) -> Awaitable[bytes]:
        self.asked += 1
        arrived: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        arrived.set_result(b"".join(self.chunks))
        return arrived

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self.chunks:
            yield chunk

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} is not asked for")


def read(transport: Transport, length: int | None, limit: int = 10) -> bytes:
    async def story() -> bytes:
        arriving = ArrivingBody(transport, length, limit)
        assert transport.asked == (1 if length else 0)
        return await arriving.read(BodyWatch())

    return asyncio.run(story())


def test_a_body_comes_from_the_beginning_on_and_none_is_asked_for_where_there_is_none() -> None:
    assert read(Transport(b"{}"), 2) == b"{}"
    assert read(Transport(), 0) == b""


@pytest.mark.parametrize("length", [1, 3])
def test_a_body_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(RefusedError):
        read(Transport(b"{}"), length)


def test_a_body_in_chunks_is_refused_and_read_no_further_than_its_limit() -> None:
    with pytest.raises(RefusedError):
        read(Transport(b"{", b"}"), None)
    with pytest.raises(ContentTooLargeError):
        read(Transport(b"12345", b"67890", b"1"), None)
