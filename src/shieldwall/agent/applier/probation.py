"""What ends the probation of a change: the server's signature of the time for its nonce, or time itself."""

from __future__ import annotations

from shieldwall.agent.applier.pin import Pin
from shieldwall.agent.applier.ports import Engine, Say
from shieldwall.contract.messages import Envelope
from shieldwall.trust.verification import open_time


def confirm(engine: Engine, pin: Pin, statement: Envelope, say: Say) -> None:
    """Keep the change that waits: the server signed the time for its nonce, so it can be reached with the change.

    Raises:
        NothingToConfirmError: None waits, or it went back.
        RefusedTimeError: The statement is not the tenant's, or answers another nonce.
    """
    waiting = engine.unconfirmed()
    nonce = "" if waiting is None else waiting.nonce
    if waiting is not None:
        open_time(statement, pin.authority.trust_root, tenant_id=pin.authority.tenant_id, nonce=nonce)
    engine.confirm(nonce)
    say("confirmed", nonce=nonce)


def take_back(engine: Engine, say: Say) -> bool:
    """Take back a change that nobody confirmed in time; say whether there was one. Raises: ShieldwallError."""
    gone_back = engine.revert_if_due()
    if gone_back:
        say("revertedUnconfirmed", providers=list(gone_back))
    return bool(gone_back)
