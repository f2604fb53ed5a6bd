"""Questions about what a fleet was: read from the files of its days by DuckDB."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from shieldwall.contract.ids import DeviceId, PolicyId, TenantId
from shieldwall.server.reporting.history.files import (
    DEVICES,
    FLEET,
    POLICIES,
    SETTINGS,
    HistoryFiles,
    HistoryMissingError,
    duckdb_connection,
)

Row = dict[str, Any]
MOST_ROWS: Final = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What is kept of one tenant; nothing is kept where there are no files."""

    files: HistoryFiles | None
    tenant_id: TenantId

    def fleet(self, since: date) -> list[Row]:
        """Return the devices of each day by what they were. Raises: HistoryMissingError."""
        return self._read(FLEET, since)

    def policy(self, policy_id: PolicyId, since: date) -> list[Row]:
        """Return the devices of a policy by state, day by day. Raises: HistoryMissingError."""
        return self._read(POLICIES, since, "policy_id = ?", policy_id)

    def settings(self, policy_id: PolicyId, since: date) -> list[Row]:
        """Return the same for each of its settings. Raises: HistoryMissingError."""
        return self._read(SETTINGS, since, "policy_id = ?", policy_id)

    def device(self, device_id: DeviceId, since: date) -> list[Row]:
        """Return what a device was on each day. Raises: HistoryMissingError."""
        return self._read(DEVICES, since, "device_id = CAST(? AS UUID)", device_id)

    def _read(self, table: str, since: date, condition: str = "true", *values: str) -> list[Row]:
        if self.files is None:
            raise HistoryMissingError("No history is kept on this server.")
        with duckdb_connection() as connection:
            files = [
                str(file)
                for day in self.files.days(self.tenant_id)
                if day >= since and (file := self.files.file(self.tenant_id, day, table)).is_file()
            ]
            if not files:
                return []
            query = (
                "SELECT * EXCLUDE (tenant) FROM read_parquet(?, hive_partitioning = true, union_by_name = true)"  # noqa: S608 - our own conditions
                f" WHERE {condition} ORDER BY day LIMIT {MOST_ROWS}"
            )
            found = connection.execute(query, [files, *values])
            names = [each[0] for each in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
