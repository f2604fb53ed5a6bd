from __future__ import annotations

import json
import subprocess
import sys

PROGRAM = """
import logging
import structlog
from shieldwall.server.observability import log_as_json

log_as_json("test")

def fail(secret):
    raise RuntimeError("it broke")

structlog.get_logger().info("said", request_id="r-1", path="\\x1b[31m\\n/x")
logging.getLogger("somebody.else").warning("old ways")
for log in (structlog.get_logger(), logging.getLogger("somebody.else")):
    try:
        fail("swordfish")
    except RuntimeError:
        log.exception("failed")
"""


def test_every_event_is_one_json_line_and_no_local_variable_is_in_it() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)

    assert done.stdout == ""
    assert "swordfish" not in done.stderr
    said, old, *failed = [json.loads(line) for line in done.stderr.splitlines()]
    assert (said["event"], said["process"], said["level"], said["request_id"]) == ("said", "test", "info", "r-1")
    assert (old["event"], old["level"]) == ("old ways", "warning")
    assert [each["exception"][0]["exc_value"] for each in failed] == ["it broke", "it broke"]


def test_a_log_that_finds_no_room_ends_nothing() -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        done = subprocess.run(
            [sys.executable, "-c", f"{PROGRAM}\nprint('went on')"], check=True, stdout=subprocess.PIPE, stderr=full
        )
    assert done.stdout == b"went on\n"


HOSTILE = "\u202egnp.exe \x1b[31m =cmd() '; DROP TABLE devices; -- <script> \U0001f600 \r\nforged line \u2028 end"


def test_what_a_device_calls_itself_stays_on_its_line_and_steers_nothing() -> None:
    program = (
        "import structlog\n"
        "from shieldwall.server.observability import log_as_json\n"
        "log_as_json('test')\n"
        f"structlog.get_logger().warning('said', name={HOSTILE!a})\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    line = done.stderr.decode()
    assert line.count("\n") == 1
    assert not {"\x1b", "\u202e", "\u2028", "\r"} & set(line)
    assert json.loads(line)["name"] == HOSTILE
