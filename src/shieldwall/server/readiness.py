"""Can this process serve? It can when its database has the right schema and the signer answers."""

from __future__ import annotations

from dataclasses import dataclass

from shieldwall.contract.errors import ShieldwallError
from shieldwall.server.signer.ports import Signer
from shieldwall.server.storage import migrate
from shieldwall.server.storage.database import Database

OK = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadinessReport:
    """State by part: ``ok``, or the code of what is wrong."""

    parts: dict[str, str]

    @property
    def is_ready(self) -> bool:
        """Whether every part is well."""
        return all(state == OK for state in self.parts.values())

    def shown(self) -> dict[str, str]:
        """Return the report as it is answered."""
        return {"status": "ready" if self.is_ready else "notReady", **self.parts}


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Asks the parts that a process cannot serve without."""

    database: Database
    signer: Signer

    def check(self) -> ReadinessReport:
        """Ask each part once."""
        return ReadinessReport(parts={"database": self._database(), "signer": self._signer()})

    def _database(self) -> str:
        try:
            return OK if migrate.is_current(self.database) else "schemaNotCurrent"
        except ShieldwallError as error:
            return error.code

    def _signer(self) -> str:
        try:
            self.signer.trust_root()
        except ShieldwallError as error:
            return error.code
        return OK
