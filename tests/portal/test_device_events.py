"""What a device tells, on its page: the newest first, as plain text, for those who may read alerts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.portal.test_device_pages import join
from tests.support.admin import AdminWorld, Client
from tests.support.samples import NOON, TENANT_ID, counted_id

from shieldwall.contract.ids import DeviceId
from shieldwall.server.storage.devices import device_events
from shieldwall.server.storage.devices.device_events import EventRecord


def tell(world: AdminWorld, device: DeviceId, *titles: str) -> None:
    events = [
        EventRecord(
            id=counted_id("e", int(device.rpartition("-")[2], 16) * 100 + number),
            tenant_id=TENANT_ID,
            device_id=device,
            at=NOON + timedelta(minutes=number),
            received_at=NOON,
            kind="malware.blocked",
            severity="high",
            title=title,
            subject="Test.Marker",
            details="{}",
        )
        for number, title in enumerate(titles)
    ]
    with world.writing() as connection:
        device_events.add_new(connection, device, events)


def shown(page: str) -> str:
    return page.partition('id="timeline"')[2].partition("<tbody>")[2].partition("</table>")[0]


def test_the_newest_stand_first_and_only_those_of_the_device(world: AdminWorld, ada: Client) -> None:
    device, other = join(world, 1), join(world, 2)
    tell(world, device, "first", "second")
    tell(world, other, "of another one")

    table = shown(ada.get(f"/devices/{device}/timeline?source=events").text)
    assert table.index("second") < table.index("first")
    assert "of another one" not in table
    assert "Test.Marker" in table
    assert "Nothing of this kind happened yet." in shown(
        ada.get(f"/devices/{join(world, 3)}/timeline?source=events").text
    )


@pytest.mark.parametrize("title", ["<script>alert(1)</script>", '"><img src=x>', "{{ 7 * 7 }}"])
def test_words_of_a_device_are_text(world: AdminWorld, ada: Client, title: str) -> None:
    device = join(world, 1)
    tell(world, device, title)

    table = shown(ada.get(f"/devices/{device}/timeline?source=events").text)
    assert "<script" not in table
    assert "<img" not in table
    assert "{{ 7 * 7 }}" in table or "49" not in table
