"""The gateway's front: every request passes here, in the order of checks of the device protocol, cheap before costly.

1. method and path: only what a route declares exists; 2. host, content type, size, pace; 3. the headers of the
signature; 4. its window; 5. the key it names; 6. digest and signature. Then the handler: strict JSON, and in one
transaction whether that key is the device's present one, its state and the sequence number. Nothing is written before
the signature holds, and nothing is acknowledged before it is on disk.

Check-ins wait for each other after the second, while their bodies arrive, and go through all the rest in one turn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog
from granian._granian import RSGIProtocolClosed as ProtocolClosed  # the public module does not export it by type

from shieldwall.contract.clock import Clock
from shieldwall.contract.errors import InvalidJsonError, ShieldwallError
from shieldwall.server.gateway.admission import Admission
from shieldwall.server.gateway.authentication import Authentication, read_signature
from shieldwall.server.gateway.calls import Answer, Call, SignedRequest
from shieldwall.server.gateway.gathering import Company
from shieldwall.server.gateway.guard import ArrivingBody, BodyWatch, Protocol_, Scope, check_authority, check_framing
from shieldwall.server.gateway.lanes import Lane, lane_of
from shieldwall.server.gateway.measures import GatewayMeasures
from shieldwall.server.gateway.problems import (
    CLOSES_CONNECTION,
    OverloadedError,
    RefusedError,
    internal_error_body,
    problem_body,
    status_of,
)
from shieldwall.server.gateway.reading import Reading
from shieldwall.server.gateway.routes import Access, Match, Router
from shieldwall.server.listening.connections import ConnectionGuard
from shieldwall.server.manager.turns import DeviceNotActiveError
from shieldwall.server.observing.tracing import NoTracing, Spanned, Tracing
from shieldwall.trust import moments
from shieldwall.trust.certificate_request import BadCertificateRequestError
from shieldwall.trust.request_signature import BadSignatureError, ClockSkewError

_log: Final = structlog.get_logger("shieldwall.gateway")

RETRY_AFTER: Final = {"tooManyRequests": (1, 5), "channelsExhausted": (5, 60)}
"""Seconds to come back after, drawn evenly between these two. Whoever else is told to come back is given a place in the
order in which all can be served (``admission``)."""
_COME_BACK: Final = frozenset({429, 503})
_WAITS_TELL: Final = frozenset({Lane.QUIET, Lane.NEWS, Lane.ENROLMENT})
"""What these wait for, all wait for; a device that waits for a policy sync waits of its own will."""
_REFUSED_AT_ONCE: Final = (
    RefusedError,
    BadSignatureError,
    ClockSkewError,
    InvalidJsonError,
    BadCertificateRequestError,
)
"""What is sent back before it came to the database's writer, for which all others wait; strangers can ask for it."""
_OVERLOADED: Final = OverloadedError("The server has more to do than it can do in time.")

_PROBLEM: Final = ("content-type", "application/problem+json")
_SERVER: Final = ("server", "shieldwall")
_NOT_SIGNED: Final = BadSignatureError("The request is not signed by the key of an active device.")
"""The one answer to every failed signature: who asks learns nothing about which keys exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """Takes requests from Granian (RSGI)."""

    router: Router
    authority: str
    authentication: Authentication
    reading: Reading
    clock: Clock
    connections: ConnectionGuard
    bodies: BodyWatch
    measures: GatewayMeasures
    admission: Admission
    company: Company
    new_request_id: Callable[[], str]
    draw_between: Callable[[int, int], int]
    tracing: Tracing = field(default_factory=NoTracing)

    async def __rsgi__(self, scope: Scope, transport: Protocol_) -> None:
        """Answer one request, which may be followed on its way."""
        with self.tracing.request("request") as span:
            await self._served(scope, transport, span)

    async def _served(self, scope: Scope, transport: Protocol_, span: Spanned) -> None:
        """Answer one request; every failure becomes a problem document here."""
        request_id = self.new_request_id()
        self.connections.reading(scope.client)
        lane = Lane.REST
        with self.measures.request() as measured:
            try:
                match = self.router.match(scope.method, scope.path)
                measured.route, lane = match.route.path, match.route.lane
                answer = await self._answer(scope, transport, match, request_id)
            except ProtocolClosed:
                return  # the caller went away in the middle of its request: nobody to answer, nothing was done
            except ShieldwallError as error:
                answer = self._problem(error, request_id, scope, lane)
            except Exception:  # noqa: BLE001 - the last line: whatever it is, it is logged and answered 500
                _log.exception("unexpected_error", request_id=request_id, method=scope.method, path=scope.path[:256])
                answer = self._internal_error(request_id)
            finally:
                self.connections.answered(scope.client)
            measured.status = answer.status
            _send(transport, answer)
            known: dict[str, str | int] = {
                "http.route": measured.route,
                "http.response.status_code": answer.status,
                "shieldwall.request_id": request_id,
            }
            span.ended(f"{scope.method} {measured.route}", **known)

    async def _answer(self, scope: Scope, transport: Protocol_, match: Match, request_id: str) -> Answer:
        route = match.route
        check_authority(scope, self.authority)
        if scope.query_string != route.query:
            raise RefusedError("The query is not the one this path takes.")
        length = check_framing(scope.headers, route.body_limit)
        lane = lane_of(route.lane, length)
        if (seconds := self.admission.sends_away(lane)) is not None:
            return self._sent_away(lane, seconds, request_id)
        arriving = ArrivingBody(transport, length, route.body_limit)
        if route.access is Access.DEVICE_AMONG_OTHERS:
            await self.company.joined()
        body = await arriving.read(self.bodies)
        self.connections.asked(scope.client)
        if lane not in _WAITS_TELL:
            return await self._handled(scope, transport, match, request_id, body)
        begun = self.admission.begin()
        refused = route.access is Access.ANYONE  # who need not sign is not written down either
        try:
            return await self._handled(scope, transport, match, request_id, body)
        except _REFUSED_AT_ONCE:
            refused = True
            raise
        finally:
            self.admission.end(begun, refused=refused)

    def _sent_away(self, lane: Lane, seconds: int, request_id: str) -> Answer:
        """Answer at the least cost: nothing was read, nothing is logged, the connection ends."""
        self.measures.sent_away(lane, _OVERLOADED.code)
        return Answer(
            status=503,
            body=problem_body(_OVERLOADED, 503, request_id=request_id, server_time=""),
            headers=(_PROBLEM, ("retry-after", str(seconds)), ("connection", "close")),
        )

    async def _handled(self, scope: Scope, transport: Protocol_, match: Match, request_id: str, body: bytes) -> Answer:
        route = match.route
        signed = caller = None
        if route.access is not Access.ANYONE:
            signed = SignedRequest(
                signature=read_signature(scope.headers),
                method=scope.method,
                authority=self.authority,
                path=scope.path,
                query=scope.query_string,
                body=body,
            )
            # The window first: its answer must not tell a registered key from an unknown one.
            signed.signature.check_window(self._now())
            if route.access is Access.DEVICE:
                caller = await self.authentication.caller_of(signed)
                self.reading.of_device(caller.id, body)

        return await route.handler(
            Call(
                request_id=request_id,
                client=scope.client,
                parameters=match.parameters,
                body=body,
                disconnected=transport.client_disconnect,
                caller=caller,
                signed=signed,
            )
        )

    def _now(self) -> int:
        return int(self.clock.now().timestamp())

    def _problem(self, error: ShieldwallError, request_id: str, scope: Scope, lane: Lane) -> Answer:
        status = status_of(error)
        if status == 500:
            _log.error("unmapped_error", request_id=request_id, code=error.code, path=scope.path[:256], exc_info=error)
            return self._internal_error(request_id)
        _log.info(
            "refused",
            request_id=request_id,
            status=status,
            code=error.code,
            cause=error.cause,
            method=scope.method[:16],
            path=scope.path[:256],
            client=scope.client,
        )
        shown = _NOT_SIGNED if isinstance(error, BadSignatureError | DeviceNotActiveError) else error
        time = moments.write(self.clock.now()) if isinstance(error, ClockSkewError) else ""
        headers = [_PROBLEM]
        if status in _COME_BACK:
            headers.append(("retry-after", str(self._seconds_until(error.code))))
            self.measures.sent_away(lane, error.code)
        if status in CLOSES_CONNECTION:
            headers.append(("connection", "close"))
        body = problem_body(shown, status, request_id=request_id, server_time=time)
        return Answer(status=status, body=body, headers=tuple(headers))

    def _seconds_until(self, code: str) -> int:
        return self.draw_between(*RETRY_AFTER[code]) if code in RETRY_AFTER else self.admission.come_back()

    def _internal_error(self, request_id: str) -> Answer:
        return Answer(status=500, body=internal_error_body(request_id=request_id, server_time=""), headers=(_PROBLEM,))


def _send(transport: Protocol_, answer: Answer) -> None:
    headers = [_SERVER, *answer.headers]
    if answer.body:
        transport.response_bytes(answer.status, headers, answer.body)
    else:
        transport.response_empty(answer.status, headers)
