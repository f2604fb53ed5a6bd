"""How the parts of the applier fit together, in its own process or, for a root of its own, in the agent's."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shieldwall.agent.applier.change import CatalogJudge
from shieldwall.agent.applier.desk import Desk
from shieldwall.agent.applier.engine import Applier
from shieldwall.agent.applier.evidence import Evidence
from shieldwall.agent.applier.examiner import Examiner
from shieldwall.agent.applier.nonces import Nonces
from shieldwall.agent.applier.own_services import OwnServices
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
from shieldwall.agent.providers.base import Provider
from shieldwall.agent.providers.registry import linux_providers
from shieldwall.catalog.loader import load
from shieldwall.contract.clock import Clock

PLATFORM: Final = "linux"
"""The platform of the policies that are enforced."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalApplier:
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
    randomness: Callable[[int], bytes] = os.urandom,
    monotonic: Callable[[], float] = time.monotonic,
) -> LocalApplier:
    """Put the applier together for a host, with its state in ``directory``.

    Raises:
        ShieldwallError: The catalog that ships with it is broken.
    """
    catalog = load(platform=PLATFORM)
    providers = linux_providers(catalog)
    engine = Applier(
        host=host,
        store=Store(directory),
        providers=providers,
        catalog=catalog,
        platform=PLATFORM,
        clock=clock,
        randomness=randomness,
    )
    bounded = Bounded()

    def inspect(with_exhibits: bool) -> Inspection:
        from shieldwall.agent.inspection.inspector import Held, Inspector  # noqa: PLC0415 - the doctor comes seldom

        def held() -> Held:
            desired, documents = engine.held()
            return Held(desired=desired, documents=documents)

        inspector = Inspector(host=host, providers=lambda: linux_providers(catalog), held=held, bounded=bounded)
        return inspector(with_exhibits=with_exhibits)

    examiner = Examiner(host=host, providers=providers, catalog_version=catalog.version, inspect=inspect)
    warden = Warden(
        pins=PinFile(directory=directory),
        evidence=Evidence(shelf=Shelf(directory=directory), say=say),
        engine=engine,
        machine=examiner,
        judge=CatalogJudge(catalog=catalog, platform=PLATFORM),
        clock=clock,
        nonces=Nonces(randomness=randomness, monotonic=monotonic),
        say=say,
        platform=PLATFORM,
        services=OwnServices(host=host, clock=clock),
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
