"""Reports are read one after the other: however many devices say much, nobody needs memory for all of it at once."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection
from tests.manager.test_statuses import reports, to_all, told
from tests.support.manager_world import CLOUD, World
from tests.support.samples import TENANT_ID

from shieldwall.contract.status import SettingState
from shieldwall.server.manager.policy_devices import DevicesWanted, devices_wanted
from shieldwall.server.manager.policy_reports import states_of_policy
from shieldwall.server.manager.standing import standing_of_fleet
from shieldwall.server.manager.statuses import policy_counts, policy_devices
from shieldwall.server.manager.summaries import summaries
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.records import Page, Policy

DEVICES = 64
MUCH: Any = [[] for _ in range(2_000)]
"""Said in six thousand bytes, twenty times as many once it is read."""
MOST_BYTES = 3 * 1024 * 1024

Asked = Callable[[World, Connection, Policy], object]


def _wanted(world: World, connection: Connection, policy: Policy, state: SettingState | None) -> object:
    wanted = DevicesWanted(state=state)
    return devices_wanted(connection, world.catalog, TENANT_ID, policy.id, wanted=wanted, page=Page(size=DEVICES))


ASKED: dict[str, Asked] = {
    "counts": lambda world, connection, policy: policy_counts(connection, world.catalog, TENANT_ID, policy.id),
    "a page": lambda world, connection, policy: policy_devices(
        connection, world.catalog, TENANT_ID, policy.id, Page(size=DEVICES)
    ),
    "states": lambda world, connection, policy: states_of_policy(connection, world.catalog, TENANT_ID, policy.id),
    "in a state": lambda world, connection, policy: _wanted(world, connection, policy, SettingState.ERROR),
    "in any state": lambda world, connection, policy: _wanted(world, connection, policy, None),
    "the fleet": lambda world, connection, _: standing_of_fleet(connection, world.catalog, TENANT_ID),
    "summaries": lambda _, connection, __: summaries(
        connection, devices.list_devices(connection, TENANT_ID, Page(size=DEVICES))
    ),
}


def test_devices_that_say_much_need_memory_one_after_the_other(world: World) -> None:
    most: dict[str, int] = {}
    with world.database.write() as connection:
        policy = to_all(world, connection)
        joined = [world.join(connection, number + 1) for number in range(DEVICES)]
        for ask in ASKED.values():
            ask(world, connection, policy)  # what is loaded and remembered once does not count
        for device in joined:
            reports(connection, device, told(CLOUD, SettingState.ERROR, value=MUCH, reason=f"Device {device}"))
    with world.database.read() as connection:
        for name, ask in ASKED.items():
            tracemalloc.start()
            try:
                ask(world, connection, policy)
                _, most[name] = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()

    assert {name for name, size in most.items() if size >= MOST_BYTES} == set(), most
