"""From settings to the client of a process."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from shieldwall.server.outgoing.client import Outgoing, trusting
from shieldwall.server.outgoing.resolving import SystemResolver
from shieldwall.server.outgoing.rules import OutgoingRules
from shieldwall.server.settings import InvalidSettingsError, ServerSettings


@contextmanager
def open_outgoing(settings: ServerSettings) -> Iterator[Outgoing]:
    """Make the client by which this process asks others. Raises: InvalidSettingsError."""
    resolver = SystemResolver()
    try:
        yield Outgoing(rules=rules_of(settings), resolver=resolver, trust=_trust(settings))
    finally:
        resolver.close()


def rules_of(settings: ServerSettings) -> OutgoingRules:
    """Say whom the settings let the server connect to."""
    chosen = settings.outgoing
    return OutgoingRules(private_networks=chosen.private_networks, loopback=chosen.loopback)


def _trust(settings: ServerSettings) -> ssl.SSLContext:
    named = settings.outgoing.certificate_authority
    try:
        return trusting(None if named is None else settings.data / named)
    except (OSError, ssl.SSLError) as error:
        raise InvalidSettingsError(f"outgoing.certificateAuthority: {named} cannot be read: {error}.") from None
