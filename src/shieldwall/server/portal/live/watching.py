"""One watcher for all pages of this process: it looks once a second at what somebody follows, and at nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from hashlib import sha256
from time import perf_counter
from typing import Final, TypeAlias

import structlog

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import TenantId
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.portal.live.topics import WORK
from shieldwall.server.portal.work.works import Works
from shieldwall.server.storage.portal.fingerprints import fingerprint

EVERY_SECONDS: Final = 1.0
SHARE: Final = 5
"""Looking takes at most one part in so many of the time, however slow the database is."""
MOST_STREAMS: Final = 256
MOST_OF_ONE: Final = 12
"""Streams of this process, and of one person: whoever gets none asks from time to time instead."""

Followed: TypeAlias = tuple[TenantId, str]
"""A topic of a tenant."""


class TooManyStreamsError(ShieldwallError):
    """No further page can be told of changes now."""

    code = "tooManyStreams"
    remedy = "The page asks every few seconds instead; close pages that nobody looks at."


class Stream:
    """What one page hears: the mark of the present state each time that it is another one, and in the end the end."""

    def __init__(self, owner: tuple[TenantId, str], topics: tuple[str, ...], seen: str) -> None:
        self.owner = owner
        self.topics = topics
        self.seen = seen
        self._is_over = False
        self._told = asyncio.Event()

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes."""
        return self._is_over

    async def next(self, seconds: float) -> str | None:
        """Wait for a change, and return its mark; ``None`` when none came within ``seconds``, or at the end."""
        try:
            async with asyncio.timeout(seconds):
                await self._told.wait()
        except TimeoutError:
            return None
        self._told.clear()
        return None if self._is_over else self.seen

    def tell(self, mark: str) -> None:
        """Say that things stand so now."""
        if mark != self.seen:
            self.seen = mark
            self._told.set()

    def end(self) -> None:
        """Say that nothing more comes."""
        self._is_over = True
        self._told.set()


class Watching:
    """Who follows what, and how it stands."""

    def __init__(
        self,
        services: AdminServices,
        works: Works,
        draw: Callable[[int, int], int],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.draw = draw
        self._services = services
        self._works = works
        self._sleep = sleep
        self._streams: set[Stream] = set()
        self._somebody = asyncio.Event()
        self._is_over = False

    def mark(self, tenant_id: TenantId, topics: Collection[str]) -> str:
        """Digest how things stand now, as a page says on what it was made. Reads the database."""
        return _mark(self._look({(tenant_id, topic) for topic in topics}), tenant_id, topics)

    def follow(self, tenant_id: TenantId, person_id: str, topics: tuple[str, ...], seen: str) -> Stream:
        """Begin a stream for a page that knows how things stood at the mark ``seen``; end it with ``leave``.

        Raises:
            TooManyStreamsError: There are as many as there may be, or the server is ending.
        """
        owner = (tenant_id, person_id)
        if self._is_over or len(self._streams) >= MOST_STREAMS:
            raise TooManyStreamsError("The server tells as many pages of changes as it can.")
        if sum(each.owner == owner for each in self._streams) >= MOST_OF_ONE:
            raise TooManyStreamsError(f"You have {MOST_OF_ONE} pages open that are told of changes.")
        stream = Stream(owner, topics, seen)
        self._streams.add(stream)
        self._somebody.set()
        return stream

    def leave(self, stream: Stream) -> None:
        """End a stream; nobody listens any more."""
        self._streams.discard(stream)
        if not self._streams:
            self._somebody.clear()

    def end(self) -> None:
        """End all streams, and begin no more: the server is asked to stop, and would wait for them."""
        self._is_over = True
        for stream in self._streams:
            stream.end()

    async def run(self) -> None:
        """Watch until cancelled. A database that does not answer is asked again, and said once."""
        is_well = True
        while True:
            await self._somebody.wait()
            started = perf_counter()
            try:
                await self.once()
            except Exception as error:  # noqa: BLE001 - whatever fails, pages want to be told again afterwards
                if is_well:
                    structlog.get_logger().warning("watching_failed", exc_info=error)
                is_well = False
            else:
                is_well = True
            await self._sleep(max(EVERY_SECONDS, SHARE * (perf_counter() - started)))

    async def once(self) -> None:
        """Look one time, and tell whom it concerns."""
        followed = {(stream.owner[0], topic) for stream in self._streams for topic in stream.topics}
        found = await asyncio.to_thread(self._look, followed)
        for stream in tuple(self._streams):
            tenant_id = stream.owner[0]
            if all((tenant_id, topic) in found for topic in stream.topics):  # it may have come meanwhile
                stream.tell(_mark(found, tenant_id, stream.topics))

    def _look(self, followed: Collection[Followed]) -> Mapping[Followed, str]:
        found: dict[Followed, str] = {}
        with self._services.database.read() as connection:
            for tenant_id, topic in followed:
                kind, _, identity = topic.partition(":")
                if kind == WORK:
                    found[tenant_id, topic] = self._works.mark(identity)
                else:
                    found[tenant_id, topic] = fingerprint(connection, tenant_id, kind, identity)
        return found


def _mark(found: Mapping[Followed, str], tenant_id: TenantId, topics: Collection[str]) -> str:
    lines = "\n".join(f"{topic} {found[tenant_id, topic]}" for topic in sorted(topics))
    return sha256(lines.encode()).hexdigest()[:32]
