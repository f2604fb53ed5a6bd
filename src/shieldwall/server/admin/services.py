"""What the front doors for administrators are given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from shieldwall.catalog.model import Catalog
from shieldwall.contract.clock import Clock
from shieldwall.contract.ids import DeviceId, GroupId
from shieldwall.server.admin.proof_memory import ProofMemory
from shieldwall.server.configuration.settings import ServerSettings
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.group_rules import Moves
from shieldwall.server.directory.tenancy import Tenancy
from shieldwall.server.manager.figures import FleetFigures
from shieldwall.server.manager.signing import AtHand, Signatures
from shieldwall.server.manager.targeting import retarget
from shieldwall.server.outgoing.client import Outgoing
from shieldwall.server.reporting.following import FleetReports
from shieldwall.server.reporting.held import HeldFleet
from shieldwall.server.reporting.history.files import HistoryFiles
from shieldwall.server.reporting.history.reading import History
from shieldwall.server.signer.ports import Signer, Signers
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.records import Tenant
from shieldwall.server.targeting.rule_previews import RulePreviews


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminServices:
    """The parts that Graph, the admin center and the console are made of, at work for one tenant."""

    database: Database
    catalog: Catalog
    signers: Signers
    clock: Clock
    new_id: Callable[[], str]
    tenancy: Tenancy
    tenant: Tenant
    settings: ServerSettings
    outgoing: Outgoing
    proofs: ProofMemory = field(default_factory=ProofMemory)
    figures: FleetFigures = field(default_factory=FleetFigures)
    signatures: Signatures = field(default_factory=AtHand)
    """What policies are published with: none, but for what runs in ``authoring.signed_between``."""
    fleets: FleetReports | None = None
    """Large fleets in memory; absent where nobody has them follow what changes."""
    rule_previews: RulePreviews | None = None
    """The targeting index, asked whom a rule would move; absent where none of this machine may be asked."""

    @property
    def signer(self) -> Signer:
        """The signer of this tenant."""
        return self.signers.for_tenant(self.tenant.id)

    @property
    def serves_home(self) -> bool:
        """Whether this is the tenant that the server was made with, whose administrators run it."""
        return self.tenant.id == self.settings.tenant_id

    def of(self, tenant: Tenant) -> AdminServices:
        """Return the same parts at work for another tenant."""
        return replace(self, tenant=tenant)

    def reached_at(self, public_url: str) -> AdminServices:
        """Return the same parts for somebody who reached the server at this one of its addresses: links are on it."""
        settings = self.settings.reached_at(public_url)
        return self if settings is self.settings else replace(self, settings=settings)

    @contextmanager
    def fleet_view(self) -> Iterator[tuple[Connection, HeldFleet | None]]:
        """Give a read transaction, and the tenant's fleet in memory as it is there; ``None``: ask the database.

        Whoever asks holds no other connection. Raises: StorageUnavailableError.
        """
        if self.fleets is not None:
            with self.fleets.view(self.tenant.id) as found:
                yield found
        else:
            with self.database.read() as connection:
                yield connection, None

    def rule_moves(self, group_id: GroupId, rule: str) -> Moves | None:
        """Say which devices a group would gain and lose by a rule; ``None``: ask the database.

        Whoever asks holds no connection.
        """
        return None if self.rule_previews is None else self.rule_previews.moves(self.tenant.id, group_id, rule)

    def history(self) -> History:
        """Return what is kept of what the tenant's fleet was."""
        files = HistoryFiles(home=self.settings.history_files, new_id=self.new_id)
        return History(files=None if self.settings.history is None else files, tenant_id=self.tenant.id)

    def acting(self, actor: str) -> Acting:
        """Somebody at work in this tenant; ``actor`` is the name for the audit trail."""
        return Acting(
            tenant_id=self.tenant.id,
            actor=actor,
            clock=self.clock,
            new_id=self.new_id,
            on_devices_changed=self._aim_anew,
        )

    def _aim_anew(self, connection: Connection, device_ids: frozenset[DeviceId]) -> None:
        retarget(connection, device_ids, self.clock.now())
