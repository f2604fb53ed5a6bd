"""The routes of devices."""

from __future__ import annotations

from typing import Final

from litestar.types import ControllerRouterHandler

from shieldwall.server.portal.devices import (
    bulk_pages,
    clean_up_pages,
    device_action_pages,
    device_pages,
    export_pages,
    list_pages,
    registration_pages,
    view_pages,
)

HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    *list_pages.HANDLERS,
    *view_pages.HANDLERS,
    *export_pages.HANDLERS,
    *bulk_pages.HANDLERS,
    *device_pages.HANDLERS,
    *device_action_pages.HANDLERS,
    *registration_pages.HANDLERS,
    *clean_up_pages.HANDLERS,
)
