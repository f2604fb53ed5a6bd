"""A program that writes without end through a group commit, and prints each number once it was acknowledged."""

from __future__ import annotations

import asyncio
import os
import sys

from sqlalchemy import Connection
from tests.support.samples import a_tenant, counted_id

from shieldwall.server.storage.check_ins.group_commit import GroupCommit
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.tenants import tenants

_WRITERS = 8


async def write(group_commit: GroupCommit, first: int) -> None:
    number = first
    while True:

        def work(connection: Connection, number: int = number) -> None:
            tenants.add(connection, a_tenant(id=counted_id("1", number), domain=f"{number}.example"))

        await group_commit.submit(work)
        os.write(1, b"%d\n" % number)
        number += _WRITERS


async def main(url: str) -> None:
    group_commit = GroupCommit(Database(url))
    await asyncio.gather(*(write(group_commit, first) for first in range(_WRITERS)))


asyncio.run(main(sys.argv[1]))
