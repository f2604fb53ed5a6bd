"""The routes of the first page and of alerts."""

from __future__ import annotations

from typing import Final

from litestar.types import ControllerRouterHandler

from shieldwall.server.portal.overview import alert_pages, pages

HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    *pages.HANDLERS,
    *alert_pages.HANDLERS,
)
