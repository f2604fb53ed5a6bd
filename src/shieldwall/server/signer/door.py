"""``python -m shieldwall.server.signer.door DATA ADDRESS PORT``: lets other machines of the server ask the signer.

A process of its own, so that the one with the keys has no network. It holds no key but that of its own certificate,
looks at every question, and hands on what the role of the asking machine may ask: a gateway may not sign policies,
packages or tokens.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import ssl
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from shieldwall.contract import strict_json
from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.signer import dispatch, wire
from shieldwall.server.signer.afar import door_context, role_of
from shieldwall.server.signer.client import SignerClient
from shieldwall.server.signer.errors import NotPermittedError, SignerError, UnsignableDocumentError
from shieldwall.server.signer.saying import log_as_json

MAX_CONNECTIONS: Final = 64
HANDSHAKE_SECONDS: Final = 10.0
_GATEWAY: Final = frozenset({wire.SignManifest, wire.SignTime, wire.IssueCertificate, wire.GetTrustRoot})
PERMITTED: Final[Mapping[str, frozenset[type]]] = {
    "gateway": _GATEWAY,
    "admin": _GATEWAY
    | {
        wire.SignPolicy,
        wire.SealPackage,
        wire.SealOffboarding,
        wire.SignToken,
        wire.RotateTokenKey,
        wire.GetTokenKeys,
    },
}
"""What machines of each role may ask."""

_log: Final = logging.getLogger(__name__)


class Door:
    """Hands questions of other machines to the signer of this one."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._context = door_context(data)
        self._room = threading.BoundedSemaphore(MAX_CONNECTIONS)

    def serve(self, listener: socket.socket) -> None:
        """Accept connections for ever; a thread for each, bounded in number."""
        while True:
            connection, _ = listener.accept()
            if not self._room.acquire(blocking=False):
                connection.close()
                continue
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, plain: socket.socket) -> None:
        try:
            plain.settimeout(HANDSHAKE_SECONDS)
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            with plain, self._context.wrap_socket(plain, server_side=True) as connection:
                self._answer_all(connection)
        except OSError as error:
            _log.info("A connection from another machine ended: %s", error)
        except ShieldwallError as error:
            _log.warning("A connection from another machine was ended: %s", error.cause)
        finally:
            self._room.release()

    def _answer_all(self, connection: ssl.SSLSocket) -> None:
        shown = connection.getpeercert(binary_form=True) or b""
        with SignerClient(self._data) as signer:
            while (question := wire.read_frame(connection, wait_seconds=None)) is not None:
                role = role_of(self._data, shown)  # each time: who is removed has asked for the last time
                if role is None:
                    _log.warning("A machine that is not listed was turned away.")
                    return
                wire.write_frame(connection, self._answer(signer, question, role))

    @staticmethod
    def _answer(signer: SignerClient, question: bytes, role: str) -> bytes:
        try:
            asked = type(strict_json.decode(question, wire.Question).request)
            if asked not in PERMITTED.get(role, frozenset()):
                _log.warning("A machine of the role %s asked for %s.", role, asked.__name__)
                raise NotPermittedError(f"Machines of the role {role} may not ask for {asked.__name__}.")
            return signer.forward(question)
        except SignerError as error:
            return strict_json.encode(dispatch.refusal(error))
        except ShieldwallError as error:
            refused = UnsignableDocumentError(f"The request cannot be read: {error.cause}")
            return strict_json.encode(dispatch.refusal(refused))


def main(data: Path, address: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM."""
    log_as_json("signer-door")
    os.umask(0o077)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, port), family=family) as listener:
        Door(data).serve(listener)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
