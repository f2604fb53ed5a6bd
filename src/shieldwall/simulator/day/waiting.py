"""How long devices wait, by the agent's own functions, asked for each of them."""

from __future__ import annotations

from typing import Final

import numpy as np

from shieldwall.agent.service.delays import after_failure
from shieldwall.simulator.day.people import Floats, Whole

KNOCKS: Final = (1.0, 2.0, 4.0, 8.0)
"""Seconds until the kernel of a device that was not heard knocks again (tcp(7), ``tcp_syn_retries``): the fifth time
would be later than an agent waits."""


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
