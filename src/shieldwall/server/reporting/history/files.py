"""The files of the history: a directory for each tenant and day, written whole or not at all, and let go in time.

``history/tenant=<id>/day=2026-11-26/{fleet,policies,settings,devices}.parquet``: DuckDB, Spark and others take tenant
and day from the names of the directories (Hive partitioning).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import TenantId
from shieldwall.server.reporting.history.rows import Day

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FLEET, POLICIES, SETTINGS, DEVICES = "fleet", "policies", "settings", "devices"
TABLES: Final = (FLEET, POLICIES, SETTINGS, DEVICES)
LEAST_FREE: Final = 2**30
"""Bytes that stay free on the disk: the database needs them more than the past."""
_WORKING: Final = ".new-"
_MEMORY: Final = "256MB"
_STATEMENTS: Final = {
    FLEET: "SELECT property, value, devices, ? AS as_of FROM fleet ORDER BY property, value",
    POLICIES: "SELECT policy_id, policy_name, state, devices, ? AS as_of FROM policies ORDER BY policy_id, state",
    SETTINGS: """SELECT policy_id, policy_name, setting_id, state, devices, ? AS as_of FROM settings
        ORDER BY policy_id, setting_id, state""",
    DEVICES: """SELECT CAST(format('{:016x}', device.high) || format('{:016x}', device.low) AS UUID) AS device_id,
        kind.* EXCLUDE (code), coalesce(standing.policy_state, 'noPolicy') AS policy_state, ? AS as_of
        FROM device JOIN kind ON kind.code = device.listed LEFT JOIN standing ON standing.code = device.stood
        ORDER BY device.high, device.low""",
}


class HistoryMissingError(ShieldwallError):
    """What fleets were is not kept here."""

    code = "historyMissing"
    remedy = "Install 'shieldwall[history]', and set `history` in server.json."


class DiskTooFullError(ShieldwallError):
    """There is too little room left for the history of a day."""

    code = "historyDiskFull"
    remedy = "Free disk space, or keep fewer days: `history` in server.json."


@contextmanager
def duckdb_connection() -> Iterator[DuckDBPyConnection]:
    """Open a database in memory that uses little of it and one thread. Raises: HistoryMissingError."""
    try:
        import duckdb  # noqa: PLC0415 - an extra, loaded when asked for
    except ImportError:
        raise HistoryMissingError("The extra `history` is not installed.") from None
    config: dict[str, Any] = {
        "threads": 1,
        "memory_limit": _MEMORY,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    with duckdb.connect(":memory:", config=config) as connection:
        yield connection


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryFiles:
    """The files below one directory, which only the server reads."""

    home: Path
    new_id: Callable[[], str]

    def days(self, tenant_id: TenantId) -> tuple[date, ...]:
        """Return the days of which something is kept, the oldest first."""
        found = (_day_in(each.name) for each in _listed(self.tenant(tenant_id)))
        return tuple(sorted(day for day in found if day is not None))

    def tenant(self, tenant_id: TenantId) -> Path:
        """Return where the days of a tenant are."""
        return self.home / f"tenant={tenant_id}"

    def file(self, tenant_id: TenantId, day: date, table: str) -> Path:
        """Return where a table of a day is, or would be."""
        return self.tenant(tenant_id) / f"day={day.isoformat()}" / f"{table}.parquet"

    def keep(self, day: Day) -> int:
        """Write a day, and return how many bytes it takes; one that is there stays as it is.

        Raises:
            HistoryMissingError: DuckDB is not installed.
            DiskTooFullError: There is no room.
        """
        place = self.tenant(day.tenant_id) / f"day={day.as_of.date().isoformat()}"
        if place.exists():
            return 0
        for directory in (self.home, self.tenant(day.tenant_id)):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if shutil.disk_usage(self.home).free < LEAST_FREE + 40 * len(day.listed):
            raise DiskTooFullError(f"Less than {LEAST_FREE >> 20} MiB would stay free in {self.home}.")
        working = self.home / f"{_WORKING}{self.new_id()}"
        working.mkdir(mode=0o700)
        try:
            _write(day, working)
            size = sum(_settled(file) for file in sorted(working.iterdir()))
            _sync(working)
            working.rename(place)
        except BaseException:
            shutil.rmtree(working, ignore_errors=True)
            raise
        _sync(place.parent)
        _sync(self.home)
        return size

    def tidy(self, today: date, *, days: int, device_days: int) -> int:
        """Let go of days that are old enough, and of what a crash left behind; return how many days went."""
        gone = 0
        for directory in _listed(self.home):
            if directory.name.startswith(_WORKING):
                shutil.rmtree(directory, ignore_errors=True)
                continue
            for each in _listed(directory):
                day = _day_in(each.name)
                if day is None:
                    continue
                if today - day >= timedelta(days=days):
                    shutil.rmtree(each)
                    gone += 1
                elif today - day >= timedelta(days=device_days):
                    (each / f"{DEVICES}.parquet").unlink(missing_ok=True)
        return gone


def _write(day: Day, working: Path) -> None:
    with duckdb_connection() as connection:
        device = {"high": day.high, "low": day.low, "listed": day.listed, "stood": day.stood}
        kinds = {"code": np.arange(len(next(iter(day.listed_kinds.values())))), **day.listed_kinds}
        _lay_out(connection, "kind", kinds)
        _lay_out(connection, "standing", {"code": np.arange(len(day.stood_states)), "policy_state": day.stood_states})
        connection.register("device", device)
        _lay_out(connection, "fleet", _columns(("property", "value", "devices"), day.fleet))
        _lay_out(connection, "policies", _columns(("policy_id", "policy_name", "state", "devices"), day.policies))
        named = ("policy_id", "policy_name", "setting_id", "state", "devices")
        _lay_out(connection, "settings", _columns(named, day.settings))
        for table, statement in _STATEMENTS.items():
            file = str(working / f"{table}.parquet").replace("'", "''")
            connection.execute(f"COPY ({statement}) TO '{file}' (FORMAT parquet, COMPRESSION zstd)", [day.as_of])


def _columns(names: tuple[str, ...], rows: Any) -> dict[str, list[Any]]:
    return {name: [row[place] for row in rows] for place, name in enumerate(names)}


def _lay_out(connection: DuckDBPyConnection, name: str, columns: dict[str, Any]) -> None:
    """Make a table of columns; ``code`` and whatever holds whole numbers are numbers, everything else is text."""
    arrays = {}
    for column, values in columns.items():
        is_number = column in {"code", "devices", "enrollment_code", "repaired", "drifted"}
        arrays[column] = np.array(values, dtype=np.int64 if is_number else object)
    kinds = ", ".join(
        f"{column} {'BIGINT' if array.dtype == np.int64 else 'VARCHAR'}" for column, array in arrays.items()
    )
    connection.execute(f"CREATE TABLE {name} ({kinds})")
    if len(next(iter(arrays.values()))):
        connection.register("given", arrays)
        connection.execute(f"INSERT INTO {name} SELECT * FROM given")  # noqa: S608 - our own names
        connection.unregister("given")


def _settled(file: Path) -> int:
    """Have a file on disk, for its owner alone; return its size."""
    file.chmod(0o600)
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _listed(directory: Path) -> list[Path]:
    return sorted(each for each in directory.iterdir() if each.is_dir()) if directory.is_dir() else []


def _day_in(name: str) -> date | None:
    if not name.startswith("day="):
        return None
    try:
        return date.fromisoformat(name.removeprefix("day="))
    except ValueError:
        return None
