"""A process of the server that fails says why in one line, in JSON, and ends with 1."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROGRAM = """
from shieldwall.server.processes.beginning import run_process
from shieldwall.server.storage.errors import NotFoundError

def serve():
    secret = "swordfish"
    {body}

run_process("test", serve)
"""


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ("pass", 0, None),
        ('raise NotFoundError("No tenant.")', 1, ("notFound", "No tenant.")),
        ('raise RuntimeError("it broke")', 1, ("RuntimeError", "it broke")),
    ],
)
def test_why_a_process_ended_is_one_line_of_the_log(body: str, status: int, told: tuple[str, str] | None) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(body=body)], capture_output=True, text=True, timeout=60, check=False
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]

    assert done.returncode == status
    assert "swordfish" not in done.stderr
    assert len(lines) == (0 if told is None else 1)
    for line in lines:
        assert (line["event"], line["level"], line["process"]) == ("process_failed", "critical", "test")
        raised = line["exception"][0] if "exception" in line else None
        assert told == ((raised["exc_type"], raised["exc_value"]) if raised else (line["code"], line["cause"]))
        assert raised or line["remedy"]
