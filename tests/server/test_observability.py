from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from shieldwall.contract.ids import TenantId
from shieldwall.server.configuration.settings import ServerSettings, resolved
from shieldwall.server.configuration.settings_file import SettingsFile
from shieldwall.server.observing.observability import new_registry
from shieldwall.server.observing.replacements import Cause, count_one
from shieldwall.server.observing.upkeep import Upkeep, noted
from shieldwall.trust.certificates import SERVER_DAYS, LocalAuthority

PROGRAM = """
import logging
import structlog
from shieldwall.server.observing.observability import log_as_json

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


def test_a_warning_that_is_repeated_at_once_takes_one_line() -> None:
    program = (
        "import structlog\n"
        "from shieldwall.server.observing.observability import log_as_json\n"
        "log_as_json('test')\n"
        "for _ in range(9):\n"
        "    structlog.get_logger().warning('events_not_read', cause='No database.')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    (said,) = [json.loads(line) for line in done.stderr.splitlines()]
    assert (said["event"], said["cause"], said["level"]) == ("events_not_read", "No database.", "warning")


HOSTILE = "\u202egnp.exe \x1b[31m =cmd() '; DROP TABLE devices; -- <script> \U0001f600 \r\nforged line \u2028 end"


def test_what_a_device_calls_itself_stays_on_its_line_and_steers_nothing() -> None:
    program = (
        "import structlog\n"
        "from shieldwall.server.observing.observability import log_as_json\n"
        "log_as_json('test')\n"
        f"structlog.get_logger().warning('said', name={HOSTILE!a})\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)

    line = done.stderr.decode()
    assert line.count("\n") == 1
    assert not {"\x1b", "\u202e", "\u2028", "\r"} & set(line)
    assert json.loads(line)["name"] == HOSTILE


NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def settings_in(data: Path) -> ServerSettings:
    (data / "run").mkdir()
    (data / "tls").mkdir()
    return resolved(
        data,
        SettingsFile(
            tenant_id=TenantId("00000000-0000-4000-8000-00000000000a"),
            database="sqlite:///x",
            public_port=8443,
            gateway_port=8444,
        ),
    )


def replaced(registry: CollectorRegistry, cause: Cause) -> float | None:
    return registry.get_sample_value("shieldwall_processes_replaced_total", {"cause": cause.value})


def test_who_was_replaced_is_told_by_all_processes_of_a_server_and_by_those_that_come(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    before = new_registry(settings)
    assert [replaced(before, cause) for cause in Cause] == [0, 0], "or nobody would see the first one"

    for cause in (Cause.FAILED_SYNC, Cause.KILLED, Cause.KILLED):
        count_one(settings.run, cause)

    for registry in (before, new_registry(settings)):
        assert replaced(registry, Cause.FAILED_SYNC) == 1
        assert replaced(registry, Cause.KILLED) == 2


def test_where_nothing_can_be_counted_the_one_who_counts_goes_on(tmp_path: Path) -> None:
    count_one(tmp_path / "gone", Cause.FAILED_SYNC)
    assert not (tmp_path / "gone").exists()


def kept_up(registry: CollectorRegistry, upkeep: Upkeep) -> tuple[float | None, float | None]:
    labels = {"upkeep": upkeep.value}
    return (
        registry.get_sample_value("shieldwall_upkeep_failures_total", labels),
        registry.get_sample_value("shieldwall_upkeep_done_timestamp_seconds", labels),
    )


def test_whether_what_is_due_was_done_is_told_by_those_that_come_too(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    both, plain = new_registry(settings, (Upkeep.HISTORY,)), new_registry(settings)
    assert kept_up(both, Upkeep.BACKUP) == (0, None), "somebody may take backups by other means"
    assert kept_up(both, Upkeep.HISTORY) == (0, 0), "who is to keep it and never did is told of"
    assert kept_up(plain, Upkeep.HISTORY) == (None, None)

    for upkeep in Upkeep:
        with pytest.raises(ValueError, match="full"), noted(settings.run, upkeep):
            raise ValueError("full")
        with pytest.raises(KeyboardInterrupt), noted(settings.run, upkeep):
            raise KeyboardInterrupt
    assert (kept_up(both, Upkeep.BACKUP), kept_up(both, Upkeep.HISTORY)) == ((1, None), (1, 0))

    with noted(settings.run, Upkeep.BACKUP):
        pass
    os.utime(settings.run / "done-backup", (1_000, 1_000))
    assert kept_up(new_registry(settings), Upkeep.BACKUP) == (1, 1_000)
    (settings.run / "done-backup").chmod(0)
    with noted(settings.run, Upkeep.BACKUP):
        pass
    assert (kept_up(both, Upkeep.BACKUP)[1] or 0) > 1_000


def test_the_end_is_told_of_the_certificate_that_is_shown(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    name = "shieldwall_certificate_end_timestamp_seconds"
    assert new_registry(settings).get_sample_value(name) is None

    chain, _ = LocalAuthority.create(NOW).issue_server(["localhost"], NOW)
    settings.tls_certificate.write_text(chain)
    shown = new_registry(settings)
    settings.tls_certificate.write_text("another one, which nobody shows before a restart")

    assert shown.get_sample_value(name) == (NOW + timedelta(days=SERVER_DAYS)).timestamp()
