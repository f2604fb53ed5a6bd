"""Requests that nobody thought of: no failure, no status and no answer that the description does not name.

The short form asks a few times for every operation of beta, which has the handlers of v1.0 too; ``make fuzz`` asks
hundreds of times for all. Both begin from the same seed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Final

import pytest
from tests.support.admin import create_admin_world
from tests.support.api_fuzzing import Fuzzing
from tests.support.api_seeds import Seeds
from tests.support.described import described
from tests.support.second_tenant import with_second_tenant

from shieldwall.server.access.permissions import PERMISSIONS
from shieldwall.server.graph.absent_collections import ABSENT
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.tables.schema import metadata

EXAMPLES: Final = int(os.environ.get("FUZZ_EXAMPLES", "3"))
PREFIXES: Final = ("/",) if EXAMPLES > 3 else ("/beta/", "/healthz", "/readyz", "/openapi.json")
NOT_ASKED: Final = {
    "ping": "sends a request to another server",
    "redeliver": "sends a request to another server",
    "subscriptions": "asks another server whether it wants to be notified",
    "$batch": "is made of the other operations; its own rules are tested by hand",
}
"""Last segments of paths, and why nobody asks for them at random."""


LOOKS_AT_NO_QUERY: Final = tuple(ABSENT)
"""Collections that are always empty: whatever is asked of nothing, the answer is the same."""


@pytest.fixture(scope="module")
def fuzzing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzing]:
    folder = tmp_path_factory.mktemp("fuzzed")
    database = Database.at(folder / "shieldwall.db")
    with database.write() as connection:
        metadata.create_all(connection)
    with with_second_tenant(database):
        world = create_admin_world(database, folder / "data")
        client = world.application_client(*PERMISSIONS)
        yield Fuzzing(
            world=world,
            token=client.headers["Authorization"].removeprefix("Bearer "),
            seeds=Seeds(world, client),
            document=described(world.framework).document,
            examples=EXAMPLES,
        )
        client.close()
    database.close()


@pytest.mark.timeout(0 if EXAMPLES > 3 else 1_200)  # a hundred seconds, or many times that where others work as well
@pytest.mark.parametrize("asking", [Fuzzing.as_allowed, Fuzzing.with_anything, Fuzzing.as_forbidden])
def test_whatever_is_asked_is_answered_as_described(
    fuzzing: Fuzzing, asking: Callable[[Fuzzing, str, str], None], subtests: pytest.Subtests
) -> None:
    for method, path in fuzzing.operations(PREFIXES):
        of_nothing = asking is Fuzzing.as_forbidden and path.endswith(LOOKS_AT_NO_QUERY)
        if path.rpartition("/")[2] not in NOT_ASKED and not of_nothing:
            with subtests.test(f"{method.upper()} {path}"):
                asking(fuzzing, method, path)
