"""The routes of long work."""

from __future__ import annotations

from typing import Final

from litestar.types import ControllerRouterHandler

from shieldwall.server.portal.work import pages

HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (*pages.HANDLERS,)
