"""``$batch``: up to twenty requests in one, each decided for itself, as if it had come alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from litestar import Response, post
from litestar.params import RawBody
from litestar.types import ASGIApp, ControllerRouterHandler

from shieldwall.contract.errors import InvalidJsonError, ShieldwallError
from shieldwall.contract.strict_json import convert
from shieldwall.server.access.authorization import allow, everybody
from shieldwall.server.access.permissions import PERMISSIONS
from shieldwall.server.admin.parts import part_of
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.graph.batch_calls import BATCH, Answered, content_of, scope_of
from shieldwall.server.graph.batch_plan import BatchItem, BatchRequest, InvalidBatchError, stages
from shieldwall.server.graph.describing import does
from shieldwall.server.graph.errors import error_body, status_of
from shieldwall.server.graph.requests import JSON, GraphRequest, Services, answer, members_of
from shieldwall.server.graph.schemas.batch import BATCH_ANSWER, BATCH_REQUEST
from shieldwall.server.listening.admin_requests import record_of

SIDE_BY_SIDE: Final = 4
"""Requests of one batch at a time: so that a batch is no way to more of the server than others get."""


@dataclass(frozen=True, slots=True)
class Inside:
    """The application as the items of a batch call it."""

    application: ASGIApp


class FailedDependencyError(ShieldwallError):
    """A request of a batch was not made, because one that it depends on failed."""

    code = "failedDependency"
    remedy = "Look at the answer of the request named; when that works, send this one again."


@post(
    f"/{BATCH}",
    opt=allow(*PERMISSIONS) | everybody() | does(BATCH_ANSWER, takes=BATCH_REQUEST),
    status_code=200,
)
async def run_batch(services: Services, request: GraphRequest, body: RawBody) -> Response[bytes]:
    """Make up to 20 requests at once; each has its own answer, and its caller's own rights."""
    try:
        asked = convert(members_of(request, body), BatchRequest)
    except InvalidJsonError as error:
        raise InvalidBatchError(f"The batch cannot be read: {error.cause}") from None
    plan = stages(asked.requests)
    batch = Batch(
        application=part_of(request.scope, Inside).application,
        scope=request.scope,
        refused=_refusing(services, request),
    )
    for stage in plan:
        await batch.run(stage)
    return answer({"responses": [batch.answers[item.name] for item in asked.requests]})


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (run_batch,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch under way: what it has called, and what came of it."""

    application: ASGIApp
    scope: Mapping[str, Any]
    refused: Callable[[str, ShieldwallError], dict[str, Any]]
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(SIDE_BY_SIDE))

    async def run(self, stage: tuple[BatchItem, ...]) -> None:
        """Make the requests of one stage, side by side."""
        told = await asyncio.gather(*map(self._run, stage))
        self.answers.update(zip((item.name for item in stage), told, strict=True))

    async def _run(self, item: BatchItem) -> dict[str, Any]:
        try:
            for awaited in item.awaited:
                if self.answers[awaited]["status"] >= 400:
                    raise FailedDependencyError(f"The request {awaited} failed.")
            async with self.room:
                return (await self._call(item)).told(item.name)
        except ShieldwallError as error:
            return self.refused(item.name, error)

    async def _call(self, item: BatchItem) -> Answered:
        content, version = content_of(item), str(self.scope["path"]).split("/")[1]
        answered = Answered(reads=item.reads)
        messages = iter([{"type": "http.request", "body": content, "more_body": False}])

        async def receive() -> Any:
            for message in messages:
                return message
            await answered.is_complete.wait()  # nobody hangs up before
            return {"type": "http.disconnect"}

        scope: Any = scope_of(item, self.scope, content, version)
        await self.application(scope, receive, answered.take)
        return answered


def _refusing(services: AdminServices, request: GraphRequest) -> Callable[[str, ShieldwallError], dict[str, Any]]:
    """Make the function that answers an item which did not become a request."""
    record = record_of(request.scope)

    def refused(name: str, error: ShieldwallError) -> dict[str, Any]:
        body = error_body(
            error,
            request_id=record.request_id,
            client_request_id=record.client_request_id,
            now=services.clock.now(),
        )
        return {"id": name, "status": status_of(error), "headers": {"Content-Type": JSON}, "body": body}

    return refused
