"""Traces: where the time of a request went, for whoever has a collector (OpenTelemetry, OTLP over HTTP).

Nothing of it is loaded, and a request costs one call, unless ``server.json`` names an endpoint. Spans carry routes,
statuses and SQL without its values; never ids of people, bodies, tokens or keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from sqlalchemy import Engine, event

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.configuration.settings_file import TelemetrySettings

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

_SECONDS_TO_FLUSH: Final = 5
_STARTED: Final = "shieldwall_span"


class TelemetryMissingError(ShieldwallError):
    """Traces are asked for, and what exports them is not installed."""

    code = "telemetryMissing"
    remedy = "Install 'shieldwall[telemetry]', or take `telemetry` out of server.json."


class Spanned(Protocol):
    """A span under way."""

    def ended(self, name: str, **known: str | int) -> None:
        """Give it the name and add what only the end of the request knows."""
        ...


class Tracing(Protocol):
    """Follows requests, or does not."""

    def request(self, name: str, **known: str | int) -> AbstractContextManager[Spanned]:
        """Follow one request; what is asked of a followed database inside belongs to it."""
        ...

    def follow(self, engine: Engine) -> None:
        """Show the statements of a database in the requests that they belong to."""
        ...

    def close(self) -> None:
        """Hand over what is left, for some seconds at most."""
        ...


class _NoSpan:
    def ended(self, name: str, **known: str | int) -> None:
        pass


_NOTHING: Final = nullcontext(_NoSpan())


class NoTracing:
    """Follows nothing, and costs nothing."""

    def request(self, name: str, **known: str | int) -> AbstractContextManager[Spanned]:  # noqa: ARG002 - as the interface has it
        """Follow nothing."""
        return _NOTHING

    def follow(self, engine: Engine) -> None:
        """Follow nothing."""

    def close(self) -> None:
        """Have nothing left."""


@dataclass(frozen=True, slots=True)
class _Span:
    span: Any

    def ended(self, name: str, **known: str | int) -> None:
        self.span.update_name(name)
        self.span.set_attributes(known)


class ExportedTracing:
    """Follows a sample of all requests, and exports the spans in batches from a thread of its own."""

    def __init__(self, tracer: Tracer, provider: TracerProvider, is_drawn: Callable[[], bool]) -> None:
        self._tracer = tracer
        self._provider = provider
        self._is_drawn = is_drawn

    def request(self, name: str, **known: str | int) -> AbstractContextManager[Spanned]:
        """Follow one request, if it is drawn."""
        return self._followed(name, known) if self._is_drawn() else _NOTHING

    @contextmanager
    def _followed(self, name: str, known: dict[str, str | int]) -> Iterator[Spanned]:
        with self._tracer.start_as_current_span(name, attributes=known) as span:
            yield _Span(span)

    def follow(self, engine: Engine) -> None:
        """Show the statements of a database; outside of a request that is followed nothing is noted."""
        from opentelemetry.trace import StatusCode, get_current_span  # noqa: PLC0415 - an extra, loaded when asked for

        @event.listens_for(engine, "before_cursor_execute")
        def begin(connection: Any, _cursor: Any, statement: str, *_others: Any) -> None:
            if get_current_span().is_recording():
                known = {"db.system.name": connection.dialect.name, "db.query.text": statement}
                connection.info[_STARTED] = self._tracer.start_span(statement.partition(" ")[0], attributes=known)

        @event.listens_for(engine, "after_cursor_execute")
        def end(connection: Any, *_others: Any) -> None:
            if (span := connection.info.pop(_STARTED, None)) is not None:
                span.end()

        @event.listens_for(engine, "handle_error")
        def fail(context: Any) -> None:
            if context.connection is not None and (span := context.connection.info.pop(_STARTED, None)) is not None:
                span.set_status(StatusCode.ERROR)  # and not what the database said: that may hold values
                span.end()

    def close(self) -> None:
        """Hand over what is left."""
        self._provider.force_flush(_SECONDS_TO_FLUSH * 1000)
        self._provider.shutdown()


def open_tracing(settings: TelemetrySettings | None, process: str, draw_between: Callable[[int, int], int]) -> Tracing:
    """Begin to follow requests of a process as the settings say.

    Raises:
        TelemetryMissingError: They ask for it, and the extra is not installed.
    """
    if settings is None:
        return NoTracing()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - an extra
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - as above
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as above
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - as above
    except ImportError:
        raise TelemetryMissingError("The extra `telemetry` is not installed.") from None
    provider = TracerProvider(resource=Resource({"service.name": f"shieldwall-{process}"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=settings.endpoint)))

    def is_drawn() -> bool:
        return settings.one_in == 1 or draw_between(1, settings.one_in) == 1

    return ExportedTracing(provider.get_tracer("shieldwall"), provider, is_drawn)
