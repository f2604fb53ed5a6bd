"""Serve the signer's socket until told to stop: one thread for each connection, bounded in number."""

from __future__ import annotations

import logging
import os
import selectors
import socket
import threading
from typing import Final

from shieldwall.contract import strict_json
from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.signer import dispatch, wire
from shieldwall.server.signer.errors import (
    BadFrameError,
    LedgerError,
    SignerBusyError,
    SignerError,
    UnsignableDocumentError,
)
from shieldwall.server.signer.ports import Signers
from shieldwall.server.signer.sockets import peer_user

MAX_CONNECTIONS: Final = 128
_LAST_WORDS_SECONDS: Final = 5.0

_log = logging.getLogger(__name__)


class SignerServer:
    """Answers on a listening socket. ``stop`` may be called from any thread and from signal handlers."""

    def __init__(self, signers: Signers, listener: socket.socket, *, allowed_user: int) -> None:
        self._signers = signers
        self._listener = listener
        self._allowed_user = allowed_user
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_writer.setblocking(False)
        self._lock = threading.Lock()
        self._connections: dict[socket.socket, threading.Thread] = {}
        self.failed = False
        """Whether the signer stopped because it could not remember what it must."""

    def stop(self) -> None:
        """Let ``serve`` return."""
        try:
            self._wake_writer.send(b"\0")
        except OSError:
            return  # the pipe is full of the same wish, or serving is over

    def serve(self, *, until_closed: int | None = None) -> None:
        """Accept connections until ``stop``, or until the file descriptor ``until_closed`` reports its end."""
        self._listener.setblocking(False)
        with selectors.DefaultSelector() as selector:
            for source in (self._listener, self._wake_reader, until_closed):
                if source is not None:
                    selector.register(source, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if self._wake_reader in ready:
                    break
                if until_closed is not None and until_closed in ready and not os.read(until_closed, 4096):
                    break
                if self._listener in ready:
                    self._accept()
        self._close_all()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return  # the caller gave up before we answered
        if peer_user(connection) != self._allowed_user:
            _log.warning("A process of another user was turned away.")
            connection.close()
            return
        with self._lock:
            full = len(self._connections) >= MAX_CONNECTIONS
            if not full:
                thread = threading.Thread(target=self._converse, args=(connection,), daemon=True)
                self._connections[connection] = thread
                thread.start()
        if full:
            with connection:
                _send(connection, dispatch.refusal(SignerBusyError("All connections of the signer are in use.")))

    def _converse(self, connection: socket.socket) -> None:
        try:
            with connection:
                while (answer := self._answer_next(connection)) is not None and _send(connection, answer):
                    if isinstance(answer, wire.Refused) and answer.code == BadFrameError.code:
                        return  # where the next frame begins is anybody's guess
        finally:
            with self._lock:
                self._connections.pop(connection, None)

    def _answer_next(self, connection: socket.socket) -> wire.Answer | None:
        try:
            frame = wire.read_frame(connection, wait_seconds=None)
            return None if frame is None else dispatch.answer(self._signers, frame)
        except OSError:
            return None
        except LedgerError as error:
            _log.critical("%s", error.cause)
            self.failed = True
            self.stop()
            return dispatch.refusal(error)
        except SignerError as error:
            return dispatch.refusal(error)
        except ShieldwallError as error:
            return dispatch.refusal(UnsignableDocumentError(f"The request cannot be read: {error.cause}"))
        except Exception:  # noqa: BLE001 - one faulty request must not end the others' connections
            _log.exception("A request met a fault of the signer.")
            return dispatch.refusal(SignerError("The signer met a fault of its own."))

    def _close_all(self) -> None:
        """Let answers under way go out, then end idle connections."""
        with self._lock:
            open_now = list(self._connections.items())
        for connection, _ in open_now:
            _shut(connection)
        for _, thread in open_now:
            thread.join(_LAST_WORDS_SECONDS)
        self._wake_reader.close()
        self._wake_writer.close()


def _send(connection: socket.socket, answer: wire.Answer) -> bool:
    try:
        wire.write_frame(connection, strict_json.encode(answer))
    except OSError:
        return False
    return True


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RD)
    except OSError:
        return  # it is gone already
