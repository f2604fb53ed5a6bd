"""``python -m shieldwall.server.processes.gateway_process DATA [PORT]``: the process that devices talk to."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from time import monotonic

import uvloop
from granian.constants import Interfaces

from shieldwall.server.plain_logging import structlog  # before all that would load the whole of it
from shieldwall.server.processes.late_collections import spare_collections  # before all that is loaded to stay

# isort: split

from shieldwall.server.configuration import settings
from shieldwall.server.gateway.composition import open_gateway
from shieldwall.server.listening.listener import Listener
from shieldwall.server.processes.beginning import run_process


async def serve(data: Path, port: int | None = None) -> None:
    """Serve until SIGINT or SIGTERM, on the port of the settings or another: a machine may run several gateways."""
    asked = stop_signal()
    found = settings.load(data)
    if port is not None:
        found = replace(found, gateway_port=port)
    with open_gateway(found, monotonic=monotonic) as gateway:
        listener = Listener(
            address=found.listen, port=found.gateway_port, certificate=found.tls_certificate, key=found.tls_key
        )
        spare_collections()
        async with gateway.running():
            structlog.get_logger().info("gateway_listens", address=found.listen, port=found.gateway_port)
            await listener.serve(gateway.application, Interfaces.RSGI, lambda: gateway.until(asked))


def let_others_finish() -> None:
    """Let threads of this process that wake up wait until whoever runs has done its piece (``SCHED_BATCH``, sched(7)).

    Listener, loop and writer wake each other several times for one check-in. Who comes between waits for the
    interpreter mostly, and leaves cold caches behind. Whatever else an administrator chose stays.
    """
    with suppress(OSError):  # a sandbox may forbid it: then each check-in is dearer, no more
        if os.sched_getscheduler(0) == os.SCHED_OTHER:
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def stop_signal() -> asyncio.Event:
    """Return what is set when somebody asks this process to end."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked.set)
    return asked


def _run() -> None:
    let_others_finish()  # first, as threads take it from the one that starts them
    uvloop.run(serve(Path(sys.argv[1]), *map(int, sys.argv[2:3])))


if __name__ == "__main__":
    run_process("gateway", _run)
