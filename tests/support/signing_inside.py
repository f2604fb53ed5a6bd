"""Policies that tests publish in one go, inside a transaction that nobody else waits for."""

from __future__ import annotations

from dataclasses import dataclass

from shieldwall.contract.messages import Envelope
from shieldwall.server.manager.signing import PolicySigner


@dataclass(frozen=True, slots=True)
class SigningInside:
    """Asks any signer whenever publishing wants a signature, as no server may."""

    signer: PolicySigner

    def envelope_of(self, document: bytes) -> Envelope:
        return self.signer.sign_policy(document)
