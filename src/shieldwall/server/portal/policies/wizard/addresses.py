"""How devices reach this server: no rule that is written here may cut them off from it."""

from __future__ import annotations

from shieldwall.catalog.firewall import ServerEndpoints
from shieldwall.server.services import AdminServices


def server_of(services: AdminServices) -> ServerEndpoints:
    """Say how devices reach this server."""
    return ServerEndpoints.of((services.settings.gateway_url, *services.settings.public_urls))
