"""From settings to the client of a process."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from shieldwall.server.configuration.settings import InvalidSettingsError, ServerSettings
from shieldwall.server.outgoing.client import Outgoing, trusting
from shieldwall.server.outgoing.resolving import Resolver, SystemResolver
from shieldwall.server.outgoing.rules import OutgoingRules


@contextmanager
def open_outgoing(settings: ServerSettings) -> Iterator[Outgoing]:
    """Make the client by which this process asks others.

    ``trust`` raises InvalidSettingsError where the authority that the settings name cannot be read.
    """
    resolver = SystemResolver()
    try:
        yield outgoing_of(settings, resolver)
    finally:
        resolver.close()


def outgoing_of(settings: ServerSettings, resolver: Resolver) -> Outgoing:
    """Make a client with a resolver that is somebody else's to close."""
    chosen = settings.outgoing
    rules = OutgoingRules(private_networks=chosen.private_networks, loopback=chosen.loopback)
    return Outgoing(rules=rules, resolver=resolver, trust=cache(lambda: _trust(settings)))


def _trust(settings: ServerSettings) -> ssl.SSLContext:
    named = settings.outgoing.certificate_authority
    try:
        return trusting(None if named is None else settings.data / named)
    except (OSError, ssl.SSLError) as error:
        raise InvalidSettingsError(f"outgoing.certificateAuthority: {named} cannot be read: {error}.") from None
