"""What the applier refuses, whoever asks; each refusal has its own code.

``ApplierRefusal``
 ├── ``NotPinnedError``: nobody has said whom this device obeys
 ├── ``PinRefusedError``: somebody wants it to obey another one, and may not say so
 ├── ``DeviceProofError``: a name for this device that nobody has proven
 ├── ``SuccessorWeakerError``: as the one that it would become, this protected device would be protected less
 ├── ``TamperProtectedError``: this device does not leave by the word of whoever is at it
 ├── ``LeaveRefusedError``: what was shown is no leave to go
 ├── ``StrangerError``, ``TooManyConnectionsError``, ``TooMuchAtOnceError``, ``TooMuchWaitsError``: who asks; how much
 └── ``ApplierBrokenError``: it failed
"""

from __future__ import annotations

from shieldwall.contract.errors import ShieldwallError


class ApplierRefusal(ShieldwallError):  # noqa: N818 - the kinds of it are the errors
    """The applier does not do what it was asked to."""

    code = "applierRefused"
    remedy = "Look at the log of shieldwall-applier on this device."


class NotPinnedError(ApplierRefusal):
    """Nobody with the right to has said which tenant this device obeys, or who it is there."""

    code = "notPinned"
    remedy = "Run shieldwall-agent onboard PACKAGE as root; on a device that is onboarded, shieldwall-agent pin."


class PinRefusedError(ApplierRefusal):
    """Another tenant, or other keys, than those pinned; or somebody who may not pin."""

    code = "pinRefused"
    remedy = "Take the device out of management first: shieldwall-agent offboard, as root."


class DeviceProofError(ApplierRefusal):
    """The claim to be a device is not signed by that device's key over a nonce of this applier."""

    code = "deviceProof"
    remedy = "Start the agent again: it proves its identity anew. If that does not help, onboard the device again."


class SuccessorWeakerError(ApplierRefusal):
    """As the other registration that it is to become, this protected device would be protected less."""

    code = "successorWeaker"
    remedy = (
        "Give the registration that this device becomes the same policies and tamper protection; once it is that one, "
        "change what you like."
    )


class TamperProtectedError(ApplierRefusal):
    """This device is protected against tampering; that was told to the server."""

    code = "tamperProtected"
    remedy = (
        "Offboard the device in the admin center, or ask an administrator for an offboarding package and run "
        "shieldwall-agent offboard --package FILE."
    )


class LeaveRefusedError(ApplierRefusal):
    """Neither an order, nor a package, nor root's word where that counts."""

    code = "leaveRefused"
    remedy = "Run shieldwall-agent offboard as root, or let an administrator order the offboarding."


class StrangerError(ApplierRefusal):
    """Somebody who is neither root nor the agent asks the applier."""

    code = "notAllowed"
    remedy = "Run the command as root."


class TooManyConnectionsError(ApplierRefusal):
    """One user has too many connections to the applier open."""

    code = "tooManyConnections"
    remedy = "Look at what opens them: ss --unix --processes; then try again."


class TooMuchAtOnceError(ApplierRefusal):
    """More is being said to the applier at once than it keeps in memory."""

    code = "tooMuchAtOnce"
    remedy = "Try again: one agent alone never says so much."


class TooMuchWaitsError(ApplierRefusal):
    """So much of this user waits to be answered that no more may, or a newer request took the place of this one."""

    code = "tooMuchWaits"
    remedy = "Ask again in a few seconds; if it stays so, look for a program of that user that asks all the time."


class ApplierBrokenError(ApplierRefusal):
    """The applier failed at a request in a way nobody foresaw; what it enforces stays."""

    code = "applierBroken"
    remedy = "This is a defect; the log of shieldwall-applier has the cause. Report it."
