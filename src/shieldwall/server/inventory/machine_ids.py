"""Ids of machines as Defender for Endpoint writes them: forty hexadecimal digits. Pure.

Ours are made of the device's id, so that either leads to the other without a table, also in SQL: its digits, and the
first eight of them again.
"""

from __future__ import annotations

import re
from typing import Final

from shieldwall.contract.errors import InvalidIdError
from shieldwall.contract.ids import DeviceId, parse_device_id

MACHINE_ID: Final = r"[0-9a-fA-F]{40}"
_PARTS: Final = (8, 12, 16, 20, 32)
_DIGITS: Final = 32
_REPEATED: Final = 8


def machine_id_of(device_id: DeviceId) -> str:
    """Write a device's id as that of a machine."""
    return device_id.replace("-", "") + device_id[:_REPEATED]


def device_id_of(machine_id: str) -> DeviceId:
    """Read the id of a machine. Raises: InvalidIdError."""
    if not re.fullmatch(MACHINE_ID, machine_id):
        raise InvalidIdError("The id of a machine has forty hexadecimal digits.")
    digits = machine_id.lower()[:_DIGITS]
    starts = (0, *_PARTS[:-1])
    device_id = parse_device_id("-".join(digits[start:end] for start, end in zip(starts, _PARTS, strict=True)))
    if machine_id_of(device_id) != machine_id.lower():
        raise InvalidIdError("This is the id of no machine.")
    return device_id
