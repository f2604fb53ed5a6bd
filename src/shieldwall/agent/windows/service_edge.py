"""The shells of the two services: ``python -I -m shieldwall.agent.windows.service_edge applier|agent``.

Windows' service manager starts them, tells them to stop, and hears how they are. What they do is put together in
``applying.py`` and ``working.py``. Source: Microsoft, *Service Programs*; *LocalSystem*, *Virtual Accounts*.
"""

from __future__ import annotations

import sys

assert sys.platform == "win32", "there are such services on Windows alone"

import os
import time
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, ClassVar, Final

import servicemanager
import win32service
import win32serviceutil

from shieldwall.agent.host import preferences
from shieldwall.agent.host.documents import DocumentHost, DocumentStore
from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.host.powershell_cim import PowerShellCim
from shieldwall.agent.host.registry import MOUNT, RegistryStore
from shieldwall.agent.host.registry.one_key import KEYS, OneKeyStore
from shieldwall.agent.host.registry.winreg_backend import WinregBackend
from shieldwall.agent.host.running_system import boot_id, seconds_since_boot
from shieldwall.agent.host.telling import CHECK_IN, STOP
from shieldwall.agent.journal import Journal
from shieldwall.agent.places import AGENT_STATE, APPLIER_STATE, DEFAULT_ROOT
from shieldwall.agent.platforms import WINDOWS, catalog_of
from shieldwall.agent.providers.registry import Management
from shieldwall.agent.providers.windows_defender.landings import landings, properties
from shieldwall.agent.service.waiting import Wake
from shieldwall.agent.windows import system_edge
from shieldwall.agent.windows.applying import WindowsApplier
from shieldwall.agent.windows.door import MOST_PIPES
from shieldwall.agent.windows.identities import AGENT_SERVICE, APPLIER_SERVICE, PIPE
from shieldwall.agent.windows.pipes_edge import NamedPipes
from shieldwall.agent.windows.working import WindowsAgent

_PROGRAMS: Final = ("Windows/System32", "Windows/System32/WindowsPowerShell/v1.0", "Windows/System32/wbem")


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """See ``Clock.now``."""
        return datetime.now(UTC)  # noqa: TID251 - this is the edge where time comes in


class ApplierService(win32serviceutil.ServiceFramework):  # type: ignore[misc]
    """The applier: SYSTEM, without a network."""

    _svc_name_: ClassVar[str] = APPLIER_SERVICE

    def __init__(self, arguments: Any) -> None:
        super().__init__(arguments)
        backend = WinregBackend()
        host = LocalHost(DEFAULT_ROOT, program_directories=[DEFAULT_ROOT / place for place in _PROGRAMS])
        cim = PowerShellCim(host)
        store = preferences.PreferenceStore(cim, properties(landings(catalog_of(WINDOWS)).values()))
        stores: dict[PurePosixPath, DocumentStore] = {
            MOUNT: RegistryStore(backend),
            KEYS: OneKeyStore(backend),
            preferences.MOUNT: store,
        }
        system_edge.note_boot(os.urandom)
        system_edge.shut(str(APPLIER_STATE))
        self._applier = WindowsApplier(
            host=DocumentHost(host, stores),
            registry=backend,
            management=Management(cim=cim, refusals=store.refusals),
            state=APPLIER_STATE,
            pipes=NamedPipes(PIPE, agent_service=AGENT_SERVICE, most=MOST_PIPES),
            clock=SystemClock(),
            journal=Journal(out=system_edge.EventLog(), clock=SystemClock()),
            monotonic=time.monotonic,
            boot_id=boot_id,
            uptime=seconds_since_boot,
        )

    def GetAcceptedControls(self) -> int:  # noqa: N802 - as pywin32 has it
        """Hear of a shutdown before services are stopped."""
        accepted: int = super().GetAcceptedControls()  # type: ignore[no-untyped-call]
        return accepted | win32service.SERVICE_ACCEPT_PRESHUTDOWN

    def SvcOther(self, control: int) -> None:  # noqa: N802 - as above
        """Hear what is neither stop nor pause."""
        if control == win32service.SERVICE_CONTROL_PRESHUTDOWN:
            self._applier.is_going_down = True
            self.SvcStop()

    def SvcStop(self) -> None:  # noqa: N802 - as above
        """Stop."""
        self.ReportServiceStatus(win32service.SERVICE_STOP_PENDING)
        self._applier.stop()

    def SvcDoRun(self) -> None:  # noqa: N802 - as above
        """Serve."""
        self._applier.run(lambda: self.ReportServiceStatus(win32service.SERVICE_RUNNING))


class AgentService(win32serviceutil.ServiceFramework):  # type: ignore[misc]
    """The agent: a virtual account with the network and nothing else."""

    _svc_name_: ClassVar[str] = AGENT_SERVICE

    def __init__(self, arguments: Any) -> None:
        super().__init__(arguments)
        self._agent = WindowsAgent.on_this_machine(
            AGENT_STATE, Journal(out=system_edge.EventLog(), clock=SystemClock()), SystemClock()
        )
        system_edge.listen(CHECK_IN, lambda: self._agent.pause.ask(Wake.SYNC))
        system_edge.listen(STOP, lambda: self._agent.pause.ask(Wake.STOP))

    def SvcStop(self) -> None:  # noqa: N802 - as above
        """Stop."""
        self.ReportServiceStatus(win32service.SERVICE_STOP_PENDING)
        self._agent.stop()

    def SvcDoRun(self) -> None:  # noqa: N802 - as above
        """Check in and enforce."""
        self.ReportServiceStatus(win32service.SERVICE_RUNNING)
        self._agent.run()


def main() -> None:
    """Be the service named."""
    service = {"applier": ApplierService, "agent": AgentService}[sys.argv[1]]
    servicemanager.Initialize()
    servicemanager.PrepareToHostSingle(service)
    servicemanager.StartServiceCtrlDispatcher()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
