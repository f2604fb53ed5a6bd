"""The routes of devices."""

from __future__ import annotations

from typing import Final

from litestar.types import ControllerRouterHandler

from shieldwall.server.portal.devices import clean_up_pages, device_action_pages, device_pages, registration_pages

HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    *device_pages.HANDLERS,
    *device_action_pages.HANDLERS,
    *registration_pages.HANDLERS,
    *clean_up_pages.HANDLERS,
)
