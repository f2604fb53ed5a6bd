"""Our own services on a protected Windows device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from shieldwall.agent.host.documents import DocumentHost
from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.host.ports import Completed
from shieldwall.agent.host.registry.model import RegistryValue
from shieldwall.agent.windows.own_services import CLOSED, OPEN, SERVICES, WindowsServices, is_open
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
    rights: dict[str, str] = field(default_factory=dict)

    def __init__(self, root: Path, state: bytes) -> None:
        super().__init__(root, program_directories=())
        self.state, self.said = state, []
        self.rights = dict.fromkeys(("ShieldwallApplier", "ShieldwallAgent"), OPEN)

    def find_program(self, name: str) -> str | None:
        return rf"C:\Windows\System32\{name}"

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout_seconds: float = 30.0) -> Completed:
        del stdin, timeout_seconds
        if command[1] == "sdset":
            self.rights[command[2]] = command[3]
        if command[1] == "sdshow":
            return Completed(returncode=0, stdout=f"\r\n{self.rights[command[2]]}\r\n".encode(), stderr=b"")
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
    assert controlled.said[-1] == ["query", "ShieldwallAgent"]
    assert windows.registry.operations == []


def test_without_protection_or_during_a_shutdown_nothing_is_done(tmp_path: Path) -> None:
    ours, controlled, _ = services(tmp_path, STOPPED, start=4)
    assert ours.look(protected=False, is_onboarded=True) == ()
    down, also, _ = services(tmp_path, STOPPED, start=4, going_down=True)
    assert down.look(protected=True, is_onboarded=True) == ()
    assert down.is_going_down()
    assert controlled.said == also.said == []


def test_protection_closes_our_services_and_its_end_opens_them(tmp_path: Path) -> None:
    ours, controlled, _ = services(tmp_path, RUNNING)

    assert ours.look(protected=True, is_onboarded=True) == ()
    assert set(controlled.rights.values()) == {CLOSED}

    controlled.rights["ShieldwallAgent"] = OPEN
    assert ours.look(protected=True, is_onboarded=True) == ("ShieldwallAgent (opened)",)
    assert set(controlled.rights.values()) == {CLOSED}

    ours.look(protected=False, is_onboarded=False)
    assert set(controlled.rights.values()) == {OPEN}


def test_a_service_is_open_when_somebody_else_may_end_it() -> None:
    assert is_open(OPEN)
    assert not is_open(CLOSED)
    assert is_open("D:(A;;RPWP;;;S-1-5-21-1-2-3-500)")
    assert not is_open("D:(D;;WP;;;BA)(A;;RP;;;BA)S:(AU;FA;CCDCLCSWRPWPDTLOCRSDRCWDWO;;;WD)")
