"""``shieldwall webhook`` and ``shieldwall server audit``, with a real server that tells real receivers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.support.command_line import CommandLine, running_server, serving
from tests.support.receivers import Asked, Receiver, answering, authority, receiving
from tests.support.rfc5424 import parse
from tests.support.samples import counted_id

from shieldwall.cli.moments import InvalidMomentError, parsed_moment

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@dataclass
class Telling:
    line: CommandLine
    receiver: Receiver
    archive: Path

    def types(self) -> list[str]:
        return [json.loads(asked.body)["type"] for asked in self.receiver.seen]


@pytest.fixture(scope="module")
def telling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Telling]:
    folder = tmp_path_factory.mktemp("telling")
    (folder / "receivers.pem").write_text(authority().certificate)
    settings = {
        "outgoing": {"loopback": True, "certificateAuthority": str(folder / "receivers.pem")},
        "auditStreams": [{"kind": "file", "name": "archive", "path": str(folder / "audit.jsonl")}],
    }
    with receiving(folder) as receiver, running_server(folder, **settings) as line:
        yield Telling(line, receiver, folder / "audit.jsonl")


def until(happened: Callable[[], bool]) -> None:
    for _ in range(300):
        if happened():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen in thirty seconds")


def test_a_webhook_from_its_first_day_to_its_last(telling: Telling) -> None:
    line, receiver = telling.line, telling.receiver
    made = line("webhook", "create", "Tickets", "--url", receiver.url, "--event", "group.*").stdout
    assert "whsec_" in made
    assert "not shown again" in made
    assert "Delivered: 204" in line("webhook", "test", "Tickets").stdout

    line("group", "create", "Web servers")
    until(lambda: "group.created" in telling.types())
    until(lambda: bool(line.json("webhook", "show", "Tickets", "--json")["deliveries"]))
    shown = line.json("webhook", "show", "Tickets", "--json")
    assert "secret" not in shown
    (delivery,) = shown["deliveries"]
    assert (delivery["eventType"], delivery["state"]) == ("group.created", "succeeded")
    for words in (("webhook", "list"), ("webhook", "show", "Tickets")):
        assert receiver.url in line(*words).stdout
        assert "whsec_" not in line(*words).stdout

    again = line("webhook", "redeliver", "Tickets", delivery["id"]).stdout
    assert "Delivered" in again
    assert telling.types().count("group.created") == 2

    rotated = line.json("webhook", "rotate-secret", "Tickets", "--overlap-hours", "1", "--json")
    assert rotated["secret"] not in made
    changed = line("webhook", "change", "Tickets", "--name", "Desk", "--event", "*", "--off").stdout
    assert "Desk: switched off" in changed
    line("webhook", "delete", "Desk", "--yes")
    assert "Nobody is told" in line("webhook", "list").stdout


def test_what_goes_wrong_is_said_plainly(telling: Telling) -> None:
    line, receiver = telling.line, telling.receiver
    assert "https" in line("webhook", "create", "Bad", "--url", "ftp://x.example/", status=1).stderr
    assert "alert.raised" in line("webhook", "create", "Bad", "--url", receiver.url, "--event", "x", status=1).stderr
    assert "no webhook named" in line("webhook", "show", "Nobody", status=1).stderr
    line("webhook", "create", "Broken", "--url", receiver.url, "--event", "nothing.*")
    assert "Nothing would change" in line("webhook", "change", "Broken", status=1).stderr
    receiver.behaviour = answering(500)
    assert "answered 500" in line("webhook", "test", "Broken", status=1).stderr
    receiver.behaviour = answering(204)
    assert "no event" in line("webhook", "redeliver", "Broken", counted_id("c", 1), status=1).stderr
    line("webhook", "delete", "Broken", status=1, stdin="n\n")
    line("webhook", "delete", "Broken", "--yes")


def test_killed_after_a_delivery_the_server_tells_it_again_and_loses_nothing(tmp_path: Path) -> None:
    """The receiver has the event and kills the server before that can write its cursor; the next one starts there."""
    (tmp_path / "receivers.pem").write_text(authority().certificate)
    outgoing = {"loopback": True, "certificateAuthority": str(tmp_path / "receivers.pem")}
    log = tmp_path / "server.log"

    async def killing(asked: Asked, writer: asyncio.StreamWriter) -> None:
        started = [json.loads(line) for line in log.read_text().splitlines() if '"process_started"' in line]
        os.kill(next(each["pid"] for each in started if each["name"] == "admin"), signal.SIGKILL)
        await answering(204)(asked, writer)

    with receiving(tmp_path, killing) as receiver:
        with running_server(tmp_path, outgoing=outgoing) as line:
            line("webhook", "create", "Tickets", "--url", receiver.url, "--event", "group.*")
            line("group", "create", "First")
            until(lambda: bool(receiver.seen))
        receiver.behaviour = answering(204)
        with serving(line, tmp_path / "again.log"):
            line("group", "create", "Second")
            until(lambda: len(receiver.seen) >= 3)
            shown = line.json("webhook", "show", "Tickets", "--json")
    names = [json.loads(asked.body)["data"]["details"]["name"] for asked in receiver.seen]
    assert names == ["First", "First", "Second"]
    assert receiver.seen[0].headers["webhook-id"] == receiver.seen[1].headers["webhook-id"]
    assert shown["failures"] == 0


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(each) for each in text.splitlines()]


def test_the_audit_trail_is_shown_on_the_console_and_streamed_to_a_file(telling: Telling) -> None:
    line, data = telling.line, ("--data", str(telling.line.data))
    line("group", "create", "Streamed")
    until(lambda: telling.archive.exists() and "Streamed" in telling.archive.read_text())

    shown = lines(line("server", "audit", *data, "--since", "1h", "--json").stdout)
    streamed = lines(telling.archive.read_text())
    assert [each["id"] for each in shown][-1] == [each["id"] for each in streamed][-1]
    assert shown[-1] == streamed[-1]
    assert shown[-1]["type"] == "group.created"
    for each in line("server", "audit", *data, "--syslog").stdout.splitlines():
        assert parse(each.encode()).facility == 13
    assert "group.created" in line("server", "audit", *data).stdout
    assert line("server", "audit", *data, "--since", "2126-01-01").stdout == ""
    assert "no moment" in line("server", "audit", *data, "--since", "yesterday", status=1).stderr
    assert "one form" in line("server", "audit", *data, "--json", "--syslog", status=1).stderr


def test_moments_are_read_in_two_ways() -> None:
    assert parsed_moment("90m", NOW) == NOW - timedelta(minutes=90)
    assert parsed_moment("2026-11-20", NOW) == datetime(2026, 11, 20, tzinfo=UTC)
    assert parsed_moment("2026-11-20T10:00:00+02:00", NOW) == datetime(2026, 11, 20, 8, tzinfo=UTC)
    for text in ("", "0h", "1w", "-1d", "soon", "2026-13-01"):
        with pytest.raises(InvalidMomentError):
            parsed_moment(text, NOW)
