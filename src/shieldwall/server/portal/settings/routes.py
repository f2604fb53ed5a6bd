"""The routes of what holds for the whole tenant."""

from __future__ import annotations

from typing import Final

from litestar.types import ControllerRouterHandler

from shieldwall.server.portal.settings import (
    authority_pages,
    offboarding_pages,
    package_pages,
    people_pages,
    protection_pages,
    scope_pages,
    tenant_pages,
)

HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    *people_pages.HANDLERS,
    *package_pages.HANDLERS,
    *offboarding_pages.HANDLERS,
    *protection_pages.HANDLERS,
    *authority_pages.HANDLERS,
    *scope_pages.HANDLERS,
    *tenant_pages.HANDLERS,
)
