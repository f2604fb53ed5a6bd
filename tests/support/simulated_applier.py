"""The applier before pretend products: its real warden, its real files, and no process of its own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal, Protocol

from shieldwall.agent.applier.confirming import NothingToConfirmError, Unconfirmed
from shieldwall.agent.applier.desk import Desk
from shieldwall.agent.applier.evidence import Evidence
from shieldwall.agent.applier.examination import Examination, Surveyed
from shieldwall.agent.applier.nonces import Nonces
from shieldwall.agent.applier.pin import Change, PinFile
from shieldwall.agent.applier.ports import Asker, Engine, Say
from shieldwall.agent.applier.shelf import Shelf
from shieldwall.agent.applier.sources import SettingSource
from shieldwall.agent.applier.state import Stage
from shieldwall.agent.applier.warden import Warden
from shieldwall.agent.detections.handing import Handing
from shieldwall.agent.host.survey import Survey
from shieldwall.agent.inspection.model import Inspection
from shieldwall.agent.service.enforcer import AskingEnforcer
from shieldwall.contract.clock import Clock
from shieldwall.contract.ids import TenantId
from shieldwall.contract.messages import DeviceFacts, HardwareIds


class PretendMachine(Protocol):
    """What the warden and the examiner ask of a machine."""

    def facts(self) -> DeviceFacts: ...

    def survey(self) -> Survey: ...

    def hardware(self, tenant_id: TenantId) -> HardwareIds: ...

    def boot_id(self) -> str: ...

    def uptime(self) -> float: ...


class ConfirmsByHand:
    """The part of an engine that is about changes on probation: one waits when a test says so."""

    waiting: Unconfirmed | None = None
    starts: tuple[str, ...] = ()
    stops: tuple[str, ...] = ()

    def unconfirmed(self) -> Unconfirmed | None:
        return self.waiting

    def confirm(self, nonce: str) -> None:
        if self.waiting is None or self.waiting.nonce != nonce:
            raise NothingToConfirmError("No change waits.")
        self.waiting = None

    def revert_if_due(self) -> Sequence[str]:
        return ()

    def stage(self) -> Stage:
        return Stage.NORMAL

    def sources(self, *, manager: str | None = None, protected: bool = False) -> tuple[SettingSource, ...]:
        del manager, protected
        return ()

    def note_start(self, program: str) -> Stage:
        self.starts = (*self.starts, program)
        return Stage.NORMAL

    def note_stop(self, program: str) -> None:
        self.stops = (*self.stops, program)


def unheard_of(_event: str, **_facts: object) -> None:
    """Write nothing down."""


def desk_for(engine: Engine, machine: PretendMachine, directory: Path, clock: Clock, *, say: Say = unheard_of) -> Desk:
    """Start an applier: what it knows is in its directory."""

    def monotonic() -> float:
        return clock.now().timestamp()

    def examine(
        *, with_facts: bool, tenant_id: TenantId | None, inspect: Literal["checks", "bundle"] | None
    ) -> Examination:
        return Examination(
            survey=Surveyed.of(machine.survey()),
            facts=machine.facts() if with_facts else None,
            hardware=None if tenant_id is None else machine.hardware(tenant_id),
            engines=dict(machine.facts().providers) if with_facts else {},
            inspection=None if inspect is None else getattr(machine, "inspection", Inspection()),
        )

    warden = Warden(
        pins=PinFile(directory=directory),
        evidence=Evidence(shelf=Shelf(directory=directory), say=say),
        engine=engine,
        machine=machine,
        judge=lambda before, after: Change(kind="neutral", settings=abs(len(after.documents) - len(before.documents))),
        clock=clock,
        nonces=Nonces(randomness=os.urandom, monotonic=monotonic),
        say=say,
    )
    events = Handing(directory=directory / "events", new_name=lambda: os.urandom(16).hex())
    return Desk(warden=warden, examiner=examine, events=events)


def enforcing(desk: Desk, *, uid: int = 0) -> AskingEnforcer:
    """Return what an agent asks, as this user."""
    return AskingEnforcer(ask=partial(desk, asker=Asker(uid=uid)), begin=desk.warden.start, obeys_at_once=uid == 0)


def pretend_enforcer(engine: Engine, machine: PretendMachine, directory: Path, clock: Clock) -> AskingEnforcer:
    """Start an applier in this process, for whoever is root here."""
    return enforcing(desk_for(engine, machine, directory, clock))
