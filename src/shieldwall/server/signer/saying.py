"""How the signer and its door speak: one JSON line an event, as other processes of a server do, with little loaded."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Final

import msgspec

_PLAIN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""What every record has; whatever else there is was handed over in ``extra``."""


class JsonLines(logging.Formatter):
    """Writes a record as one line."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process: Final = process

    def format(self, record: logging.LogRecord) -> str:
        """Write what was said, and what was handed over in ``extra``."""
        told = {name: str(value) for name, value in vars(record).items() if name not in _PLAIN}
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        line = told | {
            "event": record.getMessage(),
            "process": self._process,
            "level": record.levelname.lower(),
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat().replace("+00:00", "Z"),
        }
        return msgspec.json.encode(line).decode()


def log_as_json(process: str) -> None:
    """Write every event of this process on standard error. Call once, first thing."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(process))
    logging.basicConfig(handlers=[handler], level=logging.INFO, force=True)
