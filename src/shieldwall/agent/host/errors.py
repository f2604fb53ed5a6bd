"""What can go wrong between the agent and its machine."""

from __future__ import annotations

from shieldwall.contract.errors import ShieldwallError


class HostError(ShieldwallError):
    """The machine refused something."""

    code = "hostFailed"
    remedy = "The cause names the file or program; look at its rights and at the state of its disk."


class DiskFullError(HostError):
    """There is no space, or no quota, for what had to be written. The old content is still there."""

    code = "diskFull"
    remedy = "Make space on the file system named; the agent tries again at its next check-in."


class RefusedFileError(HostError):
    """A path that must not be followed: it leads out of the root, or is no regular file."""

    code = "refusedFile"
    remedy = "Put a regular file in that place, or remove what is there."


class ProgramError(HostError):
    """A program could not be started, said far too much or did not end in time."""

    code = "programFailed"
    remedy = "Start the program by hand as root; what it prints says more."
