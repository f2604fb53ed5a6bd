r"""Who is who among the services on Windows, and who may do what with their pipe and directories. Pure.

Sources: Microsoft, *Service Security Identifiers* and *CreateRestrictedToken* (a service's SID is made of its name: the
SHA-1 of the name in upper case, UTF-16), *Security Descriptor String Format*, *ACE Strings*.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Final

from shieldwall.agent.host.running_system import ADMINISTRATOR

APPLIER_SERVICE: Final = "ShieldwallApplier"
AGENT_SERVICE: Final = "ShieldwallAgent"
PIPE: Final = r"\\.\pipe\shieldwall-applier"
SYSTEM_SID: Final = "S-1-5-18"
ADMINISTRATORS_SID: Final = "S-1-5-32-544"
PIPE_RIGHTS: Final = 0x12019B
"""To read and write a pipe: generic reading and writing, without ``FILE_CREATE_PIPE_INSTANCE`` (0x4)."""
AGENT_NUMBER: Final = 1
STRANGER_NUMBER: Final = 2
"""How the applier numbers who asks: administrators as root, the agent's service, everybody else."""


def service_sid(name: str) -> str:
    """Return the SID that Windows gives a service of this name, and its virtual account."""
    digest = hashlib.sha1(name.upper().encode("utf-16-le"), usedforsecurity=False).digest()
    return "S-1-5-80-" + "-".join(map(str, struct.unpack("<5I", digest)))


def pipe_sddl(agent_service: str = AGENT_SERVICE) -> str:
    """Say who may open the applier's pipe: SYSTEM, administrators and the agent, and nobody over the network.

    Nobody but SYSTEM may make further instances of the pipe (``FILE_CREATE_PIPE_INSTANCE``), so nobody answers in its
    place.
    """
    agent = service_sid(agent_service)
    return f"O:SYG:SYD:P(D;;GA;;;NU)(A;;GA;;;SY)(A;;{PIPE_RIGHTS:#x};;;BA)(A;;{PIPE_RIGHTS:#x};;;{agent})"


def directory_sddl(*, agent_may: str = "", agent_service: str = AGENT_SERVICE) -> str:
    """Say who may use a directory and all in it: SYSTEM and administrators, and the agent as far as is said.

    ``agent_may`` is a right in SDDL's words (``FA`` everything, ``0x1200a9`` read and execute); empty is nothing.
    """
    agent = f"(A;OICI;{agent_may};;;{service_sid(agent_service)})" if agent_may else ""
    return f"O:SYG:SYD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA){agent}"


def number_of(*, is_administrator: bool, is_agent: bool) -> int:
    """Number who asks, as the applier numbers users."""
    if is_administrator:
        return ADMINISTRATOR
    return AGENT_NUMBER if is_agent else STRANGER_NUMBER
