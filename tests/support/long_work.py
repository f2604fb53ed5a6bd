"""Waiting for long work of the admin center: generously, for it is done by a thread on a machine that is busy."""

from __future__ import annotations

import time
from typing import Final

import httpx
from tests.support.admin import Client

PATIENCE: Final = 30.0
"""Seconds."""
_PAUSE: Final = 0.02


def finished(client: Client, work: str) -> str:
    """Wait until work is over; return its page."""
    end = time.monotonic() + PATIENCE
    while "Finished" not in (page := client.get(work).text):
        assert time.monotonic() < end, page
        time.sleep(_PAUSE)
    return page


def file_of(client: Client, work: str) -> httpx.Response:
    """Wait for the file that work leaves."""
    end = time.monotonic() + PATIENCE
    while (answer := client.get(f"{work}/file")).status_code != 200:
        assert time.monotonic() < end, client.get(work).text
        time.sleep(_PAUSE)
    return answer
