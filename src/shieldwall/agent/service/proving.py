"""What the applier wants proven: who this device is, what time it is, that the server can still be reached."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from msgspec import Struct

from shieldwall.agent.applier.authority import Claim, claim_text
from shieldwall.agent.applier.pin import Authority, Device
from shieldwall.agent.applier.protocol import Standing
from shieldwall.agent.journal import Journal
from shieldwall.agent.service.enforcer import Enforcer
from shieldwall.agent.service.errors import GatewayUnreachableError
from shieldwall.agent.service.records import Identity, Server
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.messages import Envelope, TimeRequest
from shieldwall.trust import strict_base64
from shieldwall.trust.device_key import public_key_bytes
from shieldwall.trust.onboarding import PackageExpiredError, PackageNotYetValidError
from shieldwall.trust.refusals import ManifestExpiredError

if TYPE_CHECKING:
    from shieldwall.agent.service.gateway import Gateway

T = TypeVar("T")

_ABOUT_TIME: Final = (ManifestExpiredError, PackageExpiredError, PackageNotYetValidError)


def authority_of(server: Server) -> Authority:
    """Return whom a device of this server obeys."""
    return Authority(tenant_id=server.tenant_id, trust_root=server.trust_root, server_urls=server.urls)


class Prove(Struct, frozen=True, kw_only=True):
    """Proves to the applier, with the device key and with what the server signs."""

    identity: Identity
    gateway: Gateway
    enforcer: Enforcer
    journal: Journal

    def __call__(self) -> None:
        """Say who this device is, where the applier knows another one.

        Raises:
            NotPinnedError: Root has not told the applier whom this device obeys.
        """
        self._claim(self.enforcer.look())

    def where_pinned(self) -> None:
        """As a call, but where nothing is pinned there is nothing to prove."""
        standing = self.enforcer.look()
        if standing.tenant_id is not None and not standing.leaving:
            self._claim(standing)

    def in_time(self, ask: Callable[[Envelope | None], T]) -> T:
        """Ask something; where the applier's clock is in the way, ask again with signed time.

        Raises:
            ShieldwallError: As ``ask``, also where the server cannot be asked for the time.
        """
        try:
            return ask(None)
        except _ABOUT_TIME as refusal:
            try:
                time = self.time_for(self.enforcer.look().nonce)
            except GatewayUnreachableError:
                raise refusal from None
            return ask(time)

    def reachable(self) -> bool:
        """Confirm a change that waits for it, over a fresh connection; say whether there was one.

        Raises:
            GatewayUnreachableError: The server does not answer; the change goes back by itself if that stays so.
            ShieldwallError: The applier did not take the proof.
        """
        waiting = self.enforcer.look().unconfirmed
        if waiting is None:
            return False
        self.enforcer.confirm(self.time_for(waiting.nonce))
        self.journal.say("changeConfirmed")
        return True

    def is_waiting(self) -> bool:
        """Say whether a change waits to be confirmed; an applier that does not answer waits for nothing."""
        try:
            return self.enforcer.look().unconfirmed is not None
        except ShieldwallError:
            return False

    def time_for(self, nonce: str) -> Envelope:
        """Let the server sign the time for a nonce. Raises: as ``Gateway.ask_unsigned``."""
        request = TimeRequest(nonce=nonce, tenant_id=self.identity.server.tenant_id)
        return self.gateway.ask_unsigned("/device/v1/time", request, Envelope)

    def _claim(self, standing: Standing) -> None:
        key, device_id = self.gateway.key, self.identity.device_id
        if Device(id=device_id, key=key.thumbprint) in (standing.device, standing.successor):
            return
        authority = authority_of(self.identity.server)
        text = claim_text(authority.tenant_id, device_id, key.thumbprint, standing.nonce)
        claim = Claim(
            id=device_id,
            public_key=strict_base64.encode(public_key_bytes(key.public_key)),
            nonce=standing.nonce,
            signature=strict_base64.encode(key.sign(text)),
        )
        self.enforcer.adopt(authority=authority if self.enforcer.obeys_at_once else None, claim=claim)
