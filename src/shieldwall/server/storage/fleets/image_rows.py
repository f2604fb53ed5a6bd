"""One device as reports hold it in memory, and the fields that make devices alike. No SQL is here."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from shieldwall.contract.ids import DeviceId

LISTED: Final = (
    "os_type",
    "os_version",
    "state",
    "managed_by",
    "enrollment_code",
    "agent_version",
    "attestation_level",
    "tags",
    "impaired",
    "repaired",
    "drifted",
)
"""What is listed of a device, as columns of ``inventory``."""
STOOD: Final = ("target", "status", "os_type", "catalog_version")
"""What an active device with a target stands for."""


class ImageRow(NamedTuple):
    """One device, by the fields of ``LISTED`` and ``STOOD``; the latter are absent unless it is active and aimed at."""

    device_id: DeviceId
    listed: tuple[Any, ...]
    stood: tuple[Any, ...] | None
