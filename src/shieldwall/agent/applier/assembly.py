"""How the parts of the applier fit together, in its own process or, for a root of its own, in the agent's."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from shieldwall.agent.applier.change import CatalogJudge
from shieldwall.agent.applier.desk import Desk
from shieldwall.agent.applier.engine import Applier
from shieldwall.agent.applier.evidence import Evidence
from shieldwall.agent.applier.examiner import Examiner
from shieldwall.agent.applier.grounds import Ground, linux_ground
from shieldwall.agent.applier.nonces import Nonces
from shieldwall.agent.applier.pin import PinFile
from shieldwall.agent.applier.ports import Say
from shieldwall.agent.applier.shelf import Shelf
from shieldwall.agent.applier.store import Store
from shieldwall.agent.applier.warden import Warden
from shieldwall.agent.detections.handing import Handing
from shieldwall.agent.detections.spool import DIRECTORY as SPOOL
from shieldwall.agent.host.ports import Host
from shieldwall.agent.inspection.bounded import Bounded
from shieldwall.agent.inspection.model import Inspection
from shieldwall.agent.platforms import catalog_of
from shieldwall.agent.providers.base import Provider
from shieldwall.contract.clock import Clock


class LocalApplier(Struct, frozen=True, kw_only=True):
    """The applier of one machine."""

    engine: Applier
    warden: Warden
    desk: Desk
    machine: Examiner
    providers: tuple[Provider, ...]


def local_applier(
    host: Host,
    directory: Path,
    *,
    clock: Clock,
    say: Say,
    ground: Ground | None = None,
    randomness: Callable[[int], bytes] = os.urandom,
    monotonic: Callable[[], float] = time.monotonic,
) -> LocalApplier:
    """Put the applier together for a host, with its state in ``directory``; without another ground, it is Linux.

    Raises:
        ShieldwallError: The catalog that ships with it is broken.
    """
    ground = linux_ground(host, clock) if ground is None else ground
    catalog = catalog_of(ground.platform)
    providers = ground.providers(catalog)
    engine = Applier(
        host=host,
        store=Store(directory),
        providers=providers,
        catalog=catalog,
        platform=ground.platform,
        clock=clock,
        randomness=randomness,
    )
    bounded = Bounded()

    def inspect(with_exhibits: bool) -> Inspection:
        from shieldwall.agent.inspection.inspector import Held, Inspector  # noqa: PLC0415 - the doctor comes seldom

        def held() -> Held:
            desired, documents = engine.held()
            return Held(desired=desired, documents=documents)

        if not ground.is_inspected:
            return Inspection()
        inspector = Inspector(host=host, providers=lambda: ground.providers(catalog), held=held, bounded=bounded)
        return inspector(with_exhibits=with_exhibits)

    examiner = Examiner(
        host=host, looking=ground.looking, providers=providers, catalog_version=catalog.version, inspect=inspect
    )
    warden = Warden(
        pins=PinFile(directory=directory),
        evidence=Evidence(shelf=Shelf(directory=directory), say=say),
        engine=engine,
        machine=examiner,
        judge=CatalogJudge(catalog=catalog, platform=ground.platform),
        clock=clock,
        nonces=Nonces(randomness=randomness, monotonic=monotonic),
        say=say,
        platform=ground.platform,
        services=ground.services,
    )
    return LocalApplier(
        engine=engine,
        warden=warden,
        desk=Desk(
            warden=warden,
            examiner=examiner,
            events=Handing(directory=directory / SPOOL.name, new_name=lambda: randomness(16).hex()),
        ),
        machine=examiner,
        providers=tuple(providers),
    )
