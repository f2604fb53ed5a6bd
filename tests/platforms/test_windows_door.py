"""The applier behind named pipes: the same server, whoever carries the bytes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.platforms.pretend_pipes import PretendPipes

from shieldwall.agent.applier import protocol
from shieldwall.agent.applier.ports import Asker
from shieldwall.agent.applier.refusals import StrangerError
from shieldwall.agent.applier.server import Server
from shieldwall.agent.service.remote_applier import SocketApplier
from shieldwall.agent.windows.door import MOST_PIPES, PipeDoor
from shieldwall.agent.windows.identities import (
    AGENT_NUMBER,
    STRANGER_NUMBER,
    directory_sddl,
    number_of,
    pipe_sddl,
    service_sid,
)


@contextmanager
def serving(pipes: PretendPipes) -> Iterator[list[tuple[Any, Asker]]]:
    asked: list[tuple[Any, Asker]] = []

    def answer(request: protocol.Request, asker: Asker) -> protocol.Answer:
        asked.append((request, asker))
        return protocol.Done()

    door = PipeDoor(pipes, lambda *_, **__: None)
    server = Server(
        listener=door,
        answer=answer,
        may_ask=frozenset({0, AGENT_NUMBER}),
        monotonic=time.monotonic,
        say=lambda *_, **__: None,
        peer=door.peer,
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    door.open()
    try:
        yield asked
    finally:
        server.stop()
        thread.join(10)
        door.close()
    assert not thread.is_alive()


def asking(pipes: PretendPipes) -> SocketApplier:
    return SocketApplier(Path(r"\\.\pipe\shieldwall-applier"), patience_seconds=10, dial=pipes.dial)


@pytest.mark.parametrize("number", [0, AGENT_NUMBER])
def test_administrators_and_the_agent_are_answered_and_told_apart(number: int) -> None:
    pipes = PretendPipes(number)
    with serving(pipes) as asked:
        ask = asking(pipes)
        answers = [ask(protocol.Refresh()) for _ in range(3)]
        ask.close()

    assert answers == [protocol.Done()] * 3
    assert {asker.uid for _, asker in asked} == {number}


def test_a_stranger_hears_why_and_nothing_else() -> None:
    pipes = PretendPipes(STRANGER_NUMBER)
    with serving(pipes) as asked:
        ask = asking(pipes)
        with pytest.raises(StrangerError):
            ask(protocol.Refresh())
        ask.close()

    assert asked == []


def test_large_requests_go_through_whole() -> None:
    pipes = PretendPipes()
    with serving(pipes) as asked:
        ask = asking(pipes)
        long = protocol.Events(acknowledged="a" * 32)
        assert ask(long) == protocol.Done()
        ask.close()

    assert asked[0][0] == long


def test_many_clients_come_at_once() -> None:
    pipes = PretendPipes(AGENT_NUMBER)
    with serving(pipes) as asked:
        clients = [asking(pipes) for _ in range(12)]
        threads = [threading.Thread(target=client, args=(protocol.Refresh(),)) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        for client in clients:
            client.close()

    assert len(asked) == 12


def test_a_door_that_was_closed_takes_nobody_from_the_next_one() -> None:
    pipes = PretendPipes()
    for _ in range(200):  # a service that is stopped and started anew, as often as it takes to see two doors at once
        with serving(pipes) as asked:
            assert sum(each.name == "door" for each in threading.enumerate()) == 1
            ask = asking(pipes)
            assert ask(protocol.Refresh()) == protocol.Done()
            ask.close()
        assert len(asked) == 1


def test_a_door_closes_though_every_pipe_is_taken() -> None:
    pipes = PretendPipes()
    door = PipeDoor(pipes, lambda *_, **__: None)
    door.open()
    clients = [pipes.dial(Path("pipe"), 10) for _ in range(MOST_PIPES)]
    try:
        for client in clients:
            client.sendall(b"\0")
        while pipes.is_somebody_waiting:
            time.sleep(0.001)
        closing = threading.Thread(target=door.close)
        closing.start()
        closing.join(10)
        assert not closing.is_alive()
        assert [client.recv(1) for client in clients] == [b""] * MOST_PIPES
    finally:
        for client in clients:
            client.close()


def test_a_service_has_the_sid_that_windows_gives_it() -> None:
    # Known to everybody who looked at the owner of a system file: that of TrustedInstaller.
    assert service_sid("TrustedInstaller") == ("S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464")
    assert service_sid("trustedinstaller") == service_sid("TRUSTEDINSTALLER")


def test_nobody_but_the_system_makes_instances_of_the_pipe() -> None:
    sddl = pipe_sddl()

    assert "(D;;GA;;;NU)" in sddl, "nobody comes over the network"
    rights = [ace.split(";")[2] for ace in sddl.split("(")[1:] if ace.startswith("A;") and ";;;SY)" not in ace]
    assert len(rights) == 2
    assert all(int(right, 16) & 0x4 == 0 for right in rights)
    assert all(int(right, 16) & 0x3 == 0x3 for right in rights)


def test_the_agent_uses_its_own_directory_and_not_the_appliers() -> None:
    agent = service_sid("ShieldwallAgent")

    assert agent in directory_sddl(agent_may="FA")
    assert agent not in directory_sddl()


def test_whoever_is_an_administrator_asks_as_one() -> None:
    assert number_of(is_administrator=True, is_agent=True) == 0
    assert number_of(is_administrator=False, is_agent=True) == AGENT_NUMBER
    assert number_of(is_administrator=False, is_agent=False) == STRANGER_NUMBER
