"""The routes of signing in and of people's own accounts."""

from __future__ import annotations

from typing import Final

from litestar.types import ControllerRouterHandler

from shieldwall.server.portal.sign_in import (
    account_pages,
    authorize_pages,
    confirming,
    device_code_pages,
    federated_pages,
    signing_in,
)

HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    *signing_in.HANDLERS,
    *confirming.HANDLERS,
    *federated_pages.HANDLERS,
    *account_pages.HANDLERS,
    *authorize_pages.HANDLERS,
    *device_code_pages.HANDLERS,
)
