"""What takes long is read beside questions, which are answered as of now."""

from __future__ import annotations

from threading import Thread

import pytest
from tests.reporting.held import Following
from tests.reporting.test_held_fleets import agree
from tests.support.manager_world import World
from tests.support.samples import TENANT_ID

from shieldwall.server.storage.fleets import fleet_images


def test_questions_are_answered_while_it_is_read_who_is_in_touch(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with world.database.write() as connection:
        world.join(connection, 1)
    following = Following(world)
    following.fleet()
    counted: list[int] = []

    def ask() -> None:
        held = following.reports.current(TENANT_ID)
        devices = None if held is None else held.devices()
        counted.append(-1 if devices is None else devices.counts.devices)

    def meanwhile(*_: object) -> list[str]:
        with world.database.write() as connection:
            world.join(connection, 2)
        asking = Thread(target=ask)
        asking.start()
        asking.join()
        return []

    with monkeypatch.context() as patched:
        patched.setattr(fleet_images, "inactive", meanwhile)
        following.fleet()

    assert counted == [2]
    agree(world, following.fleet())
