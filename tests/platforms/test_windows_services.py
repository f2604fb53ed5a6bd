"""Our own services on a protected Windows device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shieldwall.agent.host.documents import DocumentHost
from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.host.ports import Completed
from shieldwall.agent.host.registry.model import RegistryValue
from shieldwall.agent.windows.own_services import SERVICES, WindowsServices
from shieldwall.testing.windows.machine import PretendWindows

RUNNING = (
    b"SERVICE_NAME: ShieldwallAgent\r\n"
    b"        TYPE               : 10  WIN32_OWN_PROCESS\r\n"
    b"        STATE              : 4  RUNNING\r\n"
)
STOPPED = RUNNING.replace(b"4  RUNNING", b"1  STOPPED")


@dataclass
class Controlled(LocalHost):
    """A host with ``sc.exe``."""

    state: bytes = RUNNING
    said: list[Sequence[str]] = field(default_factory=list)

    def __init__(self, root: Path, state: bytes) -> None:
        super().__init__(root, program_directories=())
        self.state, self.said = state, []

    def find_program(self, name: str) -> str | None:
        return rf"C:\Windows\System32\{name}"

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout_seconds: float = 30.0) -> Completed:
        del stdin, timeout_seconds
        self.said.append(command[1:])
        return Completed(returncode=0, stdout=self.state, stderr=b"")


def services(
    root: Path, state: bytes, *, start: int = 2, going_down: bool = False
) -> tuple[WindowsServices, Controlled, PretendWindows]:
    windows = PretendWindows(root)
    for name in ("ShieldwallApplier", "ShieldwallAgent"):
        windows.registry.fill(rf"{SERVICES}\{name}", {"Start": RegistryValue.dword(start)})
    controlled = Controlled(root, state)
    host = DocumentHost(controlled, windows.stores)
    return WindowsServices(host=host, registry=windows.registry, going_down=lambda: going_down), controlled, windows


def test_a_stopped_and_disabled_agent_comes_back_on_a_protected_device(tmp_path: Path) -> None:
    ours, controlled, windows = services(tmp_path, STOPPED, start=4)

    told = ours.look(protected=True, is_onboarded=True)

    assert told == ("ShieldwallApplier (disabled)", "ShieldwallAgent (disabled)", "ShieldwallAgent (stopped)")
    assert windows.registry.value(rf"{SERVICES}\ShieldwallAgent", "Start") == RegistryValue.dword(2)
    assert ["start", "ShieldwallAgent"] in controlled.said


def test_what_runs_is_left_alone(tmp_path: Path) -> None:
    ours, controlled, windows = services(tmp_path, RUNNING)

    assert ours.look(protected=True, is_onboarded=True) == ()
    assert controlled.said == [["query", "ShieldwallAgent"]]
    assert windows.registry.operations == []


def test_without_protection_or_during_a_shutdown_nothing_is_done(tmp_path: Path) -> None:
    ours, controlled, _ = services(tmp_path, STOPPED, start=4)
    assert ours.look(protected=False, is_onboarded=True) == ()
    down, also, _ = services(tmp_path, STOPPED, start=4, going_down=True)
    assert down.look(protected=True, is_onboarded=True) == ()
    assert down.is_going_down()
    assert controlled.said == also.said == []
