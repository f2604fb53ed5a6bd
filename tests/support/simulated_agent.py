"""A device for the simulated gateway: the real network side over a real directory, with products in memory."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from tests.support.simulated_applier import ConfirmsByHand, desk_for, enforcing
from tests.support.simulated_gateway import TENANT, HandClock, MemoryTransport, SimulatedGateway

from shieldwall.agent.applier.desk import Desk
from shieldwall.agent.applier.state import AS_PUBLISHED, Terms
from shieldwall.agent.applier.transaction import NOBODY, Seen
from shieldwall.agent.host.errors import DiskFullError
from shieldwall.agent.host.suitability import Sign
from shieldwall.agent.host.survey import Finding, Survey
from shieldwall.agent.inspection.model import Inspection
from shieldwall.agent.journal import Journal
from shieldwall.agent.service.assembly import Enrolled, Surroundings
from shieldwall.agent.service.check_in import Settled
from shieldwall.agent.service.disk import LocalDisk
from shieldwall.agent.service.records import Identity
from shieldwall.agent.service.state import AgentState
from shieldwall.contract.ids import Digest, PolicyId, SettingId, TemplateId, TenantId
from shieldwall.contract.messages import DeviceFacts, HardwareIds, ManagerKind
from shieldwall.contract.other_managers import manager_of
from shieldwall.contract.settings import PolicyDocument, SimpleSetting, SimpleValue
from shieldwall.contract.status import SettingState, SettingStatus, StatusReport
from shieldwall.contract.strict_json import digest_of_bytes

_SIGN: Final = PurePosixPath("/a/sign")


class KilledError(BaseException):
    """The process dies here, in the middle of whatever it did."""


@dataclass
class MemoryMachine:
    """A machine that says what a test wants it to say."""

    said: DeviceFacts = field(
        default_factory=lambda: DeviceFacts(display_name="laptop", os_type="Linux", os_version="Debian 12")
    )
    boot: str = "boot-1"
    up: float = 100.0
    inspection: Inspection = field(default_factory=Inspection)

    def facts(self) -> DeviceFacts:
        return self.said

    def engines(self) -> Mapping[str, str | None]:
        return dict(self.said.providers)

    def survey(self) -> Survey:
        """Find what is said, as a real survey would have found it."""
        manager, unsuitable = manager_of(self.said), self.said.unsuitable
        kinds: tuple[ManagerKind, ...] = () if manager is None else (manager,)
        if manager == "several":
            kinds = ("configurationManager", "microsoftChannel")
        product = self.said.managed_elsewhere or "Another manager"
        return Survey(
            managers=tuple(Finding(product=product, evidence=_SIGN, kind=kind) for kind in kinds),
            neighbours=(),
            unsuitable_sign=None
            if unsuitable is None
            else Sign(kind=unsuitable, finding="It cannot be managed.", evidence=str(_SIGN)),
        )

    def hardware(self, tenant_id: TenantId) -> HardwareIds:
        return HardwareIds(machine_id_hash=digest_of_bytes(tenant_id.encode()))

    def boot_id(self) -> str:
        return self.boot

    def uptime(self) -> float:
        return self.up


@dataclass
class MemoryEnforcer(ConfirmsByHand):
    """One product whose settings are a dictionary; ``own`` is its state from before management."""

    own: dict[SettingId, str | int] = field(default_factory=dict)
    now: dict[SettingId, str | int] = field(default_factory=dict)
    wanted: dict[SettingId, str | int] = field(default_factory=dict)
    target: Digest | None = None
    terms: Terms = AS_PUBLISHED
    step: Callable[[str], None] = lambda _name: None
    """Called before and after each change; may raise to simulate a fault."""
    recoveries: int = 0

    def __post_init__(self) -> None:
        self.now.update(self.own)

    def recover(self) -> Sequence[str]:
        self.recoveries += 1
        return ()

    def enforce(
        self, documents: Iterable[PolicyDocument], *, target: Digest | None, terms: Terms, is_start: bool = False
    ) -> StatusReport:
        del is_start
        self.step("enforce")
        self.terms = terms
        self.wanted = dict(_values(documents))
        self.target = target
        self.now = self.own | self.wanted
        self.step("enforced")
        return self._report(repaired=False)

    def refresh(self, seen: Seen = NOBODY) -> StatusReport:
        del seen
        repaired = self.now != self.own | self.wanted
        self.now = self.own | self.wanted
        return self._report(repaired=repaired)

    def release(self) -> None:
        self.step("release")
        self.wanted, self.now, self.target = {}, dict(self.own), None

    def _report(self, *, repaired: bool) -> StatusReport:
        return StatusReport(
            target=self.target,
            settings=tuple(
                SettingStatus(
                    setting=setting,
                    state=SettingState.SUCCEEDED,
                    provider="memory",
                    code="repaired" if repaired else None,
                    value=value,
                    read_back=value,
                    written=True,
                )
                for setting, value in sorted(self.wanted.items())
            ),
        )


@dataclass
class FaultyDisk(LocalDisk):
    """A real disk on which a test can make every change a drama: ``step`` is called before and after each."""

    step: Callable[[str], None] = lambda _name: None

    def write(self, path: Path, content: bytes) -> None:
        self.step(f"write {path.name}")
        super().write(path, content)
        self.step(f"written {path.name}")

    def remove(self, path: Path) -> None:
        self.step(f"remove {path.name}")
        super().remove(path)
        self.step(f"removed {path.name}")


@dataclass
class SimulatedAgent:
    """One device. ``enrolled`` starts the agent anew from what is on disk, as after a restart of the process."""

    directory: Path
    gateway: SimulatedGateway
    clock: HandClock = field(default_factory=HandClock)
    machine: MemoryMachine = field(default_factory=MemoryMachine)
    enforcer: MemoryEnforcer = field(default_factory=MemoryEnforcer)
    disk: FaultyDisk = field(default_factory=FaultyDisk)
    own_files: tuple[Path, ...] = ()
    uid: int = 0
    """As whom the agent asks the applier."""
    applier_log: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.network = MemoryTransport(self.gateway)
        self.log = io.StringIO()

    @property
    def state(self) -> AgentState:
        return AgentState(directory=self.directory, disk=self.disk)

    @property
    def desk(self) -> Desk:
        """The applier, as after a start of its process."""
        return desk_for(self.enforcer, self.machine, self.applier, self.clock, say=self._say)

    @property
    def applier(self) -> Path:
        """The applier's own directory."""
        return self.directory.parent / f"{self.directory.name}-applier"

    def _say(self, event: str, **facts: object) -> None:
        self.applier_log.append((event, facts))

    @property
    def surroundings(self) -> Surroundings:
        return Surroundings(
            state=self.state,
            open_transport=lambda _server: self.network,
            machine=self.machine,
            enforcer=enforcing(self.desk, uid=self.uid),
            clock=self.clock,
            randomness=os.urandom,
            journal=Journal(out=self.log, clock=self.clock),
            own_files=self.own_files,
        )

    def onboard(self, **changes: object) -> Identity:
        return self.surroundings.onboard()(self.gateway.package(**changes))

    def enrolled(self) -> Enrolled:
        return self.surroundings.enrolled()

    def check_in(self) -> Settled:
        return self.enrolled().check_in()

    def restart(self) -> Enrolled:
        enrolled = self.enrolled()
        enrolled.enforcement.start()
        return enrolled


@dataclass
class Fault:
    """Raises at the n-th step of those whose names match, once; counts all of them."""

    error: Callable[[str], BaseException]
    at: int | None = None
    named: tuple[str, ...] = ("",)
    seen: list[str] = field(default_factory=list)

    def __call__(self, name: str) -> None:
        if not name.startswith(self.named):
            return
        self.seen.append(name)
        if self.at is not None and len(self.seen) - 1 == self.at:
            raise self.error(name)


def disk_full(name: str) -> DiskFullError:
    return DiskFullError(f"No space left for {name}.")


def killed(name: str) -> KilledError:
    return KilledError(name)


def a_policy(number: int = 1, *, revision: int = 1, **values: str | int) -> PolicyDocument:
    """A policy that sets made-up settings to these values."""
    return PolicyDocument(
        tenant_id=TENANT,
        policy_id=PolicyId(f"cccccccc-0000-4000-8000-{number:012x}"),
        revision=revision,
        name=f"Policy {number}",
        platforms="linux",
        technologies="microsoftSense",
        template_id=TemplateId("made-up_1"),
        modified_at="2026-11-23T11:00:00Z",
        catalog_version="1",
        settings=tuple(
            SimpleSetting(
                definition=SettingId(name),
                value=SimpleValue(kind="integer" if isinstance(value, int) else "string", value=value),
            )
            for name, value in values.items()
        ),
    )


def _values(documents: Iterable[PolicyDocument]) -> Iterable[tuple[SettingId, str | int]]:
    for document in documents:
        for setting in document.settings:
            assert isinstance(setting, SimpleSetting)
            yield setting.definition, setting.value.value
