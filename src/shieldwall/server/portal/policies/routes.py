"""The routes of endpoint security."""

from __future__ import annotations

from typing import Final

from litestar.types import ControllerRouterHandler

from shieldwall.server.portal.policies import pages

HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (*pages.HANDLERS,)
