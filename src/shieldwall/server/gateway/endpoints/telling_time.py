"""``/device/v1/time``: signed time for a device whose clock is not believed."""

from __future__ import annotations

from dataclasses import dataclass

from shieldwall.contract.ids import TenantId
from shieldwall.contract.messages import TimeRequest
from shieldwall.server.gateway.calls import Answer, Call, answer_json
from shieldwall.server.gateway.lanes import Lane
from shieldwall.server.gateway.problems import TooManyRequestsError
from shieldwall.server.gateway.rate_limit import SharedBucket
from shieldwall.server.gateway.routes import Access, Route
from shieldwall.server.gateway.signing import Signing
from shieldwall.server.gateway.tenancy import PathTenants


@dataclass(frozen=True, slots=True, kw_only=True)
class TellingTime:
    """Anyone may ask, but not as often as they like; who names no tenant gets the time of ``home``."""

    home: TenantId
    tenants: PathTenants
    signing: Signing
    bucket: SharedBucket

    def routes(self) -> tuple[Route, ...]:
        """List the one path."""
        return (
            Route(
                method="POST",
                path="/device/v1/time",
                access=Access.ANYONE,
                lane=Lane.VITAL,
                body_limit=1024,
                handler=self.post_time,
            ),
        )

    async def post_time(self, call: Call) -> Answer:
        """Sign the present time, with the time key of the tenant named, over the nonce of whoever asks."""
        if not self.bucket.take(call.network):
            raise TooManyRequestsError("Signed time is asked for too often.")
        request = call.decoded(TimeRequest)
        tenant_id = self.home if request.tenant_id is None else await self.tenants.known(request.tenant_id)
        signer = self.signing.signers.for_tenant(tenant_id)
        return answer_json(await self.signing.ask(signer.sign_time, request.nonce))
