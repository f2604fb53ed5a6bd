"""Ports to listen on, for programs that are told theirs before they start.

They lie below those that the system gives to callers, and each process of a test run has its own: between being found
free and being listened on, nobody else takes one.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from itertools import chain
from typing import Final

_FIRST: Final = 20_000
_EACH: Final = 3_000
_PROCESSES: Final = 4


def _own() -> Iterator[int]:
    """The ports of this process, from a place of its own: another test run may be under way beside."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _PROCESSES
    start, begin = _FIRST + worker * _EACH, os.getpid() * 37 % _EACH
    while True:
        yield from chain(range(start + begin, start + _EACH), range(start, start + begin))


_PORTS: Final = _own()


def free_port() -> int:
    """Find a port of the loopback interface that nobody listens on."""
    for port in _PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("there is always a next port")
