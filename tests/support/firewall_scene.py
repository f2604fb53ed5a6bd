"""A device whose firewall is set, and another machine at the end of its cable that tries it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from tests.support.namespaces import Namespace, joined_namespaces
from tests.support.probing import Fate, Kind, Probe, Prober, answering, prober

PORT: Final = 8000
OTHER_PORT: Final = 8001
SERVER_PORT: Final = 8443
ON: Final = {"enablefirewall": "true"}
_SECONDS: Final = 0.5


class Scene:
    """Both machines, and how packets fare between them."""

    def __init__(self, device: Namespace, other: Namespace, inbound: Prober, outbound: Prober) -> None:
        self.device, self.other = device, other
        self._inbound, self._outbound = inbound, outbound

    def arriving(self, kind: Kind = "tcp", port: int = PORT, *, ipv6: bool = False) -> Fate:
        """What becomes of a packet to the device."""
        address = self.device.ipv6 if ipv6 else self.device.ipv4
        return self._inbound.send([Probe(kind, address, port)], seconds=_SECONDS)[0]

    def leaving(self, kind: Kind = "tcp", port: int = PORT, *, user: int = 0) -> Fate:
        """What becomes of a packet that a user of the device sends."""
        return self._outbound.send([Probe(kind, self.other.ipv4, port, user)], seconds=_SECONDS)[0]

    def pings(self, number: int) -> int:
        """How many pings at once are answered, each of a conversation of its own."""
        fates = self._inbound.send([Probe("icmp", self.device.ipv4)] * number, seconds=_SECONDS)
        return fates.count("accept")


@contextmanager
def firewall_scene() -> Iterator[Scene]:
    """Make both machines, which answer on three ports each until the block ends."""
    with joined_namespaces() as (device, other), ExitStack() as stack:
        for namespace in (device, other):
            stack.enter_context(answering(namespace, (PORT, OTHER_PORT, SERVER_PORT)))
        yield Scene(device, other, stack.enter_context(prober(other)), stack.enter_context(prober(device)))
