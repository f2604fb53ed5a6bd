"""``shieldwall-agent rotate-key``: a new device key now, made by the running agent where there is one, else here."""

from __future__ import annotations

from msgspec import Struct

from shieldwall.agent.service.errors import CheckInFailedError
from shieldwall.agent.service.state import AgentState
from shieldwall.agent.service.syncing import Sync
from shieldwall.contract.ids import KeyThumbprint


class RotateKey(Struct, frozen=True, kw_only=True):
    """Change the device key."""

    state: AgentState
    sync: Sync

    def __call__(self) -> KeyThumbprint:
        """Change the key at a check-in, and return the name of the new one.

        Raises:
            NotOnboardedError: There is no identity, and so no key to change.
            ShieldwallError: The check-in or the change failed; one of the two keys works all the same.
        """
        self.state.get_identity()
        before = self.state.get_key().thumbprint
        self.state.wishes.put_rotation()
        try:
            self.sync()
        finally:
            self.state.wishes.drop_rotation()
        present = self.state.get_key().thumbprint
        if present == before:
            raise CheckInFailedError("The agent checked in, and kept its key.")
        return present
