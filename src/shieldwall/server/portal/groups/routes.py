"""The routes of groups."""

from __future__ import annotations

from typing import Final

from litestar.types import ControllerRouterHandler

from shieldwall.server.portal.groups import (
    group_editing_pages,
    group_list_pages,
    group_member_pages,
    group_pages,
    group_rule_pages,
    rule_help_pages,
)

HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    *group_list_pages.HANDLERS,
    *group_pages.HANDLERS,
    *group_editing_pages.HANDLERS,
    *group_member_pages.HANDLERS,
    *group_rule_pages.HANDLERS,
    *rule_help_pages.HANDLERS,
)
