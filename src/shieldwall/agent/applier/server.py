"""The applier's socket: who may ask, how much at once, and one thing done at a time.

One thread moves bytes and never waits for anybody; another one does what is asked, root's first (``lanes``), and
between that what is due: taking back changes that nobody confirmed, looking for drift where no agent asks for it.
Whoever asks badly, slowly, too much or without right gets an answer or a closed connection, and costs nobody else.
"""

from __future__ import annotations

import queue
import selectors
import socket
import threading
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

from msgspec import Struct, field

from shieldwall.agent.applier import protocol
from shieldwall.agent.applier.connections import Connection, Stage
from shieldwall.agent.applier.lanes import Jobs
from shieldwall.agent.applier.ports import Asker, Say
from shieldwall.agent.applier.protocol import Answer, BadFrameError, Request, frame, read_request, verb_of
from shieldwall.agent.applier.refusals import (
    ApplierBrokenError,
    StrangerError,
    TooManyConnectionsError,
    TooMuchAtOnceError,
    TooMuchWaitsError,
)
from shieldwall.agent.host.peers import peer_of
from shieldwall.contract.errors import ShieldwallError

MOST_CONNECTIONS: Final = 32
"""Of one user. Root has its own allowance, so that no agent gone wild locks root out."""
MOST_BYTES: Final = 2 * protocol.MAX_FRAME_BYTES
"""Of all requests that are being read at once; what is small is always read."""
SMALL_BYTES: Final = 64 * 1024
BUSY_SECONDS: Final = 10
"""So much later it is worth asking again, for whoever was told that too much waits."""
BACKLOG: Final = 64
LOOK_SECONDS: Final = 1.0
"""So often at most is it looked which connections have taken too long; none is closed later than so much after that."""
QUIET_SECONDS: Final = 15.0
"""So often all is looked at while nobody asks anything."""
_CHUNK: Final = 1 << 16


Answering: TypeAlias = Callable[[Request, Asker], Answer]


class Listener(Protocol):
    """Where connections come in: a listening Unix socket, or a door of pipes (``agent/windows/door.py``)."""

    def fileno(self) -> int:
        """Return what to wait for."""
        ...

    def setblocking(self, flag: bool, /) -> None:
        """Wait in ``accept``, or do not."""
        ...

    def accept(self) -> tuple[socket.socket, object]:
        """Return the next connection. Raises: OSError, BlockingIOError: there is none."""
        ...


class Server(Struct, kw_only=True):
    """Serves one listening Unix socket until it is told to stop.

    ``chores`` does what is due on the thread that answers, and says when to come again. ``beat`` tells the system's
    manager that all is well; it stops coming when an answer takes longer than ``longest_seconds``.
    """

    listener: Listener
    answer: Answering
    may_ask: frozenset[int]
    """Users who may ask, by number."""
    monotonic: Callable[[], float]
    say: Say
    chores: Callable[[], float] = lambda: QUIET_SECONDS
    beat: Callable[[], None] = lambda: None
    before_rest: Callable[[], None] = lambda: None
    """Called on the thread that answers, when nobody has asked for a while."""
    longest_seconds: float = 900.0
    peer: Callable[[socket.socket], int] = peer_of
    """Says who is behind a connection."""
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)
    _open: dict[socket.socket, Connection] = field(default_factory=dict)
    _jobs: Jobs[tuple[socket.socket, Connection, bytes]] = field(default_factory=Jobs)
    _done: queue.Queue[tuple[socket.socket, Connection, bytes]] = field(default_factory=queue.Queue)
    _wake: tuple[socket.socket, socket.socket] = field(default_factory=socket.socketpair)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _working_since: float | None = None

    def run(self) -> None:
        """Serve until ``stop``; what was begun is finished before this returns."""
        worker = threading.Thread(target=self._work, name="applier")
        worker.start()
        try:
            self._serve()
        finally:
            self._jobs.end()
            worker.join()
            for connection in tuple(self._open):
                self._close(connection)
            for end in self._wake:
                end.close()
            self._selector.close()

    def hurry(self) -> None:
        """Have the chores done as soon as nothing else is; may be called by another thread."""
        self._jobs.hurry()

    def stop(self) -> None:
        """Ask the server to stop; may be called by a signal handler or another thread."""
        self._stopping.set()
        self._nudge()

    # The thread that moves bytes

    def _serve(self) -> None:
        self.listener.setblocking(False)
        for end in self._wake:
            end.setblocking(False)
        self._selector.register(self.listener, selectors.EVENT_READ)
        self._selector.register(self._wake[0], selectors.EVENT_READ)
        looked = self.monotonic()
        while not self._stopping.is_set():
            for key, _ in self._selector.select(timeout=self._seconds_left()):
                self._attend(key.fileobj)  # type: ignore[arg-type]  # only sockets are registered
            self._hand_out()
            if self.monotonic() - looked >= LOOK_SECONDS:
                looked = self.monotonic()
                self._look_around(looked)

    def _seconds_left(self) -> float:
        """Say how long nothing but what comes in is to be attended to: an agent leaves its connection open for good."""
        now = self.monotonic()
        soonest = min((each.seconds_left(now) for each in self._open.values()), default=QUIET_SECONDS)
        return min(max(soonest, LOOK_SECONDS), QUIET_SECONDS)

    def _attend(self, ready: socket.socket) -> None:
        if ready is self.listener:
            self._accept()
        elif ready is self._wake[0]:
            _drain(ready)
        else:
            self._move(ready)

    def _accept(self) -> None:
        try:
            accepted, _ = self.listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:  # too many open files, say: whoever waits is served when others have gone
            self.say("acceptFailed", cause=str(error))
            return
        accepted.setblocking(False)
        try:
            uid = self.peer(accepted)
        except OSError:
            accepted.close()
            return
        connection = Connection(asker=Asker(uid=uid), opened=self.monotonic())
        refusal = self._refusal(uid)
        self._open[accepted] = connection
        self._selector.register(accepted, selectors.EVENT_READ)
        if refusal is not None:
            self._write(accepted, connection, refusal, is_last=True)

    def _refusal(self, uid: int) -> protocol.Refused | None:
        """Say why this user is not even listened to."""
        if uid not in self.may_ask:
            self.say("strangerRefused", uid=uid)
            return _refused(StrangerError("This socket is for root and the agent alone."))
        if sum(each.asker.uid == uid for each in self._open.values()) >= MOST_CONNECTIONS:
            return _refused(TooManyConnectionsError(f"The user {uid} has {MOST_CONNECTIONS} connections open already."))
        return None

    def _move(self, ready: socket.socket) -> None:
        connection = self._open.get(ready)
        if connection is None:
            return
        try:
            if connection.stage is Stage.WRITING:
                self._send(ready, connection)
            elif connection.stage is Stage.READING:
                self._receive(ready, connection)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._close(ready)

    def _receive(self, ready: socket.socket, connection: Connection) -> None:
        data = ready.recv(min(connection.room, _CHUNK))
        if not data:
            self._close(ready)  # between two frames or in the middle of one: nothing is owed
            return
        try:
            body = connection.feed(data, self.monotonic())
        except BadFrameError as error:
            self._write(ready, connection, _refused(error), is_last=True)
            return
        if connection.held > SMALL_BYTES and sum(each.held for each in self._open.values()) > MOST_BYTES:
            refusal = TooMuchAtOnceError("Too much is being said at once.")
            self._write(ready, connection, _refused(refusal), is_last=True)
        elif body is not None:
            self._listen_no_more(ready)
            job, uid = (ready, connection, body), connection.asker.uid
            for turned_away, its_connection, _ in self._jobs.put(job, uid=uid, verb=verb_of(body), size=len(body)):
                self._answer(turned_away, its_connection, frame(_busy()))

    def _listen_no_more(self, ready: socket.socket) -> None:
        """Hear nothing of a connection until its answer is there; what it says meanwhile waits in the kernel."""
        self._selector.unregister(ready)

    def _hand_out(self) -> None:
        while True:
            try:
                ready, connection, message = self._done.get_nowait()
            except queue.Empty:
                return
            self._answer(ready, connection, message)

    def _answer(self, ready: socket.socket, connection: Connection, message: bytes) -> None:
        """Answer somebody who was not listened to meanwhile."""
        if ready in self._open:
            connection.answer(message, self.monotonic())
            self._selector.register(ready, selectors.EVENT_WRITE)
            self._move(ready)

    def _write(self, ready: socket.socket, connection: Connection, answer: Answer, *, is_last: bool) -> None:
        connection.answer(frame(answer), self.monotonic(), is_last=is_last)
        self._selector.modify(ready, selectors.EVENT_WRITE)
        self._move(ready)

    def _send(self, ready: socket.socket, connection: Connection) -> None:
        connection.wrote(ready.send(connection.waiting[:_CHUNK]), self.monotonic())
        if connection.stage is Stage.CLOSED:
            self._close(ready)
        elif connection.stage is Stage.READING:
            self._selector.modify(ready, selectors.EVENT_READ)

    def _look_around(self, now: float) -> None:
        for ready, connection in tuple(self._open.items()):
            if connection.seconds_left(now) < 0:
                self._close(ready)
        since = self._working_since
        if since is None or now - since < self.longest_seconds:
            self.beat()

    def _close(self, ready: socket.socket) -> None:
        self._open.pop(ready, None)
        if ready in self._selector.get_map():
            self._selector.unregister(ready)
        ready.close()

    # The thread that does what is asked

    def _work(self) -> None:
        rest = 0.0
        while True:
            job = self._jobs.take(rest)
            if self._jobs.is_over:
                return
            if job is None:
                rest = self._chores()
                self.before_rest()
                continue
            ready, connection, body = job
            self._working_since = self.monotonic()
            message = self._message(body, connection.asker)
            self._working_since = None
            self._done.put((ready, connection, message))
            self._nudge()
            rest = self._chores()

    def _message(self, body: bytes, asker: Asker) -> bytes:
        try:
            return frame(self.answer(read_request(body), asker))
        except ShieldwallError as error:
            return frame(_refused(error))
        except Exception as error:  # noqa: BLE001 - one request that breaks us must not take what is enforced along
            self.say("requestBroke", kind=type(error).__name__, cause=str(error)[:1000])
            return frame(_refused(ApplierBrokenError(f"{type(error).__name__} in the applier.")))

    def _chores(self) -> float:
        rest = QUIET_SECONDS
        self._working_since = self.monotonic()
        try:
            rest = self.chores()
        except ShieldwallError as error:
            self.say("choreFailed", code=error.code, cause=error.cause)
        except Exception as error:  # noqa: BLE001 - as above
            self.say("choreBroke", kind=type(error).__name__, cause=str(error)[:1000])
        self._working_since = None
        return rest

    def _nudge(self) -> None:
        """Wake the thread that moves bytes; a full pipe means that it is awake already."""
        try:
            self._wake[1].send(b"\0")
        except OSError:
            return


def _drain(ready: socket.socket) -> None:
    try:
        while ready.recv(_CHUNK):
            pass
    except BlockingIOError:
        return


def _busy() -> protocol.Refused:
    error = TooMuchWaitsError(f"Too much waits already; ask again in {BUSY_SECONDS} seconds.")
    return protocol.Refused(code=error.code, cause=error.cause, remedy=error.advice, retry_seconds=BUSY_SECONDS)


def _refused(error: ShieldwallError) -> protocol.Refused:
    return protocol.Refused(code=error.code, cause=error.cause[:4096], remedy=error.advice[:4096])
