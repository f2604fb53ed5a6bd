"""What a process of the server is for. One machine may have all roles, or each may have machines of its own."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """One part that ``server run`` starts."""

    SIGNER = "signer"
    """Holds the keys and signs. There is one for a database, on one machine."""
    GATEWAY = "gateway"
    """Talks to devices. There may be many; none keeps what the others do not find in the database."""
    ADMIN = "admin"
    """Talks to administrators and their tools, and does what has to be done once for all."""
    TARGETING = "targeting"
    """Holds the fleet in memory and knows at once whom a change concerns. Without it all is right, only slower."""


DEFAULT: Final = (Role.SIGNER, Role.GATEWAY, Role.ADMIN)
"""What runs where no role is named: a whole server."""
