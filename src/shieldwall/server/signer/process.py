"""The signer as a process: ``python -m shieldwall.server.signer DATA``.

It says ``ready`` on its standard output once it listens. It ends on SIGTERM or SIGINT, and when its standard input, if
that is a pipe or socket, is closed: it never outlives the server that holds the other end.
"""

from __future__ import annotations

import argparse
import logging
import os
import resource
import signal
import stat
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from shieldwall.server.signer.errors import KeyFilesError, SignerError
from shieldwall.server.signer.keys import SigningKeys, held_tenants, load_keys
from shieldwall.server.signer.ledger import Ledger
from shieldwall.server.signer.renewing import renew_authority
from shieldwall.server.signer.saying import log_as_json
from shieldwall.server.signer.serving import SignerServer
from shieldwall.server.signer.sockets import listening
from shieldwall.server.signer.tenants import TenantSigners

READY = "ready"
_NEW_LEDGER = (
    "A new ledger begins; manifests are numbered from 1. Right on the first start alone: if this server has signed "
    "before, its devices refuse those numbers. Then put signer/ledger.sqlite3 back, or raise the incarnation."
)


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the present moment."""
        return datetime.now(UTC)  # noqa: TID251 - the composition root of this process hands time in


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve one data directory until told to stop; the answer is the exit status."""
    parser = argparse.ArgumentParser(prog="shieldwall-signer", description="Holds the keys and signs.")
    parser.add_argument("data", type=Path, help="the server's data directory")
    data: Path = parser.parse_args(arguments).data
    log_as_json("signer")
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # keys shall not end in a core file
    try:
        return _serve(data)
    except SignerError as error:
        told = {"code": error.code, "cause": error.cause, "remedy": error.advice}
        logging.getLogger(__name__).critical("signer_not_started", extra=told)
        return 1


def _serve(data: Path) -> int:
    directory = data / "keys"
    clock = SystemClock()
    held = [load_keys(directory, tenant_id) for tenant_id in held_tenants(directory)]  # what is damaged shows at once
    if not held:
        raise KeyFilesError(f"{directory} holds no keys of any tenant.")
    for keys in held:
        _renew(directory, keys, clock.now())
    ledger = Ledger(data / "signer")
    ledger.hand_over(min(held, key=lambda keys: keys.unit.created).unit.tenant_id)  # the first tenant was alone once
    if ledger.is_new:
        logging.getLogger(__name__).warning("%s", _NEW_LEDGER)
    signers = TenantSigners(lambda tenant_id: load_keys(directory, tenant_id), ledger=ledger, clock=clock)
    with listening(data) as listener:
        server = SignerServer(signers, listener, allowed_user=os.geteuid())
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: server.stop())
        sys.stdout.write(f"{READY}\n")
        sys.stdout.flush()
        server.serve(until_closed=_parent_pipe())
    ledger.close()
    return 1 if server.failed else 0


def _renew(directory: Path, keys: SigningKeys, now: datetime) -> None:
    try:
        tenant_id = renew_authority(directory, keys, now)
    except KeyFilesError as error:  # there are years left, and as many starts
        logging.getLogger(__name__).warning("authority_not_renewed", extra={"code": error.code, "cause": error.cause})
    else:
        if tenant_id is not None:
            logging.getLogger(__name__).warning("authority_renewed", extra={"tenant": tenant_id})


def _parent_pipe() -> int | None:
    """Return standard input where a parent can hold its other end; a terminal or /dev/null says nothing about one."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return None
    return 0 if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) else None
