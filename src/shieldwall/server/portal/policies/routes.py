"""The routes of endpoint security."""

from __future__ import annotations

from typing import Final

from litestar.types import ControllerRouterHandler

from shieldwall.server.portal.policies import (
    act_pages,
    assignment_pages,
    conflict_pages,
    copy_pages,
    export_pages,
    filter_pages,
    history_pages,
    list_pages,
    long_previews,
    policy_pages,
    reusable_pages,
    rule_pages,
)

HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    *list_pages.HANDLERS,
    *conflict_pages.HANDLERS,
    *rule_pages.HANDLERS,
    *filter_pages.HANDLERS,
    *reusable_pages.HANDLERS,
    *long_previews.HANDLERS,
    *policy_pages.HANDLERS,
    *export_pages.HANDLERS,
    *assignment_pages.HANDLERS,
    *history_pages.HANDLERS,
    *act_pages.HANDLERS,
    *copy_pages.HANDLERS,
)
