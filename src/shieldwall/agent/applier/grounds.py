"""What an applier stands on: the platform of the policies it enforces, and how that is looked at and changed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from shieldwall.agent.host.looking import LinuxLooking, Looking
from shieldwall.agent.host.ports import Host
from shieldwall.agent.platforms import LINUX, MACOS, WINDOWS
from shieldwall.agent.providers.base import Provider
from shieldwall.agent.providers.registry import Management, providers_for
from shieldwall.catalog.model import Catalog
from shieldwall.contract.clock import Clock


class OwnServicesKeeper(Protocol):
    """Looks after our own services."""

    def look(self, *, protected: bool, is_onboarded: bool) -> tuple[str, ...]:
        """Put back what somebody changed, and name it. Raises: HostError."""
        ...

    def is_going_down(self) -> bool:
        """Say whether our services end because the machine does, or because the package exchanges them."""
        ...


class Ground(Struct, frozen=True, kw_only=True):
    """One machine of one platform."""

    platform: str
    """In the words of catalog and policies."""
    looking: Looking
    providers: Callable[[Catalog], tuple[Provider, ...]]
    services: OwnServicesKeeper | None = None
    is_inspected: bool = False
    """Whether the doctor's looks (``agent/inspection``) are made for this platform."""


def linux_ground(host: Host, clock: Clock) -> Ground:
    """Stand on Linux."""
    from shieldwall.agent.applier.own_services import OwnServices  # noqa: PLC0415 - systemd is there alone

    return Ground(
        platform=LINUX,
        looking=LinuxLooking(host),
        providers=lambda catalog: providers_for(LINUX, catalog),
        services=OwnServices(host=host, clock=clock),
        is_inspected=True,
    )


if sys.platform == "win32":

    def ground_of_this_system(host: Host, clock: Clock) -> Ground:
        """Stand on the system that this program runs on, where a look at its files and programs is enough.

        Raises:
            ValueError: It is Windows, whose registry and management are handed in (``windows_ground``).
        """
        raise ValueError(f"{host.root} is a Windows machine, at {clock.now()}, that its applier's service manages.")

elif sys.platform == "darwin":

    def ground_of_this_system(host: Host, clock: Clock) -> Ground:  # noqa: ARG001 - as elsewhere
        """Stand on the system that this program runs on, where a look at its files and programs is enough.

        Raises:
            ValueError: It is Windows, whose registry and management are handed in (``windows_ground``).
        """
        from shieldwall.agent.host.macos.looking import MacosLooking  # noqa: PLC0415 - there alone

        return macos_ground(MacosLooking(host))

else:

    def ground_of_this_system(host: Host, clock: Clock) -> Ground:
        """Stand on the system that this program runs on, where a look at its files and programs is enough.

        Raises:
            ValueError: It is Windows, whose registry and management are handed in (``windows_ground``).
        """
        return linux_ground(host, clock)


def windows_ground(
    host: Host,
    management: Management,
    *,
    boot_id: Callable[[], str],
    uptime: Callable[[], float],
    services: OwnServicesKeeper | None = None,
) -> Ground:
    """Stand on Windows."""
    from shieldwall.agent.host.windows.looking import WindowsLooking  # noqa: PLC0415 - as above

    return Ground(
        platform=WINDOWS,
        looking=WindowsLooking(host=host, cim=management.cim, boot=boot_id, seconds=uptime),
        providers=lambda catalog: providers_for(WINDOWS, catalog, management),
        services=services,
    )


def macos_ground(looking: Looking, services: OwnServicesKeeper | None = None) -> Ground:
    """Stand on macOS."""
    return Ground(
        platform=MACOS, looking=looking, providers=lambda catalog: providers_for(MACOS, catalog), services=services
    )
