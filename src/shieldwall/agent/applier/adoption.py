"""Whom this device obeys, and who it is: who may say so. Pure over pin and nonces.

Root says which tenant, once; another one only after this device has left the first. Who the device is, its own key has
to prove over a nonce of ours, and the tenant's next manifest has to name it; until then it stays who it was. So whoever
owns the agent cannot make it obey anybody else, nor take the manifests of another device whose key they do not have. A
protected device becomes another one only without being protected less.
"""

from __future__ import annotations

from msgspec.structs import replace

from shieldwall.agent.applier import authority
from shieldwall.agent.applier.authority import Believed, Claim
from shieldwall.agent.applier.nonces import Nonces
from shieldwall.agent.applier.pin import Authority, Change, Pin
from shieldwall.agent.applier.ports import Asker
from shieldwall.agent.applier.refusals import (
    DeviceProofError,
    NotPinnedError,
    PinRefusedError,
    SuccessorWeakerError,
)


def obeying(asker: Asker, pin: Pin | None, wanted: Authority) -> Pin:
    """Return the pin that obeys ``wanted``. Raises: NotPinnedError, PinRefusedError."""
    if not asker.is_root:
        if pin is not None and pin.authority.is_same_as(wanted):
            return pin  # whoever is not root cannot move the way to the server, and need not
        if pin is None:
            raise NotPinnedError("Root has not said yet whom this device obeys.")
        raise PinRefusedError("Only root says whom this device obeys.")
    if wanted.trust_root.tenant_id != wanted.tenant_id:
        raise PinRefusedError("The trust root belongs to another tenant.")
    if pin is None or (pin.device is None and not pin.leaving):
        return Pin(authority=wanted)
    if not pin.authority.is_same_as(wanted):
        raise PinRefusedError(f"This device obeys the tenant {pin.authority.tenant_id} already, by other keys.")
    return replace(pin, authority=authority.merged(pin.authority, wanted))


def claimed(pin: Pin | None, claim: Claim, nonces: Nonces) -> Pin:
    """Return the pin with a proven identity, which the next manifest has to name; the nonce is spent.

    Raises:
        NotPinnedError: It claims to be a device of a tenant that nobody has pinned.
        DeviceProofError: Its key has not signed that over one of our nonces.
    """
    if pin is None:
        raise NotPinnedError("A device cannot be one of a tenant that root has not pinned.")
    if not nonces.spend(claim.nonce):
        raise DeviceProofError("The claim answers no nonce of this applier.")
    device = authority.proven(claim, pin.authority.tenant_id)
    return pin if device in pin.devices else replace(pin, successor=device)


def check_successor(pin: Pin, believed: Believed, change: Change) -> None:
    """Let a protected device become another one only where that takes nothing from its protection.

    A manifest does not say whom it succeeds, and the agent's word that this is a promotion counts for nothing.

    Raises:
        SuccessorWeakerError: It would be protected less.
    """
    if not (pin.protected and authority.is_another(pin, believed.device)):
        return
    protection = believed.manifest.protection
    if change.weakened or not protection.tamper or protection.troubleshooting_until is not None:
        raise SuccessorWeakerError(f"As {believed.device.id} this device would be protected less than it is.")
