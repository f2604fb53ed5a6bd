"""What changes policies, put together from the parts of a server: the API and the admin center save by the same."""

from __future__ import annotations

from shieldwall.catalog.validate import ServerEndpoints
from shieldwall.server.manager.change_sets import ChangeSets
from shieldwall.server.manager.policies import Policies
from shieldwall.server.manager.reusable_settings import ReusableSettings
from shieldwall.server.services import AdminServices


def server_of(services: AdminServices) -> ServerEndpoints:
    """Say how devices reach this server, so that no firewall rule cuts them off from it."""
    return ServerEndpoints.of((services.settings.gateway_url, *services.settings.public_urls))


def authoring(services: AdminServices) -> Policies:
    """Return what saves policies."""
    return Policies(catalog=services.catalog, signer=services.signer, server=server_of(services))


def changing(services: AdminServices) -> ChangeSets:
    """Return what applies change sets."""
    return ChangeSets(catalog=services.catalog, signer=services.signer, server=server_of(services))


def reusing(services: AdminServices) -> ReusableSettings:
    """Return what saves reusable settings."""
    return ReusableSettings(catalog=services.catalog, signer=services.signer, server=server_of(services))
