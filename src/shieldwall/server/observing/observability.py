"""How a server process speaks about itself: one JSON line per event on standard error, numbers for Prometheus.

Events carry request ids, codes and causes; never bodies, tokens, keys or secrets.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, TextIO, cast

import structlog
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from shieldwall.server.configuration.settings import ServerSettings
from shieldwall.server.observing.repetitions import Repetitions
from shieldwall.server.observing.replacements import Cause, counted
from shieldwall.server.observing.upkeep import Upkeep, failures, last_done

_TRACEBACKS: Final = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)  # local variables hold keys and secrets
)
METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Forgiving:
    """A stream that nobody fails over: where a log finds no room on a full disk, only its line is lost."""

    def __init__(self, stream: TextIO) -> None:
        self._stream: Final = stream

    def write(self, text: str) -> int:
        """Write what can be written."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Hand on what can be handed on."""
        with suppress(OSError):
            self._stream.flush()


def log_as_json(process: str) -> None:
    """Write every event of this process as one JSON line on standard error. Call once, first thing."""
    structlog.contextvars.bind_contextvars(process=process)
    forgiving = cast("TextIO", Forgiving(sys.stderr))
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[
            Repetitions(time.monotonic),
            *shared,
            _TRACEBACKS,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=forgiving),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(forgiving)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _TRACEBACKS,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


class ServerFigures(Collector):
    """What every process of a server tells of it: who was replaced, until when it is trusted, and its backups.

    One that is to keep ``expected`` tells of that too, as never done where it never was.
    """

    def __init__(self, run: Path, certificate: Path, expected: Collection[Upkeep]) -> None:
        self._run: Final = run
        self._expected: Final = expected
        self._certificate_end: Final = _end_of(certificate)  # as it is shown: a newer file is taken up by a restart

    def collect(self) -> Iterator[Metric]:
        """Hand the numbers to the registry."""
        replaced = CounterMetricFamily(
            "shieldwall_processes_replaced", "Processes that took the place of one that ended.", labels=("cause",)
        )
        for cause in Cause:
            replaced.add_metric((cause.value,), counted(self._run, cause))
        yield replaced
        yield from self._upkeep()
        if self._certificate_end is not None:
            yield GaugeMetricFamily(
                "shieldwall_certificate_end_timestamp_seconds",
                "When the first certificate ends of the chain that this process shows.",
                value=self._certificate_end,
            )

    def _upkeep(self) -> Iterator[Metric]:
        failed = CounterMetricFamily(
            "shieldwall_upkeep_failures", "How often what has to be done again and again failed.", labels=("upkeep",)
        )
        done = GaugeMetricFamily(
            "shieldwall_upkeep_done_timestamp_seconds", "When it was done last, 0 for never.", labels=("upkeep",)
        )
        for upkeep in (Upkeep.BACKUP, *self._expected):
            failed.add_metric((upkeep.value,), failures(self._run, upkeep))
            last = last_done(self._run, upkeep)
            if last is not None or upkeep in self._expected:  # backups may be taken by other means
                done.add_metric((upkeep.value,), last or 0.0)
        yield from (failed, done)


def _end_of(chain: Path) -> float | None:
    """Return when the first certificate of a chain ends; ``None`` where it cannot be read, as whoever listens says."""
    from cryptography import x509  # noqa: PLC0415 - megabytes, which a process that only logs would keep for nothing

    try:
        found = x509.load_pem_x509_certificates(chain.read_bytes())
    except (OSError, ValueError):
        return None
    return min(each.not_valid_after_utc for each in found).timestamp()


def new_registry(settings: ServerSettings, expected: Collection[Upkeep] = ()) -> CollectorRegistry:
    """Make the registry of a process, with what every process measures; this one is to keep ``expected``."""
    registry = CollectorRegistry()
    registry.register(ServerFigures(settings.run, settings.tls_certificate, expected))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def metrics_text(registry: CollectorRegistry) -> bytes:
    """Write all numbers in the text format of Prometheus."""
    return generate_latest(registry)
