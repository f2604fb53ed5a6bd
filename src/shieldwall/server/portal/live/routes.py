"""The routes of live pages."""

from __future__ import annotations

from typing import Final

from litestar.types import ControllerRouterHandler

from shieldwall.server.portal.live import pages

HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (*pages.HANDLERS,)
