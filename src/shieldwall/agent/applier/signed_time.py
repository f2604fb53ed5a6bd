"""How a clock that is off is corrected: by time that the tenant signed for a nonce of ours, a moment ago."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from shieldwall.agent.applier.nonces import Nonces
from shieldwall.agent.applier.pin import Pin
from shieldwall.contract.messages import Envelope
from shieldwall.trust import moments
from shieldwall.trust.refusals import RefusedTimeError
from shieldwall.trust.verification import nonce_of, open_time


def corrected_by(statement: Envelope, pin: Pin, nonces: Nonces, local: datetime) -> Pin:
    """Return the pin that knows how far the local clock is off.

    Raises:
        RefusedTimeError: Not signed by the tenant's time key, for no nonce of ours, or before what was signed already.
    """
    nonce = nonce_of(statement)
    stated = open_time(statement, pin.authority.trust_root, tenant_id=pin.authority.tenant_id, nonce=nonce)
    if not nonces.spend(nonce):
        raise RefusedTimeError("The statement of time answers no nonce of this applier.")
    if pin.time_floor and stated < moments.parse(pin.time_floor):
        raise RefusedTimeError("The statement of time lies before documents that the tenant has signed.")
    return replace(pin, offset_seconds=round((stated - local).total_seconds()))
