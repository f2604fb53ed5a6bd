"""The applier's socket against everybody who may come: strangers, half frames, giant ones, crowds, and the patient."""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shieldwall.agent.applier import connections, protocol
from shieldwall.agent.applier.lanes import MOST_WAITING
from shieldwall.agent.applier.ports import Asker
from shieldwall.agent.applier.protocol import MAX_FRAME_BYTES, Answer, BadFrameError, Request, Standing, read_request
from shieldwall.agent.applier.refusals import LeaveRefusedError, TooMuchWaitsError
from shieldwall.agent.applier.server import BACKLOG, BUSY_SECONDS, MOST_CONNECTIONS, Server
from shieldwall.agent.applier.store import BusyError
from shieldwall.agent.service.errors import ApplierAnswerError, ApplierSilentError
from shieldwall.agent.service.remote_applier import SocketApplier
from shieldwall.contract.ids import SettingId
from shieldwall.contract.messages import Envelope, Signature
from shieldwall.contract.status import SettingState, SettingStatus, StatusReport
from shieldwall.contract.strict_json import encode

SECONDS = 30
NONCE = "ab" * 16
SIGNATURE = Signature(keyid="ab" * 32, sig="")


@dataclass
class Serving:
    """A server in a thread of its own, before a desk that a test decides about."""

    path: Path
    may_ask: frozenset[int] = frozenset({os.geteuid()})
    answering: Callable[[Request], Answer] = lambda _request: Standing(nonce=NONCE)
    askers: list[Asker] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    beats: int = 0
    longest_seconds: float = 900.0
    chores: Callable[[], float] = lambda: 15.0

    def answer(self, request: Request, asker: Asker) -> Answer:
        self.askers.append(asker)
        return self.answering(request)

    def beat(self) -> None:
        self.beats += 1

    @contextmanager
    def running(self) -> Iterator[Server]:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self.path))
        listener.listen(BACKLOG)
        server = Server(
            listener=listener,
            answer=self.answer,
            may_ask=self.may_ask,
            monotonic=time.monotonic,
            say=lambda event, **_facts: self.log.append(event),
            chores=lambda: self.chores(),  # noqa: PLW0108 - a test may exchange it
            beat=self.beat,
            longest_seconds=self.longest_seconds,
        )
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            yield server
        finally:
            server.stop()
            thread.join(SECONDS)
            listener.close()
            assert not thread.is_alive(), "it stops when it is asked to"

    @contextmanager
    def connected(self) -> Iterator[socket.socket]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(SECONDS)
            connection.connect(str(self.path))
            yield connection


@dataclass
class Held:
    """An answer that is begun, and comes when the test says so."""

    started: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def __call__(self, _request: Request) -> Answer:
        self.started.set()
        self.go_on.wait(SECONDS)
        return Standing(nonce=NONCE)


@pytest.fixture
def serving(tmp_path: Path) -> Serving:
    return Serving(path=tmp_path / "applier.sock")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "FRAME_SECONDS", 1.0)
    monkeypatch.setattr(connections, "IDLE_SECONDS", 3.0)


def read(connection: socket.socket) -> Any:
    """Read one answer; ``None`` where the connection was closed."""

    def exactly(count: int) -> bytes | None:
        content = b""
        while len(content) < count:
            try:
                part = connection.recv(count - len(content))
            except ConnectionResetError:
                return None
            if not part:
                return None
            content += part
        return content

    header = exactly(4)
    if header is None:
        return None
    body = exactly(struct.unpack(">I", header)[0])
    return None if body is None else json.loads(body)


def framed(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


def look(connection: socket.socket) -> Any:
    connection.sendall(framed(b'{"verb":"look"}'))
    return read(connection)


def test_a_request_is_answered_and_the_kernel_says_who_asked(serving: Serving) -> None:
    with serving.running(), serving.connected() as connection:
        assert look(connection) == {"answer": "standing", "nonce": NONCE}
        assert look(connection)["answer"] == "standing", "the same connection may ask again"
    assert serving.askers == [Asker(uid=os.geteuid())] * 2


def test_a_stranger_is_told_so_and_never_heard(serving: Serving) -> None:
    serving.may_ask = frozenset({os.geteuid() + 1})
    with serving.running(), serving.connected() as connection:
        with suppress(BrokenPipeError):
            connection.sendall(framed(b'{"verb":"look"}'))
        answer = read(connection)
        assert answer is None or answer["code"] == "notAllowed"
        assert read(connection) is None
    assert serving.askers == []
    assert "strangerRefused" in serving.log


@pytest.mark.parametrize(
    "body",
    [
        b'{"verb":"obey"}',
        b'{"verb":"look","more":1}',
        b'{"verb":"look","verb":"refresh"}',
        b'{"verb":"apply"}',
        b'{"verb":"apply","manifest":{"payload":7}}',
        b'{"verb":"release","package":"yes"}',
        b"[]",
        b"null",
        b"NaN",
        b"\xff\xfe",
        b'{"verb":"look"',
        b"[" * 5000 + b"]" * 5000,
        b'{"verb":"confirm","statement":' + b'{"a":' * 100 + b"1" + b"}" * 100 + b"}",
    ],
)
def test_what_is_no_request_is_refused_and_the_next_one_heard(serving: Serving, body: bytes) -> None:
    with serving.running(), serving.connected() as connection:
        connection.sendall(framed(body))
        assert read(connection)["code"] == "badFrame"
        assert look(connection)["answer"] == "standing"


@pytest.mark.parametrize("length", [0, MAX_FRAME_BYTES + 1, 2**31, 2**32 - 1])
def test_a_frame_of_a_length_that_none_has_ends_the_connection(serving: Serving, length: int) -> None:
    with serving.running(), serving.connected() as connection:
        connection.sendall(struct.pack(">I", length))
        assert read(connection)["code"] == "badFrame"
        assert read(connection) is None
        with serving.connected() as other:
            assert look(other)["answer"] == "standing"


def test_the_longest_frame_is_read(serving: Serving) -> None:
    body = b'{"verb":"look"' + b" " * (MAX_FRAME_BYTES - 15) + b"}"
    assert len(body) == MAX_FRAME_BYTES
    with serving.running(), serving.connected() as connection:
        connection.sendall(framed(body))
        assert read(connection)["answer"] == "standing"


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("part", [b"\x00", b"\x00\x00\x00\x20", b'\x00\x00\x00\x20{"verb":'])
def test_half_a_frame_is_not_waited_for(serving: Serving, part: bytes) -> None:
    with serving.running(), serving.connected() as connection:
        connection.sendall(part)
        begun = time.monotonic()
        assert read(connection) is None
        assert time.monotonic() - begun < 5


@pytest.mark.usefixtures("impatient")
def test_drop_by_drop_is_too_slow(serving: Serving) -> None:
    with serving.running(), serving.connected() as connection:
        connection.sendall(struct.pack(">I", 64))
        begun = time.monotonic()
        with suppress(BrokenPipeError, ConnectionResetError):
            while time.monotonic() - begun < 10:
                connection.send(b" ")
                time.sleep(0.1)
        assert time.monotonic() - begun < 5
    assert serving.askers == []


@pytest.mark.usefixtures("impatient")
def test_who_does_not_take_the_answer_is_left(serving: Serving) -> None:
    serving.answering = lambda _request: Standing(nonce=NONCE, trusted_time="x" * 4_000_000)
    with serving.running() as server, serving.connected() as connection:
        connection.sendall(framed(b'{"verb":"look"}'))
        deadline = time.monotonic() + 10
        while serving.askers == [] or server._open:
            assert time.monotonic() < deadline, "it is closed"
            time.sleep(0.05)


def test_whoever_stays_connected_wakes_nobody(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shieldwall.agent.applier.server.LOOK_SECONDS", 0.01)
    with serving.running(), serving.connected() as connection:
        assert look(connection)["answer"] == "standing"
        before = serving.beats
        time.sleep(0.3)
        assert serving.beats <= before + 1  # the one that came with the answer


@pytest.mark.usefixtures("impatient")
def test_who_says_nothing_for_long_is_closed_and_nobody_else(serving: Serving) -> None:
    with serving.running(), serving.connected() as silent, serving.connected() as talking:
        until = time.monotonic() + 4.5
        while time.monotonic() < until:
            assert look(talking)["answer"] == "standing"
            time.sleep(0.3)
        assert read(silent) is None


def test_a_thousand_connections_are_answered_or_closed_and_one_of_root_gets_through(serving: Serving) -> None:
    with serving.running(), ExitStack() as stack:
        kept = [stack.enter_context(serving.connected()) for _ in range(MOST_CONNECTIONS)]
        assert all(look(connection)["answer"] == "standing" for connection in kept)
        begun = time.monotonic()
        refused = 0
        for _ in range(1_000 - MOST_CONNECTIONS):
            with serving.connected() as connection:
                answer = read(connection)
                assert answer is None or answer["code"] == "tooManyConnections"
                refused += 1
        assert refused == 1_000 - MOST_CONNECTIONS
        assert time.monotonic() - begun < SECONDS
        assert look(kept[0])["answer"] == "standing", "whoever was there before is served on"
        kept[1].close()
        deadline = time.monotonic() + SECONDS
        while True:
            with serving.connected() as connection, suppress(BrokenPipeError, ConnectionResetError):
                if (answer := look(connection)) is not None and answer["answer"] == "standing":
                    break
            assert time.monotonic() < deadline


def test_too_much_at_once_is_refused(serving: Serving) -> None:
    with serving.running(), ExitStack() as stack:
        crowd = [stack.enter_context(serving.connected()) for _ in range(5)]
        for connection in crowd:
            connection.sendall(struct.pack(">I", MAX_FRAME_BYTES) + b" ")
            time.sleep(0.05)
        answers = []
        for connection in crowd:
            connection.settimeout(0.5)
            try:
                answers.append(read(connection))
            except TimeoutError:
                answers.append("still read")
    assert answers[:2] == ["still read"] * 2
    assert all(answer is None or answer["code"] == "tooMuchAtOnce" for answer in answers[2:])


def test_one_thing_is_done_at_a_time(serving: Serving) -> None:
    inside, most = 0, 0

    def slowly(_request: Request) -> Answer:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        time.sleep(0.1)
        inside -= 1
        return Standing(nonce=NONCE)

    serving.answering = slowly
    with serving.running(), ExitStack() as stack:
        crowd = [stack.enter_context(serving.connected()) for _ in range(MOST_WAITING)]
        for connection in crowd:
            connection.sendall(framed(b'{"verb":"refresh"}'))
        assert all(read(connection)["answer"] == "standing" for connection in crowd)
    assert most == 1


def test_whoever_asks_too_much_at_once_is_told_when_to_ask_again(serving: Serving) -> None:
    held = Held()
    serving.answering = held
    with serving.running(), ExitStack() as stack:
        crowd = [stack.enter_context(serving.connected()) for _ in range(MOST_WAITING + 3)]
        crowd[0].sendall(framed(b'{"verb":"refresh"}'))
        assert held.started.wait(SECONDS)
        for connection in crowd[1:]:
            connection.sendall(framed(b'{"verb":"refresh"}'))
            time.sleep(0.02)
        busy = [read(connection) for connection in crowd[-2:]]
        assert [(each["code"], each["retrySeconds"]) for each in busy] == [("tooMuchWaits", BUSY_SECONDS)] * 2
        applier = SocketApplier(path=serving.path)
        stack.callback(applier.close)
        with pytest.raises(TooMuchWaitsError, match="ask again in"):
            applier(protocol.Refresh())
        held.go_on.set()
        assert all(read(connection)["answer"] == "standing" for connection in crowd[:-2])
        assert look(crowd[-1])["answer"] == "standing", "whoever was turned away may go on asking"


def test_of_two_that_want_to_apply_the_later_one_is_served(serving: Serving) -> None:
    held = Held()
    apply = encode(protocol.Apply(manifest=Envelope(payload="", payload_type="x", signatures=(SIGNATURE,))))
    serving.answering = held
    with serving.running(), ExitStack() as stack:
        first, older, newer = (stack.enter_context(serving.connected()) for _ in range(3))
        first.sendall(framed(b'{"verb":"refresh"}'))
        assert held.started.wait(SECONDS)
        older.sendall(framed(apply))
        time.sleep(0.1)
        newer.sendall(framed(apply))
        assert read(older)["code"] == "tooMuchWaits"
        held.go_on.set()
        assert read(newer)["answer"] == "standing"


def test_who_hangs_up_while_we_work_costs_nobody_else(serving: Serving) -> None:
    held = Held()
    serving.answering = held
    with serving.running():
        with serving.connected() as connection:
            connection.sendall(framed(b'{"verb":"refresh"}'))
            held.started.wait(SECONDS)
        held.go_on.set()
        with serving.connected() as other:
            assert look(other)["answer"] == "standing"


def test_what_breaks_is_answered_in_a_word_and_goes_on(serving: Serving) -> None:
    def breaks(_request: Request) -> Answer:
        raise ZeroDivisionError("a secret")

    serving.answering = breaks
    with serving.running(), serving.connected() as connection:
        answer = look(connection)
        assert answer["code"] == "applierBroken"
        assert "secret" not in json.dumps(answer)
        serving.answering = lambda _request: Standing(nonce=NONCE)
        assert look(connection)["answer"] == "standing"


def test_the_heart_stops_beating_when_an_answer_never_comes(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shieldwall.agent.applier.server.LOOK_SECONDS", 0.05)
    monkeypatch.setattr("shieldwall.agent.applier.server.QUIET_SECONDS", 0.05)
    held = Held()
    serving.answering, serving.longest_seconds = held, 0.3
    with serving.running(), serving.connected() as connection:
        deadline = time.monotonic() + SECONDS
        while serving.beats < 3:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        connection.sendall(framed(b'{"verb":"look"}'))
        time.sleep(0.6)
        before = serving.beats
        time.sleep(0.5)
        assert serving.beats == before
        held.go_on.set()
        assert read(connection)["answer"] == "standing"


def test_chores_are_done_between_answers_and_a_failing_one_does_no_harm(serving: Serving) -> None:
    done = threading.Semaphore(0)

    def fails() -> float:
        done.release()
        raise LeaveRefusedError("Nothing of it.")

    serving.chores = fails
    with serving.running(), serving.connected() as connection:
        assert done.acquire(timeout=SECONDS)
        assert look(connection)["answer"] == "standing"
    assert "choreFailed" in serving.log


@pytest.mark.parametrize(
    "filling",
    [b"[],", b'"",', b"{},", b'{"a":1},', b"1,", b'{"payload":"","payloadType":"","signatures":[]},'],
)
@pytest.mark.parametrize("place", [b'"more":[', b'"policies":[', b'"manifest":['])
def test_a_frame_that_would_be_much_larger_in_memory_is_refused_before_it_is(place: bytes, filling: bytes) -> None:
    head, tail = b'{"verb":"apply",' + place, filling[:-1] + b"]}"
    body = head + filling * ((MAX_FRAME_BYTES - len(head) - len(tail)) // len(filling)) + tail
    tracemalloc.start()
    try:
        with pytest.raises(BadFrameError):
            read_request(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * 1024 * 1024


@given(
    bodies=st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=5),
    cuts=st.lists(st.integers(1, 9), min_size=1, max_size=50),
)
def test_frames_are_read_the_same_however_they_arrive(bodies: list[bytes], cuts: list[int]) -> None:
    connection = connections.Connection(asker=Asker(uid=0), opened=0.0)
    stream, read_back, turn = b"".join(framed(body) for body in bodies), [], 0
    while stream:
        count = min(cuts[turn % len(cuts)], connection.room)
        turn += 1
        assert count > 0, "there is always room for what is due, and for no more"
        part, stream = stream[:count], stream[count:]
        if (body := connection.feed(part, 0.0)) is not None:
            read_back.append(body)
            connection.answer(b"answer", 0.0)
            connection.wrote(len(b"answer"), 0.0)

    assert read_back == bodies


# The agent's end of it


def test_the_agent_hears_refusals_as_what_they_are(serving: Serving) -> None:
    def refuses(_request: Request) -> Answer:
        raise LeaveRefusedError("No.", remedy="Ask nicely.")

    serving.answering = refuses
    with serving.running():
        applier = SocketApplier(serving.path)
        with pytest.raises(LeaveRefusedError) as refused:
            applier(protocol.Release())
        assert (refused.value.cause, refused.value.advice) == ("No.", "Ask nicely.")
        applier.close()


def test_a_refusal_that_the_agent_does_not_know_keeps_its_code(serving: Serving) -> None:
    serving.answering = lambda _request: protocol.Refused(code="neverHeardOf", cause="So.", remedy="Do.")
    with serving.running():
        applier = SocketApplier(serving.path)
        with pytest.raises(Exception, match=r"So\.") as refused:
            applier(protocol.Look())
        assert getattr(refused.value, "code", "") == "neverHeardOf"
        applier.close()


def test_the_agent_hears_the_same_answer_again_and_every_other_one_anew(serving: Serving) -> None:
    report = StatusReport(settings=(SettingStatus(setting=SettingId("a"), state=SettingState.SUCCEEDED),))
    serving.answering = lambda _request: protocol.Outcome(report=report)
    with serving.running():
        applier = SocketApplier(serving.path)
        first, second = applier(protocol.Refresh()), applier(protocol.Refresh())
        assert first is second
        assert first == protocol.Outcome(report=report)
        serving.answering = lambda _request: protocol.Outcome(report=StatusReport(), restored=("a unit",))
        assert applier(protocol.Refresh()) == protocol.Outcome(report=StatusReport(), restored=("a unit",))
        serving.answering = lambda _request: protocol.Refused(code="applierBusy", cause="Not now.")
        for _ in range(2):
            with pytest.raises(BusyError):
                applier(protocol.Refresh())
        applier.close()


def test_the_agent_connects_again_after_the_applier_was_restarted(serving: Serving) -> None:
    applier = SocketApplier(serving.path)
    with serving.running():
        assert applier(protocol.Look()) == Standing(nonce=NONCE)
    serving.path.unlink()
    with serving.running():
        assert applier(protocol.Look()) == Standing(nonce=NONCE)
    with pytest.raises(ApplierSilentError):
        applier(protocol.Look())
    serving.path.unlink()
    with pytest.raises(ApplierSilentError):
        applier(protocol.Look())


@pytest.mark.parametrize(
    "said", [b"\xff\xff\xff\xff", b"\x00\x00\x00\x02{}", b"\x00\x00\x00\x04nope", b"\x00\x00\x00\x00"]
)
def test_an_applier_that_talks_nonsense_is_not_believed(tmp_path: Path, said: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / "x.sock"))
        listener.listen(1)

        def talk() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(said)

        thread = threading.Thread(target=talk)
        thread.start()
        with pytest.raises(ApplierAnswerError):
            SocketApplier(tmp_path / "x.sock", patience_seconds=SECONDS)(protocol.Look())
        thread.join(SECONDS)
