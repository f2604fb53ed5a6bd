"""The routes of endpoint security."""

from __future__ import annotations

from typing import Final

from litestar.types import ControllerRouterHandler

from shieldwall.server.portal.policies import list_pages, policy_pages

HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (*list_pages.HANDLERS, *policy_pages.HANDLERS)
