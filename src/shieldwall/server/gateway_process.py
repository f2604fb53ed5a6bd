"""``python -m shieldwall.server.gateway_process DATA [PORT]``: the process that devices talk to."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from time import monotonic

import structlog
import uvloop
from granian.constants import Interfaces

from shieldwall.server import main, settings
from shieldwall.server.listener import Listener
from shieldwall.server.observability import log_as_json


async def serve(data: Path, port: int | None = None) -> None:
    """Serve until SIGINT or SIGTERM, on the port of the settings or another: a machine may run several gateways."""
    asked = stop_signal()
    found = settings.load(data)
    if port is not None:
        found = replace(found, gateway_port=port)
    with main.open_gateway(found, monotonic=monotonic) as gateway:
        listener = Listener(
            address=found.listen, port=found.gateway_port, certificate=found.tls_certificate, key=found.tls_key
        )
        async with gateway.running():
            structlog.get_logger().info("gateway_listens", address=found.listen, port=found.gateway_port)
            await listener.serve(gateway.application, Interfaces.RSGI, asked.wait)


def stop_signal() -> asyncio.Event:
    """Return what is set when somebody asks this process to end."""
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, asked.set)
    return asked


if __name__ == "__main__":
    os.umask(0o077)
    log_as_json("gateway")
    uvloop.run(serve(Path(sys.argv[1]), *map(int, sys.argv[2:3])))
