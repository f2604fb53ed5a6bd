"""How far a device's time may go back: never behind what was signed, unless that was signed ahead of time.

A device takes no time from before the newest document that it has verified, so that an old one cannot be revived by a
clock set back. A server whose clock was ahead has signed moments that have not come yet, and devices that took them
would refuse its right time until then. Two witnesses together are believed against such a floor: the tenant's word for
a nonce of a moment ago, and the machine's own clock, which neither the server nor whoever stands between has set.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

AGREEMENT: Final = timedelta(minutes=5)
"""How far the machine's clock and the tenant's word may be apart: as far as they may be for signed requests."""
CAUSE: Final = (
    "The server's time lies before documents that it has signed, and the clock of this device does not say so too."
)
REMEDY: Final = "Set the clock of this device right."


def lowered(floor: datetime, stated: datetime, local: datetime) -> datetime | None:
    """Return the floor after fresh time was stated; ``None`` when what was stated lies before it and is not believed.

    Args:
        floor: The newest moment that a verified document names.
        stated: What the tenant has signed for a nonce of this device a moment ago.
        local: What the machine's own clock says.
    """
    if stated >= floor:
        return floor
    return stated if abs(stated - local) <= AGREEMENT else None
