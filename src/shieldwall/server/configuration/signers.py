"""The way to the signer that a machine's settings name: its own, or that of another machine."""

from __future__ import annotations

from shieldwall.server.configuration.settings import ServerSettings
from shieldwall.server.signer.afar import dialling
from shieldwall.server.signer.client import SignerClient


def open_signers(settings: ServerSettings) -> SignerClient:
    """Return a line to the signer; it is opened when something is asked."""
    if settings.signer is None:
        return SignerClient(settings.data)
    return SignerClient(settings.data, dial=dialling(settings.data, settings.signer.host, settings.signer.port))
