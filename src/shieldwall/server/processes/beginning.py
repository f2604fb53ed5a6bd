"""How a process of the server begins, and how what ends it is said: in the log, as everything else is."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import NoReturn

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.observing.observability import log_as_json
from shieldwall.server.plain_logging import structlog
from shieldwall.server.storage.engine import failed_syncs


def run_process(name: str, serve: Callable[[], None]) -> NoReturn:
    """Serve as the process of this name until told to end, and exit; with status 1 where it failed."""
    os.umask(0o077)
    log_as_json(name)
    failed_syncs.end_process_on_failure()
    log = structlog.get_logger("shieldwall.server")
    try:
        serve()
    except ShieldwallError as error:
        log.critical("process_failed", code=error.code, cause=error.cause, remedy=error.advice)
        sys.exit(1)
    except Exception:
        log.critical("process_failed", exc_info=True)
        sys.exit(1)
    sys.exit(0)
