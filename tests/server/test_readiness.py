"""Who asks whether a process can serve is answered in bounded time, and takes nothing from those it serves."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from shieldwall.server.observing import readiness
from shieldwall.server.observing.readiness import Readiness, ReadinessReport
from shieldwall.server.signer.errors import SignerUnavailableError
from shieldwall.server.storage.engine import migrate
from shieldwall.server.storage.engine.database import Database

PATIENCE = 0.2
LONGEST_SECONDS = 60.0


class Standing:
    """A database and a signer at once, that answer only once they may."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.asked: list[str] = []

    def is_current(self, _database: Database) -> bool:
        self.asked.append("database")
        return self.may_answer.wait(LONGEST_SECONDS)

    def trust_root(self) -> None:
        self.asked.append("signer")


@contextmanager
def standing(patched: pytest.MonkeyPatch) -> Iterator[Standing]:
    made = Standing()
    patched.setattr(migrate, "is_current", made.is_current)
    try:
        yield made
    finally:
        made.may_answer.set()


class Taking:
    """A database that takes what is written."""

    refuses_writes = False


def over(part: Any) -> Readiness:
    return Readiness(database=cast("Database", Taking()), signer=part, patience=PATIENCE)


def test_a_part_that_stands_still_is_named_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with standing(monkeypatch) as part:
        begun = time.monotonic()
        report = asyncio.run(over(part).check())
        assert time.monotonic() - begun < LONGEST_SECONDS / 2
        assert report.shown() == {"status": "notReady", "database": "storageUnavailable", "signer": "ok"}


def test_many_who_ask_take_one_thread_of_a_part_that_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    async def many(asked: Readiness) -> list[ReadinessReport]:
        await asked.check()
        return await asyncio.gather(*(asked.check() for _ in range(20)))

    with standing(monkeypatch) as part:
        reports = asyncio.run(many(over(part)))
        assert {each.parts["database"] for each in reports} == {"storageUnavailable"}
        assert part.asked.count("database") == 1


def test_a_part_that_is_well_again_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def before_and_after(asked: Readiness, part: Standing) -> tuple[bool, bool]:
        before = await asked.check()
        part.may_answer.set()
        await asked.check()  # joins the question that was under way
        return before.is_ready, (await asked.check()).is_ready

    with standing(monkeypatch) as part:
        assert asyncio.run(before_and_after(over(part), part)) == (False, True)


def test_a_question_that_is_never_answered_is_asked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "ASKED_ANEW_SECONDS", 0.0)

    async def twice(asked: Readiness) -> None:
        await asked.check()
        await asked.check()

    with standing(monkeypatch) as part:
        asyncio.run(twice(over(part)))
        assert part.asked.count("database") == 2


def test_what_a_part_says_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    class Away:
        def trust_root(self) -> None:
            raise SignerUnavailableError("It is not there.")

    with standing(monkeypatch) as part:
        part.may_answer.set()
        report = asyncio.run(over(Away()).check())
    assert report.shown() == {"status": "notReady", "database": "ok", "signer": "signerUnavailable"}
