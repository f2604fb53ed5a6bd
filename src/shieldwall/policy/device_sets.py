"""Sets of devices as the bits of a number: a hundred thousand devices meet in a microsecond.

A device is its place in a fixed order of the fleet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

DeviceSet: TypeAlias = int
"""Bit ``n`` is set when the device at place ``n`` belongs."""

NOBODY: Final[DeviceSet] = 0
_BITS_OF: Final = tuple(tuple(bit for bit in range(8) if octet >> bit & 1) for octet in range(256))


def everybody(size: int) -> DeviceSet:
    """Return the set of all devices of a fleet."""
    return (1 << size) - 1


def of_places(places: Iterable[int], size: int) -> DeviceSet:
    """Return the set of the devices at these places of a fleet."""
    octets = bytearray((size + 7) // 8)
    for place in places:
        octets[place >> 3] |= 1 << (place & 7)
    return int.from_bytes(octets, "little")


def count(devices: DeviceSet) -> int:
    """Count the devices of a set."""
    return devices.bit_count()


def first(devices: DeviceSet) -> int:
    """Return the first place of a set that is not empty."""
    return (devices & -devices).bit_length() - 1


def places(devices: DeviceSet, most: int | None = None) -> Iterator[int]:
    """Yield the places of a set in their order, at most so many."""
    if most is not None:  # a few are found by asking for the first again and again, wherever they are
        for _ in range(min(most, count(devices))):
            yield first(devices)
            devices &= devices - 1
        return
    octets = devices.to_bytes((devices.bit_length() + 7) // 8, "little")
    for position, octet in enumerate(octets):
        for bit in _BITS_OF[octet]:
            yield position * 8 + bit


def contains(devices: DeviceSet, place: int) -> bool:
    """Say whether the device at a place belongs."""
    return devices >> place & 1 == 1
