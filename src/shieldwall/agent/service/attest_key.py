"""``shieldwall-agent attest``: prove anew where the device key lives, by the running agent or, without one, here."""

from __future__ import annotations

from msgspec import Struct

from shieldwall.agent.service.errors import CheckInFailedError, KeyInFileError
from shieldwall.agent.service.state import AgentState
from shieldwall.agent.service.syncing import Sync


class AttestKey(Struct, frozen=True, kw_only=True):
    """Let the TPM speak for the device key once more."""

    state: AgentState
    sync: Sync

    def __call__(self) -> None:
        """Attest at a check-in.

        Raises:
            NotOnboardedError: There is no identity, and so no key.
            KeyInFileError: The key is in no TPM.
            ShieldwallError: The check-in or the attestation failed; it is tried again at the next check-in.
        """
        self.state.get_identity()
        if self.state.get_key().protection != "tpm":
            raise KeyInFileError("The device key is in a file; there is nothing that a TPM could prove.")
        self.state.wishes.put_attestation()
        self.sync()
        if self.state.wishes.has_attestation():
            raise CheckInFailedError("The agent checked in, and could not attest its key; its log says why.")
