from __future__ import annotations

import asyncio
import time
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from tests.support.receivers import (
    Behaviour,
    Receiver,
    answering,
    authority,
    babbling,
    dribbling,
    endless,
    hanging,
    receiving,
    trusting_receivers,
)

from shieldwall.server.outgoing.client import Answer, Outgoing, trusting
from shieldwall.server.outgoing.errors import ReceiverRefusedError, ReceiverUnreachableError
from shieldwall.server.outgoing.resolving import resolve
from shieldwall.server.outgoing.rules import Address, OutgoingRules

LOOPBACK = IPv4Address("127.0.0.1")


def outgoing(*answers: tuple[Address, ...], loopback: bool = True, trusts: bool = True) -> Outgoing:
    """A client whose resolver gives these answers in turn, the last one for ever."""
    left = list(answers or [(LOOPBACK,)])

    async def resolver(_host: str) -> tuple[Address, ...]:
        return left.pop(0) if len(left) > 1 else left[0]

    return Outgoing(
        rules=OutgoingRules(loopback=loopback),
        resolver=resolver,
        trust=trusting_receivers if trusts else trusting,
    )


def fetch(client: Outgoing, url: str, *, timeout: float = 5.0, max_bytes: int = 1_000) -> Answer:
    call = client.fetch("POST", url, headers={"X-Own": "1"}, body=b"hello", timeout=timeout, max_bytes=max_bytes)
    return asyncio.run(call)


def test_a_receiver_gets_what_was_sent_and_its_answer_comes_back(tmp_path: Path) -> None:
    with receiving(tmp_path, answering(201, b"thanks", Retry_After="7")) as receiver:
        answer = fetch(outgoing(), receiver.url + "?a=b%20c")
    assert (answer.status, answer.body, answer.headers["retry-after"], answer.is_cut) == (201, b"thanks", "7", False)
    (asked,) = receiver.seen
    assert (asked.method, asked.target, asked.body) == ("POST", "/hook?a=b%20c", b"hello")
    assert asked.headers["host"] == f"localhost:{receiver.port}"
    assert asked.headers["x-own"] == "1"
    assert "accept-encoding" not in asked.headers or asked.headers["accept-encoding"] == "identity"


def test_the_connection_goes_to_the_address_that_was_checked(tmp_path: Path) -> None:
    """A second look-up would lead to an address that is off limits; there is none, and the name still stands in TLS."""
    with receiving(tmp_path) as receiver:
        client = outgoing((LOOPBACK,), (IPv4Address("169.254.169.254"),))
        assert fetch(client, f"https://hooks.example:{receiver.port}/").status == 204
        with pytest.raises(ReceiverRefusedError):
            fetch(client, f"https://hooks.example:{receiver.port}/")
    assert [each.headers["host"] for each in receiver.seen] == [f"hooks.example:{receiver.port}"]


def test_this_machine_is_not_asked_unless_that_is_set(tmp_path: Path) -> None:
    with receiving(tmp_path) as receiver, pytest.raises(ReceiverRefusedError):
        fetch(outgoing(loopback=False), receiver.url)
    assert receiver.connections == 0


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "localhost", "0"])
def test_no_spelling_of_this_machine_gets_around_the_rules(host: str) -> None:
    async def resolver(name: str) -> tuple[Address, ...]:
        return resolve(name)

    client = Outgoing(rules=OutgoingRules(), resolver=resolver, trust=trusting)
    with pytest.raises(ReceiverRefusedError):
        fetch(client, f"https://{host}/")


def test_a_certificate_of_nobodys_is_refused(tmp_path: Path) -> None:
    with receiving(tmp_path) as receiver:
        with pytest.raises(ReceiverUnreachableError, match="certificate"):
            fetch(outgoing(trusts=False), receiver.url)
        with pytest.raises(ReceiverUnreachableError, match="other"):
            fetch(outgoing(), f"https://other.example:{receiver.port}/")
    assert receiver.seen == []


def test_an_authority_of_ones_own_can_be_trusted(tmp_path: Path) -> None:
    file = tmp_path / "own.pem"
    file.write_text(authority().certificate)
    with receiving(tmp_path) as receiver:
        client = Outgoing(
            rules=OutgoingRules(loopback=True), resolver=outgoing().resolver, trust=lambda: trusting(file)
        )
        assert fetch(client, receiver.url).status == 204


def test_a_redirect_is_an_answer(tmp_path: Path) -> None:
    with receiving(tmp_path) as other, receiving(tmp_path, answering(302, Location=other.url)) as receiver:
        answer = fetch(outgoing(), receiver.url)
    assert (answer.status, answer.headers["location"]) == (302, other.url)
    assert other.seen == []


@pytest.mark.parametrize("behaviour", [hanging, dribbling])
def test_a_receiver_that_takes_its_time_is_left(tmp_path: Path, behaviour: Behaviour) -> None:
    with receiving(tmp_path, behaviour) as receiver:
        begun = time.monotonic()
        with pytest.raises(ReceiverUnreachableError, match="within"):
            fetch(outgoing(), receiver.url, timeout=0.5)
        assert time.monotonic() - begun < 3


def test_an_endless_answer_is_cut(tmp_path: Path) -> None:
    with receiving(tmp_path, endless) as receiver:
        answer = fetch(outgoing(), receiver.url, max_bytes=1_000)
    assert (answer.status, len(answer.body), answer.is_cut) == (200, 1_000, True)


def test_what_is_no_http_is_no_answer(tmp_path: Path) -> None:
    with receiving(tmp_path, babbling) as receiver, pytest.raises(ReceiverUnreachableError, match="as HTTP"):
        fetch(outgoing(), receiver.url)


def test_the_next_address_is_tried_where_nobody_listens_at_the_first(tmp_path: Path) -> None:
    with receiving(tmp_path) as receiver:
        assert fetch(outgoing((IPv4Address("127.0.0.9"), LOOPBACK)), receiver.url).status == 204
    with pytest.raises(ReceiverUnreachableError, match="cannot be reached"):
        fetch(outgoing(), receiver.url)


def test_plain_http_reaches_this_machine_where_that_is_set(tmp_path: Path) -> None:
    with receiving(tmp_path, plain=True) as receiver:
        assert fetch(outgoing(), receiver.url).status == 204


def test_an_unknown_name_is_unreachable() -> None:
    with pytest.raises(ReceiverUnreachableError, match="cannot be resolved"):
        resolve("no-such-host.invalid")


def test_nothing_of_the_environment_changes_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with receiving(tmp_path) as receiver:
        assert fetch(outgoing(), receiver.url).status == 204
    assert isinstance(receiver, Receiver)
