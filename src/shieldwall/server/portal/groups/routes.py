"""The routes of groups."""

from __future__ import annotations

from typing import Final

from litestar.types import ControllerRouterHandler

from shieldwall.server.portal.groups import group_pages, group_rule_pages

HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    *group_pages.HANDLERS,
    *group_rule_pages.HANDLERS,
)
