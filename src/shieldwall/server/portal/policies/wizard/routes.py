"""The routes of the policy wizard."""

from __future__ import annotations

from typing import Final

from litestar.types import ControllerRouterHandler

from shieldwall.server.portal.policies.wizard import (
    assignment_pages,
    basics_pages,
    item_pages,
    review_pages,
    scope_tag_pages,
    settings_pages,
    start_pages,
)

HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    *start_pages.HANDLERS,
    *basics_pages.HANDLERS,
    *settings_pages.HANDLERS,
    *item_pages.HANDLERS,
    *scope_tag_pages.HANDLERS,
    *assignment_pages.HANDLERS,
    *review_pages.HANDLERS,
)
