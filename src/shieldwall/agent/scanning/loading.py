"""Waiting until clamd has loaded the definitions that lie on disk.

``RELOAD`` is answered at once, while the old definitions go on judging. So a signature of a number that nobody has seen
before is put beside the others, and clamd is asked about that number until it knows it: then everything that lay there
with it is loaded as well.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from shieldwall.agent.providers.clamav import client

SECONDS: Final = 300.0
_FILE: Final = "shieldwall-loading.hsb"
_POLL_SECONDS: Final = 0.2


def reload_and_wait(
    address: Path,
    database: Path,
    *,
    monotonic: Callable[[], float],
    sleep: Callable[[float], object],
    number: bytes | None = None,
) -> bool:
    """Have clamd load what lies in ``database``; say whether it did. Raises: OSError when it cannot be asked."""
    seen = b"shieldwall-loading:" + (number or os.urandom(16)).hex().encode()
    path = database / _FILE
    line = f"{hashlib.sha256(seen).hexdigest()}:*:Shieldwall.Loading:73\n".encode()
    path.unlink(missing_ok=True)
    # The directory belongs to clamd's user: nothing that it put there under this name may be followed or kept.
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644), "wb") as file:  # noqa: PTH123
        os.fchmod(file.fileno(), 0o644)
        file.write(line)
    try:
        client.ask(address, "RELOAD")
        deadline = monotonic() + SECONDS
        while monotonic() < deadline:
            with contextlib.suppress(TimeoutError):  # it loads, and answers nobody meanwhile
                if client.ask(address, "INSTREAM", seen).endswith("FOUND"):
                    return True
            sleep(_POLL_SECONDS)
        return False
    finally:
        path.unlink(missing_ok=True)
