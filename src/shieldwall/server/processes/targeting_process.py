"""``python -m shieldwall.server.processes.targeting_process DATA``: the process that holds the fleet in memory.

It reads everything when it starts, follows what changes, and shows others on the same machine a hash of what each
device shall enforce. It decides nothing. Where the database cannot be reached it waits; what it shows is not believed
meanwhile. It says how it is on one socket, and whom a rule would move on another, to this user alone.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from shieldwall.server.plain_logging import structlog  # before all that would load the whole of it

# isort: split

from shieldwall.contract.strict_json import encode
from shieldwall.server.configuration import settings
from shieldwall.server.configuration.settings import ServerSettings
from shieldwall.server.processes.beginning import run_process
from shieldwall.server.storage.engine.database import Database, StorageUnavailableError
from shieldwall.server.system import SystemClock, new_id
from shieldwall.server.targeting.following import Following
from shieldwall.server.targeting.hashes import Hasher
from shieldwall.server.targeting.index_figures import NAMED_IN, IndexFigures
from shieldwall.server.targeting.keeping import Keeping
from shieldwall.server.targeting.rule_questions import LONGEST_QUESTION, UNKNOWN
from shieldwall.server.targeting.shared import SharedBoards
from shieldwall.server.targeting.snapshot import SnapshotUnusableError, load, save

_log: Final = structlog.get_logger("shieldwall.targeting")
REST_SECONDS: Final = 0.1
"""Between two looks at what changed, when there was nothing more."""
_AGAIN_SECONDS: Final = 2.0
_ASKED_WITHIN_SECONDS: Final = 5.0
_PORTION: Final = 65_536
SNAPSHOT: Final = "targeting.snapshot"
_KEEP_SECONDS: Final = 600.0
_PEER: Final = struct.Struct("3i")


async def serve(data: Path) -> None:
    """Serve until SIGINT or SIGTERM."""
    asked = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    found = settings.load(data)
    database = Database(found.database)
    hasher = Hasher(found.nonce_key.read_bytes())
    boards = SharedBoards(found.run / NAMED_IN)
    following = Following(database, hasher, boards.allocator)
    snapshot = found.data / SNAPSHOT
    keeping = Keeping(database, SystemClock(), new_id, found.tenant_id, name=f"targeting@{socket.gethostname()}"[:64])
    try:
        async with await _answering(found, following), await _answering_of_rules(found, following):
            if await _begun(following, keeping, boards, snapshot, asked):
                await _follow(following, keeping, boards, snapshot, asked)
    finally:
        boards.close()
        found.targeting_socket.unlink(missing_ok=True)
        found.targeting_rules_socket.unlink(missing_ok=True)
        database.close()


async def _begun(
    following: Following, keeping: Keeping, boards: SharedBoards, snapshot: Path, asked: asyncio.Event
) -> bool:
    """Begin with what was kept, or read everything; where the database is not there, wait for it."""

    def begin() -> None:
        if not _went_on(following, keeping, boards, snapshot):
            following.begin(keeping.begin())
        while not following.step():
            pass
        boards.publish(following.place, _figures(following))

    while not asked.is_set():
        try:
            await asyncio.to_thread(begin)
        except StorageUnavailableError as error:
            _log.warning("index_not_begun", code=error.code, cause=error.cause)
            await _rest(asked, _AGAIN_SECONDS)
        else:
            followed = following.followed
            _log.info("index_ready", devices=followed.devices, seconds=round(followed.seconds_to_begin, 2))
            return True
    return False


def _went_on(following: Following, keeping: Keeping, boards: SharedBoards, snapshot: Path) -> bool:
    """Go on from what an earlier process kept, if that is of use."""
    try:
        mark, fleets = load(snapshot, boards.allocator)
    except SnapshotUnusableError as error:
        _log.info("index_read_anew", cause=error.cause)
        return False
    place = keeping.place_of(mark)
    if place is None:
        _log.info("index_read_anew", cause="The database does not know this snapshot.")
        return False
    following.go_on(place, fleets)
    return True


async def _follow(
    following: Following, keeping: Keeping, boards: SharedBoards, snapshot: Path, asked: asyncio.Event
) -> None:
    """Follow what changes, and keep now and then what is known."""

    def step() -> bool:
        is_all = following.step()
        boards.publish(following.place, _figures(following))
        return is_all

    def keep() -> None:
        mark = new_id()
        try:
            save(snapshot, mark, following.fleets)
        except OSError as error:  # the next start takes longer, and that is all
            _log.warning("index_not_kept", cause=str(error))
        keeping.keep(following.place, mark)

    kept_at = time.monotonic()
    while not asked.is_set():
        try:
            is_all = await asyncio.to_thread(step)
            if time.monotonic() - kept_at > _KEEP_SECONDS:
                kept_at = time.monotonic()
                await asyncio.to_thread(keep)
        except StorageUnavailableError as error:
            _log.warning("index_lags", code=error.code, cause=error.cause)
            await _rest(asked, _AGAIN_SECONDS)
        else:
            await _rest(asked, REST_SECONDS if is_all else 0)
    with suppress(StorageUnavailableError):
        await asyncio.to_thread(keep)


async def _answering(found: ServerSettings, following: Following) -> asyncio.Server:
    """Listen on the socket: each connection is told how the index is."""

    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            if _is_ours(writer):
                writer.write(encode(_status(following)) + b"\n")
                await writer.drain()
        writer.close()

    found.targeting_socket.unlink(missing_ok=True)
    return await asyncio.start_unix_server(answer, found.targeting_socket)


async def _answering_of_rules(found: ServerSettings, following: Following) -> asyncio.Server:
    """Listen on the other socket: each connection carries one question, up to where its sender has nothing to add."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError):
            if _is_ours(writer):
                asked = b""
                async with asyncio.timeout(_ASKED_WITHIN_SECONDS):
                    while len(asked) <= LONGEST_QUESTION and (portion := await reader.read(_PORTION)):
                        asked += portion
                is_whole = len(asked) <= LONGEST_QUESTION
                writer.write(await asyncio.to_thread(following.answered, asked) if is_whole else UNKNOWN)
                await writer.drain()
        writer.close()

    found.targeting_rules_socket.unlink(missing_ok=True)
    return await asyncio.start_unix_server(answer, found.targeting_rules_socket)


def _is_ours(writer: asyncio.StreamWriter) -> bool:
    """Whether the other side is this user."""
    peer = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    return bool(_PEER.unpack(peer)[1] == os.geteuid())


def _figures(following: Following) -> IndexFigures:
    followed = following.followed
    return IndexFigures(followed.devices, time.monotonic() - followed.current_at, _resident())


def _status(following: Following) -> dict[str, object]:
    followed, figures = following.followed, _figures(following)
    return {
        "devices": figures.devices,
        "changes": followed.changes,
        "isCurrent": followed.is_current,
        "lagSeconds": round(figures.lag_seconds, 3),
        "secondsToBegin": round(followed.seconds_to_begin, 3),
        "memoryBytes": figures.memory_bytes,
    }


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


async def _rest(asked: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asked.wait()


if __name__ == "__main__":
    run_process("targeting", lambda: asyncio.run(serve(Path(sys.argv[1]))))
