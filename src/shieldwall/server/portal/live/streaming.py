"""The stream of a page, as server-sent events (HTML Living Standard, section 9.2).

A browser opens it anew by itself when it ends, and says by ``Last-Event-ID`` what it has seen. So a stream may end
whenever we like: it does after some minutes, with the session, and with the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from litestar.types import Receive, Scope, Send

from shieldwall.server.portal.answer_headers import HEADERS
from shieldwall.server.portal.live.watching import Stream

BEAT_SECONDS: Final = 15.0
"""How often the session is asked for, and something sent, so that whoever stands between keeps the connection open."""
BEATS: Final = 18
"""A stream lasts four minutes and a half: less than a connection may go without another request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventStream:
    """An answer that goes on. ``may_go_on`` asks whether the session still lets its person follow this."""

    stream: Stream
    leave: Callable[[Stream], None]
    may_go_on: Callable[[], Awaitable[bool]]
    retry_milliseconds: int
    """When the browser opens the next one; not all at once, when the server comes back and every open page does."""
    beat_seconds: float = BEAT_SECONDS
    beats: int = BEATS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what the stream says until either side has had enough."""
        del scope
        gone, said = asyncio.ensure_future(_gone(receive)), asyncio.ensure_future(self._say(send))
        try:
            await asyncio.wait({gone, said}, return_when=asyncio.FIRST_COMPLETED)
            if not gone.done():
                await said  # which raises what went wrong
        finally:
            gone.cancel()
            said.cancel()
            await asyncio.gather(gone, said, return_exceptions=True)
            self.leave(self.stream)

    async def _say(self, send: Any) -> None:
        headers = {**HEADERS, "Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        named = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": 200, "headers": named})

        async def say(text: str) -> None:
            await send({"type": "http.response.body", "body": text.encode(), "more_body": True})

        await say(f"retry: {self.retry_milliseconds}\n\n")
        beat = 0
        while beat < self.beats and not self.stream.is_over:
            mark = await self.stream.next(self.beat_seconds)
            if mark is not None:
                await say(f"id: {mark}\nevent: changed\ndata: {mark}\n\n")
            elif not self.stream.is_over:
                beat += 1
                if not await self.may_go_on():
                    await say("event: over\ndata: session\n\n")
                    break
                await say(": still here\n\n")
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
