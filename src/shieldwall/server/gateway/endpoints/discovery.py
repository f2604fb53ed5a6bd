"""``GET /{tenant}/Discover``: where everything is, for clients that know only the server."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from shieldwall.contract.clock import Clock
from shieldwall.contract.ids import TenantId
from shieldwall.contract.messages import PROTOCOLS
from shieldwall.server.gateway.calls import Answer, Call, answer_json
from shieldwall.server.gateway.lanes import Lane
from shieldwall.server.gateway.routes import Access, Route
from shieldwall.server.gateway.tenancy import PathTenants
from shieldwall.trust import moments


class DiscoverAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The paths of the device protocol, and which versions of it are spoken."""

    tenant_id: TenantId
    protocols: tuple[int, ...]
    nonce: str
    device: str
    check_in: str
    fetch: str
    wait: str
    time: str
    server_time: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """Anyone may ask."""

    tenants: PathTenants
    gateway_url: str
    clock: Clock

    def routes(self) -> tuple[Route, ...]:
        """List the one path."""
        return (
            Route(
                method="GET",
                path="/{tenant}/Discover",
                query="api-version=1.0",
                access=Access.ANYONE,
                lane=Lane.ENROLMENT,
                handler=self.get_discover,
            ),
        )

    async def get_discover(self, call: Call) -> Answer:
        """Name every path with the configured public address, whatever the request says."""
        tenant_id = await self.tenants.of(call)
        enrollment = f"{self.gateway_url}/{tenant_id}/EnrollmentServer"
        return answer_json(
            DiscoverAnswer(
                tenant_id=tenant_id,
                protocols=PROTOCOLS,
                nonce=f"{enrollment}/nonce",
                device=f"{enrollment}/device",
                check_in=f"{self.gateway_url}/device/v1/checkin",
                fetch=f"{self.gateway_url}/device/v1/fetch",
                wait=f"{self.gateway_url}/device/v1/wait",
                time=f"{self.gateway_url}/device/v1/time",
                server_time=moments.write(self.clock.now()),
            )
        )
