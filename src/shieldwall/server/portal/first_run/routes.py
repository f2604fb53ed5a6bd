"""The routes of the first run and of guided fixes."""

from __future__ import annotations

from typing import Final

from litestar.types import ControllerRouterHandler

from shieldwall.server.portal.first_run import help_pages, welcome_pages

HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (*welcome_pages.HANDLERS, *help_pages.HANDLERS)
