"""The routes of what holds for the whole tenant."""

from __future__ import annotations

from typing import Final

from litestar.types import ControllerRouterHandler

from shieldwall.server.portal.settings import (
    access_pages,
    app_credential_pages,
    app_pages,
    audit_pages,
    authority_pages,
    connector_pages,
    offboarding_pages,
    package_pages,
    people_pages,
    protection_pages,
    provider_pages,
    retention_pages,
    role_assignment_pages,
    role_pages,
    scope_pages,
    scope_tag_pages,
    tenant_pages,
    webhook_pages,
)

HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (
    *people_pages.HANDLERS,
    *role_pages.HANDLERS,
    *role_assignment_pages.HANDLERS,
    *access_pages.HANDLERS,
    *scope_tag_pages.HANDLERS,
    *retention_pages.HANDLERS,
    *connector_pages.HANDLERS,
    *webhook_pages.HANDLERS,
    *provider_pages.HANDLERS,
    *app_pages.HANDLERS,
    *app_credential_pages.HANDLERS,
    *audit_pages.HANDLERS,
    *package_pages.HANDLERS,
    *offboarding_pages.HANDLERS,
    *protection_pages.HANDLERS,
    *authority_pages.HANDLERS,
    *scope_pages.HANDLERS,
    *tenant_pages.HANDLERS,
)
