"""The first page: how the tenant stands, and what needs somebody."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from litestar import Response, get
from litestar.types import ControllerRouterHandler
from sqlalchemy import Connection

from shieldwall.contract.status import SettingState
from shieldwall.server.authorization import everybody
from shieldwall.server.inventory.machines import facets, filter_at
from shieldwall.server.portal.handling import SIGNED_IN, PageRequest, Renderer, Services
from shieldwall.server.portal.overview.standing import fleet
from shieldwall.server.portal.paging import PAGE_SIZE
from shieldwall.server.portal.policies.pages import policy_rows
from shieldwall.server.portal.views import (
    PolicyRow,
    counts_of,
)
from shieldwall.server.services import AdminServices
from shieldwall.server.sight import Sight, sight_of
from shieldwall.server.storage import alerts
from shieldwall.server.storage import devices as stored_devices
from shieldwall.server.storage.device_records import DeviceState
from shieldwall.server.storage.inventory import Health
from shieldwall.server.storage.records import Page

_AWAITING: Final = (
    ("state", DeviceState.PENDING.value, "waiting to be let in"),
    ("state", DeviceState.QUARANTINED.value, "in quarantine"),
    ("health", Health.INACTIVE.value, "inactive"),
)
"""What the first page counts: the facet, its value, and how that is said."""


@get("/", opt=SIGNED_IN | everybody(), sync_to_thread=True)
def overview(services: Services, rendering: Renderer, request: PageRequest) -> Response[str]:
    """Show how the tenant stands."""
    sight = sight_of(request)
    with services.database.read() as connection:
        rows = policy_rows(services, connection, Page(size=PAGE_SIZE, where=sight.policies()), sight)
        count = stored_devices.count(connection, services.tenant.id, sight.devices())
        standing = fleet(connection, services.tenant.id, only=sight.reported_devices())
        alert_count = alerts.count_open(connection, services.tenant.id, sight.alerts())
        awaiting: list[tuple[int, str, str]] = []
        if "x-requested-for" not in request.headers:  # a refresh takes the fleet alone
            awaiting = _awaiting(connection, services, sight)
    return rendering.page(
        request,
        "overview/overview.html",
        section="/",
        policies=sorted(rows, key=_trouble, reverse=True),
        device_count=count,
        fleet=standing,
        alert_count=alert_count,
        awaiting=awaiting,
        counts=counts_of(standing.counts),
    )


HANDLERS: Final[tuple[ControllerRouterHandler, ...]] = (overview,)


def _awaiting(connection: Connection, services: AdminServices, sight: Sight) -> list[tuple[int, str, str]]:
    """Count the devices that wait for somebody's decision or fell silent, each with where they are listed."""
    fitting = replace(filter_at(services.clock.now()), only=sight.listed_devices())
    counted = facets(connection, services.tenant.id, fitting, ("state", "health"))
    found = [(counted[facet].get(word, 0), words, f"/devices?{facet}={word}") for facet, word, words in _AWAITING]
    return [each for each in found if each[0]]


def _trouble(row: PolicyRow) -> tuple[int, int]:
    return row.counts[SettingState.ERROR], row.counts[SettingState.CONFLICT]
