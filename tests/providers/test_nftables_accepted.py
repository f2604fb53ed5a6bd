"""A table that nft took is not checked again at every look, until one is loaded or an hour has gone."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from tests.support.memory_host import MemoryHost

from shieldwall.agent.host.ports import Completed
from shieldwall.agent.providers.nftables.checking import Accepted


class Checking(MemoryHost):
    """A machine whose nft takes every table or none."""

    def __init__(self) -> None:
        super().__init__(programs={"nft": self.nft})
        self.checks = 0
        self.is_fine = True

    def nft(self, words: Sequence[str], stdin: bytes) -> Completed:
        assert (tuple(words), stdin) != ((), b"")
        self.checks += 1
        return Completed(returncode=0 if self.is_fine else 1, stdout=b"", stderr=b"no")


@pytest.fixture
def host() -> Checking:
    return Checking()


def test_the_same_table_is_checked_once(host: Checking) -> None:
    accepted = Accepted(monotonic=lambda: 0.0)

    assert all(accepted.takes(host, "table") for _ in range(3))
    assert host.checks == 1
    assert accepted.takes(host, "another")
    assert host.checks == 2


def test_a_table_that_was_refused_is_checked_every_time(host: Checking) -> None:
    accepted = Accepted(monotonic=lambda: 0.0)
    host.is_fine = False

    assert not any(accepted.takes(host, "table") for _ in range(2))
    assert host.checks == 2
    host.is_fine = True
    assert accepted.takes(host, "table")


def test_after_a_load_and_after_an_hour_it_is_checked_again(host: Checking) -> None:
    now = [0.0]
    accepted = Accepted(monotonic=lambda: now[0])
    assert accepted.takes(host, "table")

    host.is_fine = False
    now[0] = 3599.0
    assert accepted.takes(host, "table")
    now[0] = 3601.0
    assert not accepted.takes(host, "table")

    host.is_fine = True
    assert accepted.takes(host, "table")
    accepted.forget()
    host.is_fine = False
    assert not accepted.takes(host, "table")
