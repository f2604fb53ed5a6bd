"""The routes of reports."""

from __future__ import annotations

from typing import Final

from litestar.types import ControllerRouterHandler

from shieldwall.server.portal.reports import (
    coverage_pages,
    device_report_pages,
    export_pages,
    index_pages,
    policy_report_pages,
)

HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    *index_pages.HANDLERS,
    *policy_report_pages.HANDLERS,
    *coverage_pages.HANDLERS,
    *device_report_pages.HANDLERS,
    *export_pages.HANDLERS,
)
