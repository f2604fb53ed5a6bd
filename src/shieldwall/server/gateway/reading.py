"""How much is read of what one device says, and of what strangers say.

Strict JSON costs up to a quarter of a second a megabyte, and nobody else is served meanwhile. So whoever says much is
asked to say it more slowly. What is short is always read: a device that may report no more for now is managed all the
same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from shieldwall.contract.ids import DeviceId
from shieldwall.server.gateway.lanes import QUIET_BYTES
from shieldwall.server.gateway.problems import TooManyRequestsError
from shieldwall.server.gateway.rate_limit import SharedBucket, TokenBuckets

OF_A_DEVICE_PER_SECOND: Final = 64 * 1024
OF_A_DEVICE_AT_ONCE: Final = 16 * 1024 * 1024
"""Bytes: the largest report sixteen times in a row, or all that a device could tell of while it was away."""
OF_STRANGERS_PER_SECOND: Final = 512 * 1024
OF_STRANGERS_AT_ONCE: Final = 8 * 1024 * 1024
"""Bytes of registrations, which are read before it can be known who speaks: 128 of the usual size in a second."""
LEAST_OF_STRANGERS: Final = 4 * 1024
"""For so many bytes each of them counts: what comes after reading costs as well."""


class Reading:
    """Counts bytes, for the whole gateway."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._devices: Final = TokenBuckets(rate=OF_A_DEVICE_PER_SECOND, burst=OF_A_DEVICE_AT_ONCE, monotonic=monotonic)
        self._strangers: Final = SharedBucket(
            rate=OF_STRANGERS_PER_SECOND, burst=OF_STRANGERS_AT_ONCE, monotonic=monotonic
        )

    def of_device(self, device_id: DeviceId, body: bytes) -> None:
        """Count what a device says, whose signature it is. Raises: TooManyRequestsError."""
        if len(body) > QUIET_BYTES and not self._devices.take(device_id, len(body)):
            raise TooManyRequestsError("This device says more than can be read.")

    def of_stranger(self, network: str, body: bytes) -> None:
        """Count what somebody says of whom nothing is known. Raises: TooManyRequestsError."""
        if not self._strangers.take(network, max(len(body), LEAST_OF_STRANGERS)):
            raise TooManyRequestsError("More is asked for registrations than can be read.")
