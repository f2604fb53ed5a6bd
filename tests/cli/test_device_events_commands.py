"""``shieldwall device events`` against a real server: the newest first, of this device alone, safe on a terminal."""

from __future__ import annotations

import pytest
from tests.cli.test_machine_commands import added
from tests.support.command_line import CommandLine

from shieldwall.contract.ids import DeviceId
from shieldwall.server.configuration.settings import load
from shieldwall.server.main import open_services
from shieldwall.server.storage.devices import device_events
from shieldwall.server.storage.devices.device_events import EventRecord


def tell(line: CommandLine, device_id: str, *titles: str) -> None:
    with open_services(load(line.data)) as services, services.database.write() as connection:
        now = services.clock.now()
        events = [
            EventRecord(
                id=services.new_id(),
                tenant_id=services.tenant.id,
                device_id=DeviceId(device_id),
                at=now.replace(microsecond=number * 1_000),
                received_at=now,
                kind="malware.blocked",
                severity="high",
                title=title,
                subject="Test.Marker",
                details='{"path":"/srv/x"}',
            )
            for number, title in enumerate(titles)
        ]
        device_events.add_new(connection, DeviceId(device_id), events)


@pytest.fixture(scope="module")
def told(shieldwall: CommandLine) -> CommandLine:
    tell(shieldwall, added(shieldwall, 171, "eventful"), "first", "\x1b[31mred", "last")
    tell(shieldwall, added(shieldwall, 172, "other"), "of another device")
    added(shieldwall, 173, "quiet")
    return shieldwall


def test_the_newest_come_first_and_only_of_this_device(told: CommandLine) -> None:
    found = told.json("device", "events", "eventful", "--json")
    assert [each["title"] for each in found] == ["last", "\x1b[31mred", "first"]
    assert {each["deviceName"] for each in found} == {"eventful"}
    assert len(told.json("device", "events", "eventful", "--most", "2", "--json")) == 2

    shown = told("device", "events", "eventful").stdout
    assert "Test.Marker" in shown
    assert "/srv/x" in shown
    assert "\x1b" not in shown
    assert "of another device" not in shown


def test_a_quiet_device_says_so_and_an_unknown_one_is_named(told: CommandLine) -> None:
    assert "Nothing was told." in told("device", "events", "quiet").stdout
    assert "nobody-knows-it" in told("device", "events", "nobody-knows-it", status=1).stderr
