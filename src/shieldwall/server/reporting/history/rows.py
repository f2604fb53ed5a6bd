"""What is kept of a fleet of one day: columns of four tables, out of a fleet in memory. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shieldwall.contract.ids import PolicyId, TenantId
from shieldwall.server.reporting import counting
from shieldwall.server.reporting.held import HeldFleet
from shieldwall.server.storage.fleets.image_rows import LISTED

NO_POLICY = "noPolicy"
"""The state of devices that no policy reaches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A fleet as of one moment. Devices are rows of numbers into the two tables of their kinds."""

    tenant_id: TenantId
    as_of: datetime
    high: NDArray[np.uint64]
    """The first half of each device's id."""
    low: NDArray[np.uint64]
    listed: NDArray[np.int32]
    stood: NDArray[np.int32]
    listed_kinds: Mapping[str, Sequence[Any]]
    """The values of each kind, by columns."""
    stood_states: Sequence[str]
    """The gravest state of devices of each kind."""
    fleet: Sequence[tuple[str, str, int]]
    """Property, value, devices."""
    policies: Sequence[tuple[str, str, str, int]]
    """Policy, its name, state, devices."""
    settings: Sequence[tuple[str, str, str, str, int]]
    """Policy, its name, setting, state, devices."""


def day_of(fleet: HeldFleet, names: Mapping[PolicyId, str]) -> Day | None:
    """Return what is kept of a fleet; ``None`` where it is not whole. ``names`` are those of its policies."""
    with fleet.lock:
        devices, standing = fleet.devices(), fleet.standing().fleet
        if fleet.as_of is None or devices is None:
            return None
        keys, listed, stood = fleet.image.rows()
        kinds = fleet.image.listed_kinds.all()
        states = counting.device_states(fleet.tallies, len(fleet.image.stood_kinds))
        as_of = fleet.as_of
    halves = np.frombuffer(keys.tobytes(), dtype=">u8").reshape(-1, 2)
    counts = devices.counts
    properties: dict[str, Mapping[str, int]] = {
        "os": counts.platforms,
        "state": {str(state): number for state, number in counts.states.items()},
        "health": {str(health): number for health, number in counts.health.items()},
        "managedBy": counts.managed_by,
        "enrollmentCode": {str(code): number for code, number in counts.enrollment_codes.items()},
        "agentVersion": devices.agent_versions,
        "policyState": {
            **{str(state): number for state, number in standing.devices.items()},
            NO_POLICY: standing.without_policy,
        },
    }
    return Day(
        tenant_id=fleet.tenant_id,
        as_of=as_of,
        high=halves[:, 0].astype(np.uint64),
        low=halves[:, 1].astype(np.uint64),
        listed=listed,
        stood=stood,
        listed_kinds={
            name: [kind[place] for kind in kinds]
            for place, name in enumerate(LISTED)
            if name not in {"tags", "impaired"}
        },
        stood_states=[NO_POLICY if state is None else str(state) for state in states],
        fleet=[(name, value, number) for name, values in properties.items() for value, number in values.items()],
        policies=[
            (policy, names.get(policy, ""), str(state), number)
            for policy, found in standing.policies.items()
            for state, number in found.devices.items()
        ],
        settings=[
            (policy, names.get(policy, ""), setting, str(state), number)
            for policy, found in standing.policies.items()
            for setting, numbers in found.settings.items()
            for state, number in numbers.items()
        ],
    )
