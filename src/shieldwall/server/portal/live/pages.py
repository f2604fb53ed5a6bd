"""The route on which pages hear of changes."""

from __future__ import annotations

import re
from typing import Final

from litestar import get
from litestar.concurrency import sync_to_thread
from litestar.di import NamedDependency
from litestar.types import ASGIApp, ControllerRouterHandler

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.access.authorization import ForbiddenError, UnauthenticatedError, everybody
from shieldwall.server.admin.sight import caller_of
from shieldwall.server.portal.handling import SIGNED_IN, PageRequest, Services, Working
from shieldwall.server.portal.live.streaming import EventStream
from shieldwall.server.portal.live.topics import permitted
from shieldwall.server.portal.live.watching import Watching
from shieldwall.server.portal.sessions import UNNOTED, principal_of

_MARK: Final = re.compile(r"[0-9a-f]{32}\Z")


@get("/live", opt=SIGNED_IN | everybody() | UNNOTED)
async def follow(
    request: PageRequest, services: Services, works: Working, watching: NamedDependency[Watching]
) -> ASGIApp:
    """Say whenever something changed that the page of whoever asks is about."""
    caller = caller_of(request)
    asked = request.query_params.getall("topic", [])
    if not asked:
        raise ShieldwallError("The request names no topic.", remedy="Open a page of the admin center instead.")
    topics = await sync_to_thread(permitted, services, works, caller, asked)
    if not topics:
        raise ForbiddenError("No role of yours lets you follow this.")
    seen: str = request.headers.get("last-event-id") or request.query_params.get("since") or ""

    async def may_go_on() -> bool:
        try:
            now = await sync_to_thread(principal_of, services, request, unnoted=True)
        except UnauthenticatedError:
            return False
        return (now.id, now.access) == (caller.id, caller.access)

    if not _MARK.match(seen):
        seen = await sync_to_thread(watching.mark, caller.tenant_id, topics)
    stream = watching.follow(caller.tenant_id, caller.id, topics, seen)
    return EventStream(
        stream=stream, leave=watching.leave, may_go_on=may_go_on, retry_milliseconds=watching.draw(1_000, 4_000)
    )


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (follow,)
