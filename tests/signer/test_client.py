"""The line to a signer that is there and says nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.samples import TENANT_ID

from shieldwall.contract import strict_json
from shieldwall.server.signer import wire
from shieldwall.server.signer.client import SignerClient
from shieldwall.server.signer.errors import SignerUnavailableError

SOON = 0.05
ANSWER = strict_json.encode(wire.Granted(result="signed"))


@pytest.fixture
def lines() -> Iterator[list[socket.socket]]:
    made: list[socket.socket] = []
    yield made
    for each in made:
        each.close()


def client_of(lines: list[socket.socket], timeout: float) -> SignerClient:
    """A client each of whose connections ends in ``lines``, where one answer lies ready and no other comes."""

    def dial(_patience: float) -> socket.socket:
        ours, theirs = socket.socketpair()
        wire.write_frame(theirs, ANSWER)
        lines.append(theirs)
        return ours

    return SignerClient(Path("nowhere"), timeout=timeout, dial=dial)


def test_a_silent_signer_is_not_asked_once_more(lines: list[socket.socket]) -> None:
    with client_of(lines, SOON) as client:
        assert client.forward(b"{}") == ANSWER

        with pytest.raises(SignerUnavailableError):
            client.for_tenant(TENANT_ID).sign_time("nonce")
        assert len(lines) == 1  # the line it knew was waited on, and no other was opened


def test_who_waits_behind_others_waits_no_longer_than_they_do(lines: list[socket.socket]) -> None:
    with client_of(lines, SOON) as client:
        client._lock.acquire()
        try:
            with pytest.raises(SignerUnavailableError, match="Others wait"):
                client.forward(b"{}")
        finally:
            client._lock.release()
        assert lines == []
