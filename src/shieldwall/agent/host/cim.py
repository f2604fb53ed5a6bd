"""Asking Windows about itself: instances of CIM classes, and methods of them.

Source: DMTF DSP0004 (CIM), Microsoft *MSFT_MpPreference*, *MSFT_MpComputerStatus* and *MSFT_NetFirewallRule*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, Protocol, TypeAlias

from shieldwall.agent.host.errors import HostError

DEFENDER: Final = "root/Microsoft/Windows/Defender"
FIREWALL: Final = "root/StandardCimv2"
SYSTEM: Final = "root/cimv2"

CimValue: TypeAlias = bool | int | float | str | Sequence["CimValue"] | Mapping[str, "CimValue"] | None
"""What a property holds. Times are ISO 8601 in UTC."""
Properties: TypeAlias = Mapping[str, CimValue]


class CimError(HostError):
    """Windows refused a question or a method; ``status`` is its number (an HRESULT), 0 where it gave none."""

    code: ClassVar[str] = "managementRefused"
    remedy: ClassVar[str] = "Look at the component's own event log; the number in the cause names what went wrong."

    def __init__(self, cause: str, *, status: int = 0, remedy: str | None = None) -> None:
        super().__init__(f"{cause} (0x{status:08x})" if status else cause, remedy=remedy)
        self.status = status


class LanguageModeError(CimError):
    """PowerShell may not do what it is asked here: Constrained Language Mode is on."""

    code: ClassVar[str] = "constrainedLanguageMode"
    remedy: ClassVar[str] = (
        "Allow the agent's scripts in the policy that constrains PowerShell (App Control or AppLocker) by their "
        "signature or place, or take this device out of that policy."
    )


class Cim(Protocol):
    """The management of one Windows machine."""

    def instances(self, namespace: str, class_name: str, **options: str) -> Sequence[Properties]:
        """Return all instances of a class; ``options`` as the class takes them (``PolicyStore``, say).

        Raises:
            CimError: The namespace, the class or the service behind it is not there, or refuses.
        """
        ...

    def invoke(self, namespace: str, class_name: str, method: str, arguments: Properties) -> Properties:
        """Call a static method and return its out parameters.

        That it returns says nothing of its effect: a product under tamper protection says yes and does nothing.

        Raises:
            CimError: It was refused, or an argument was (``0x80070057``).
        """
        ...
