"""Who acts where devices speak, and what is decided for one of them at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from shieldwall.contract.clock import Clock
from shieldwall.contract.ids import DeviceId, TenantId
from shieldwall.server.directory.acting import Acting
from shieldwall.server.inventory.nonces import NonceSealer
from shieldwall.server.inventory.onboarding import Onboarding
from shieldwall.server.inventory.pending import CertificateIssuer
from shieldwall.server.inventory.promotion import Promotion
from shieldwall.server.manager.catching_up import CATCHING_UP
from shieldwall.server.manager.targeting import retarget
from shieldwall.server.manager.turns import CallingDevice


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayActing:
    """Acts in the name of devices, and of the server where it lets them catch up."""

    clock: Clock
    new_id: Callable[[], str]
    sealer: NonceSealer

    def in_tenant(self, tenant_id: TenantId, actor: str = CATCHING_UP) -> Acting:
        """Act in a tenant; ``actor`` is the name for the audit trail."""
        return Acting(
            tenant_id=tenant_id,
            actor=actor,
            clock=self.clock,
            new_id=self.new_id,
            on_devices_changed=self._aim_anew,
        )

    def for_device(self, device: CallingDevice) -> Acting:
        """Act for the device that calls."""
        return self.in_tenant(device.tenant_id, f"device:{device.id}")

    def onboarding(self, tenant_id: TenantId, issuer: CertificateIssuer) -> Onboarding:
        """Return what lets newcomers into a tenant, with certificates of this issuer."""
        return Onboarding(
            tenant_id=tenant_id,
            signer=issuer,
            sealer=self.sealer,
            clock=self.clock,
            new_id=self.new_id,
            on_devices_changed=self._aim_anew,
        )

    def promotion(self, device: CallingDevice, issuer: CertificateIssuer) -> Promotion:
        """Return what turns the device that calls into its full registration."""
        return Promotion(acting=self.for_device(device), signer=issuer, sealer=self.sealer)

    def _aim_anew(self, connection: Connection, device_ids: frozenset[DeviceId]) -> None:
        retarget(connection, device_ids, self.clock.now())
