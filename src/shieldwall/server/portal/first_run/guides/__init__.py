"""A guided fix for every published enrollment code: what it means, what to look at step by step, when it is over."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from shieldwall.server.portal.first_run.guides import (
    connectivity,
    decided_here,
    identity,
    machine,
    other_managers,
)
from shieldwall.server.portal.first_run.guides.model import Guides

ALL_GUIDES: Final[Guides] = MappingProxyType(
    dict(
        sorted(
            {
                **decided_here.GUIDES,
                **other_managers.GUIDES,
                **machine.GUIDES,
                **identity.GUIDES,
                **connectivity.GUIDES,
            }.items()
        )
    )
)
