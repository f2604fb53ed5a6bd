"""What lets a device out of management: a signed order, an offboarding package, or root where nothing is protected."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from shieldwall.agent.applier import authority
from shieldwall.agent.applier.pin import Pin
from shieldwall.agent.applier.ports import Asker
from shieldwall.agent.applier.refusals import LeaveRefusedError, TamperProtectedError
from shieldwall.contract.messages import Envelope


class Leave(Struct, frozen=True, kw_only=True):
    """What was shown; with neither, it is the word of whoever asks."""

    manifest: Envelope | None = None
    package: Envelope | None = None

    def check(self, asker: Asker, pin: Pin, platform: str, now: datetime) -> str:
        """Say by what this device may go. Pure.

        Raises:
            LeaveRefusedError: What was shown is no leave to go.
            TamperProtectedError: The word of root does not count on this device.
            RefusedManifestError, InvalidPackageError: It does not hold; each reason has its code.
        """
        if self.manifest is not None:
            order = authority.believed(pin, self.manifest, now)
            if not order.manifest.offboard:
                raise LeaveRefusedError("The manifest is no order to leave.")
            if pin.protected and authority.is_another(pin, order.device):
                raise LeaveRefusedError(f"The order is for the device {order.device.id}, which this one is not yet.")
            return "order"
        if self.package is not None:
            opened = authority.leave(pin, self.package, platform, now)
            return f"package {opened.package_id}"
        if not asker.is_root:
            raise LeaveRefusedError("Whoever is not root needs an order or a package to take this device out.")
        if pin.protected:
            raise TamperProtectedError("Tamper protection is on for this device.")
        return "root"
