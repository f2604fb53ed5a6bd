"""``python -m shieldwall.server.processes.admin_process DATA``: what administrators and their tools talk to."""

from __future__ import annotations

import sys
from pathlib import Path
from time import monotonic

import uvloop
from granian.constants import Interfaces

from shieldwall.server.plain_logging import structlog  # before all that would load the whole of it
from shieldwall.server.processes.late_collections import spare_collections  # before all that is loaded to stay

# isort: split

from shieldwall.server import main
from shieldwall.server.configuration import settings
from shieldwall.server.listening.listener import Listener
from shieldwall.server.listening.one_thread import give_requests_their_threads
from shieldwall.server.processes.beginning import run_process
from shieldwall.server.processes.gateway_process import stop_signal


async def serve(data: Path) -> None:
    """Serve until SIGINT or SIGTERM."""
    asked = stop_signal()
    found = settings.load(data)
    with main.open_admin(found, monotonic=monotonic) as admin:
        listener = Listener(
            address=found.listen, port=found.public_port, certificate=found.tls_certificate, key=found.tls_key
        )
        async with admin.running():
            spare_collections()
            structlog.get_logger().info("admin_listens", address=found.listen, port=found.public_port)

            async def until() -> None:
                await asked.wait()
                admin.watching.end()  # or the pages that are open would be waited for

            await listener.serve(admin.application, Interfaces.ASGI, until)


def begin(data: Path) -> None:
    """Serve on a loop of its own."""
    give_requests_their_threads()
    uvloop.run(serve(data))


if __name__ == "__main__":
    run_process("admin", lambda: begin(Path(sys.argv[1])))
