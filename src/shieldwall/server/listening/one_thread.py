"""Answering a request in one thread, from its guard to the last byte of its answer.

Who asks the database waits, and so runs in a worker thread and not on the loop. Each way there and back wakes two
threads up, which in a quick request costs as much as a question to the database. So a request goes there once, and the
framework with it: guard, handler and whatever writes errors are called there as they follow each other.

The framework's functions are coroutines all the same, which wait for nothing there: the body was read before
(``admin_front``), what is sent is collected, guards and handlers are plain functions. So one step takes each of them to
its end, and no loop is needed. Handlers that are coroutines themselves, or send as they go, stay on the loop.

These threads serve nobody else. Where the database stands still, requests take up all of them, for as long as they are
patient; what watches over connections and what tells how the process does must not wait behind them.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from litestar.concurrency import set_asyncio_executor, sync_to_thread
from litestar.handlers import BaseRouteHandler, HTTPRouteHandler
from litestar.types import ASGIApp, ControllerRouterHandler, Receive, Scope, Send

REQUESTS_AT_ONCE: Final = min(32, (os.cpu_count() or 1) + 4)
"""So many are answered at once; more would but wait for a processor or a connection to the database."""


def give_requests_their_threads() -> None:
    """Keep the threads of requests apart from those of the loop. It has to be called before a loop runs."""
    set_asyncio_executor(ThreadPoolExecutor(REQUESTS_AT_ONCE, thread_name_prefix="request"))


class InOneThread:
    """The innermost layer around a route: takes what is behind it to a thread, if its handler is a plain function."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand before one route."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if not is_in_thread(scope["route_handler"]):
            await self._app(scope, receive, send)
            return
        request: Any = await receive()
        assert not request.get("more_body"), "the body was read before"
        for message in await sync_to_thread(self._answered, scope, request):
            await send(message)

    def _answered(self, scope: Scope, request: Any) -> list[Any]:
        answer: list[Any] = []
        coming = iter([request])

        async def receive() -> Any:
            return next(coming, {"type": "http.disconnect"})

        async def send(message: Any) -> None:
            answer.append(message)

        _carry_out(self._app(scope, receive, send))
        return answer


def called_there(handlers: Iterable[ControllerRouterHandler]) -> list[ControllerRouterHandler]:
    """Have plain functions called in the thread where their request is already, instead of sent to another one."""
    listed = list(handlers)
    for each in listed:
        if isinstance(each, HTTPRouteHandler) and each.sync_to_thread:
            each.sync_to_thread = False
    return listed


def is_in_thread(handler: BaseRouteHandler) -> bool:
    """Tell whether the requests of a handler behind ``InOneThread`` are in a thread, where they may wait."""
    return isinstance(handler, HTTPRouteHandler) and handler.has_sync_callable


def _carry_out(work: Awaitable[None]) -> None:
    """Take a coroutine to its end in one step. Raises: RuntimeError: It waits for something, which only a loop can."""
    steps = work.__await__()
    try:
        next(steps)
    except StopIteration:
        return
    steps.close()
    raise RuntimeError("A request in a thread waited for the loop.")
