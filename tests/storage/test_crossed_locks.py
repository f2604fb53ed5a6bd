"""Two gateways that write to the same rows in another order: none of those that come together is lost by that."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Connection, text, update
from tests.storage.test_group_commit import together
from tests.support.databases import on_postgresql_alone
from tests.support.samples import a_tenant, counted_id

from shieldwall.server.storage.check_ins.group_commit import GroupCommit
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.tables.schema import tenants as table
from shieldwall.server.storage.tenants import tenants

ROUNDS = 2


def touch(connection: Connection, number: int) -> None:
    connection.execute(update(table).where(table.c.id == counted_id("1", number)).values(display_name="touched"))


@on_postgresql_alone
def test_whoever_gives_way_to_another_gateway_is_run_again_and_so_are_all_that_came_with_it(database: Database) -> None:
    with database.write() as connection:
        for number in (1, 2):
            tenants.add(connection, a_tenant(id=counted_id("1", number), domain=f"{number}.example"))
    both_hold_one, rounds = threading.Barrier(2), iter(range(ROUNDS))

    def other_gateway() -> None:
        for _ in range(ROUNDS):
            with database.write() as connection:
                connection.execute(text("SET LOCAL deadlock_timeout = '1min'"))  # so that it is never who gives way
                touch(connection, 2)
                both_hold_one.wait(20)
                touch(connection, 1)

    def first(connection: Connection) -> str:
        connection.execute(text("SET LOCAL deadlock_timeout = '10ms'"))
        touch(connection, 1)
        if next(rounds, None) is not None:
            both_hold_one.wait(20)
        return "first"

    def second(connection: Connection) -> str:
        touch(connection, 2)
        return "second"

    group_commit = GroupCommit(database)
    with ThreadPoolExecutor(1) as others:
        other = others.submit(other_gateway)
        try:
            outcomes = asyncio.run(together(group_commit, [first, second]))
        finally:
            both_hold_one.abort()
            group_commit.close()
        other.result(20)

    assert outcomes == ["first", "second"]
