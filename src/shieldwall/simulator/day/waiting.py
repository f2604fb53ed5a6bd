"""How long devices wait, by the agent's own functions, asked for each of them."""

from __future__ import annotations

import numpy as np

from shieldwall.agent.service.delays import after_failure
from shieldwall.simulator.day.people import Floats, Whole


def after_failures(failures: Whole, chance: Floats) -> Floats:
    """Return the seconds after the so many-th failure in a row of each device."""
    drawn = zip(failures.tolist(), chance.tolist(), strict=True)
    return np.fromiter((after_failure(times, chance=each) for times, each in drawn), np.float64, len(failures))


def after_refusals(failures: Whole, chance: Floats, retry_after: Whole) -> Floats:
    """Return the seconds after an answer that named a time to come back."""
    drawn = zip(failures.tolist(), chance.tolist(), retry_after.tolist(), strict=True)
    return np.fromiter(
        (after_failure(times, chance=each, retry_after_seconds=asked) for times, each, asked in drawn),
        np.float64,
        len(failures),
    )
