"""How a clock that is off is corrected: by time that the tenant signed for a nonce of ours, a moment ago."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from shieldwall.agent.applier.nonces import Nonces
from shieldwall.agent.applier.pin import Pin
from shieldwall.contract.messages import Envelope
from shieldwall.trust import moments, time_floors
from shieldwall.trust.refusals import RefusedTimeError
from shieldwall.trust.verification import nonce_of, open_time


def corrected_by(statement: Envelope, pin: Pin, nonces: Nonces, local: datetime) -> Pin:
    """Return the pin that knows how far the local clock is off, and whose floor of time was not signed ahead of it.

    Raises:
        RefusedTimeError: Not signed by the tenant's time key, for no nonce of ours, or before what was signed already
            while the local clock does not say so too.
    """
    nonce = nonce_of(statement)
    stated = open_time(statement, pin.authority.trust_root, tenant_id=pin.authority.tenant_id, nonce=nonce)
    if not nonces.spend(nonce):
        raise RefusedTimeError("The statement of time answers no nonce of this applier.")
    if pin.time_floor and stated < (floor := moments.parse(pin.time_floor)):
        if (lower := time_floors.lowered(floor, stated, local)) is None:
            raise RefusedTimeError(time_floors.CAUSE, remedy=time_floors.REMEDY)
        pin = replace(pin, time_floor=moments.write(lower))
    return replace(pin, offset_seconds=round((stated - local).total_seconds()))
