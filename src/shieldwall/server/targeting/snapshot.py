"""The devices of the index in a file, so that a start need not read all of them from the database.

Only what was read is kept; what follows from it is computed anew, with the definitions as they are then. The file names
the mark that was kept beside the place in the feed: with another one it is of no use, and nor is one that is damaged.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
from pyroaring import BitMap

from shieldwall.contract import strict_json
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import TenantId
from shieldwall.server.manager.targeting import Aim
from shieldwall.server.targeting.board import Board, Buffer
from shieldwall.server.targeting.columns import CodedColumn, Column
from shieldwall.server.targeting.fleet import PROPERTIES, Fleet, Trait, array_of
from shieldwall.server.targeting.texts import IdColumn, TextColumn

_FORMAT: Final = 1
_DIGEST_BYTES: Final = 32
_LENGTH_BYTES: Final = 8


class _ColumnAbout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: str
    length: int
    """Of its bytes."""
    values: tuple[str | bool | tuple[str, ...] | None, ...] = ()
    width: int = 0
    """Bytes of a code."""


class _TenantAbout(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tenant_id: str
    devices: int
    traits: tuple[tuple[str | None, bool, int, bool, bool], ...]
    columns: dict[str, _ColumnAbout]


class _About(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    form: int
    mark: str
    tenants: tuple[_TenantAbout, ...]


class SnapshotUnusableError(ShieldwallError):
    """There is no snapshot, or it cannot be used."""

    code = "snapshotUnusable"
    remedy = "Nothing has to be done: everything is read from the database."


def save(path: Path, mark: str, fleets: Mapping[TenantId, Fleet]) -> None:
    """Write the devices of all tenants into a file that takes the place of the one before. Raises: OSError."""
    tenants, parts = [], list[bytes]()
    for tenant_id, fleet in fleets.items():
        about, its = _written(tenant_id, fleet)
        tenants.append(about)
        parts += its
    head = strict_json.encode(_About(_FORMAT, mark, tuple(tenants)))
    digest = blake2b(digest_size=_DIGEST_BYTES)
    making = path.with_suffix(".new")
    descriptor = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for part in (len(head).to_bytes(_LENGTH_BYTES, "little"), head, *parts):
            digest.update(part)
            file.write(part)
        file.write(digest.digest())
        file.flush()
        os.fsync(file.fileno())
    making.replace(path)


def load(
    path: Path, allocator: Callable[[TenantId], Callable[[int], Buffer]]
) -> tuple[str, Iterator[tuple[TenantId, Fleet]]]:
    """Return the mark of a snapshot, and how the fleets of its tenants are got. Raises: SnapshotUnusableError."""
    try:
        read = path.read_bytes()
    except OSError as error:
        raise SnapshotUnusableError(f"{path} cannot be read: {error.strerror}.") from error
    body, digest = memoryview(read)[:-_DIGEST_BYTES], read[-_DIGEST_BYTES:]
    if blake2b(body, digest_size=_DIGEST_BYTES).digest() != digest:
        raise SnapshotUnusableError(f"{path} is damaged.")
    start = _LENGTH_BYTES + int.from_bytes(body[:_LENGTH_BYTES], "little")
    try:
        about = strict_json.decode(bytes(body[_LENGTH_BYTES:start]), _About)
    except ShieldwallError as error:
        raise SnapshotUnusableError(f"{path} is of another kind: {error.cause}") from error
    if about.form != _FORMAT or any(each.columns.keys() != set(PROPERTIES) for each in about.tenants):
        raise SnapshotUnusableError(f"{path} was written by another program.")
    return about.mark, _fleets(about, body[start:], allocator)


def _written(tenant_id: TenantId, fleet: Fleet) -> tuple[_TenantAbout, list[bytes]]:
    places = array_of(fleet.everybody)
    columns: dict[str, _ColumnAbout] = {}
    parts = [fleet.board.ids[places].tobytes(), fleet.trait_codes[places].tobytes()]
    for name, column in sorted(fleet.columns.items()):
        match column:
            case CodedColumn():
                parts.append(column.codes[places].tobytes())
                columns[name] = _ColumnAbout("codes", len(parts[-1]), tuple(column.values), column.codes.itemsize)
            case IdColumn():
                parts.append(column.rows[places].tobytes())
                columns[name] = _ColumnAbout("ids", len(parts[-1]))
            case TextColumn():
                texts = [column.value(place) for place in places.tolist()]
                parts.append(strict_json.encode(texts))
                columns[name] = _ColumnAbout("texts", len(parts[-1]))
            case _:
                raise TypeError(f"columns of {type(column)} are not kept")
    traits = tuple(
        (None if each.aim is None else each.aim.name, each.understands, each.enrollment, each.stays, each.is_unsure)
        for each in fleet.traits
    )
    return _TenantAbout(tenant_id, len(places), traits, columns), parts


def _fleets(
    about: _About, body: memoryview, allocator: Callable[[TenantId], Callable[[int], Buffer]]
) -> Iterator[tuple[TenantId, Fleet]]:
    place = 0

    def taken(length: int) -> memoryview:
        nonlocal place
        place += length
        return body[place - length : place]

    for each in about.tenants:
        tenant_id, devices = TenantId(each.tenant_id), each.devices
        allocate = allocator(tenant_id)
        board = Board.make(devices, allocate)
        board.add(np.frombuffer(taken(16 * devices), np.uint8).reshape(-1, 16))
        codes = _room(np.frombuffer(taken(2 * devices), np.uint16), board.capacity)
        columns = {name: _column(each.columns[name], taken, devices, board.capacity) for name in sorted(each.columns)}
        traits = [
            Trait(None if aim is None else Aim[aim], understands, enrollment, stays=stays, is_unsure=unsure)
            for aim, understands, enrollment, stays, unsure in each.traits
        ]
        everybody = BitMap(range(devices))
        yield tenant_id, Fleet.of(board, columns, traits, codes, everybody, allocate=allocate)


def _column(about: _ColumnAbout, taken: Callable[[int], memoryview], devices: int, capacity: int) -> Column:
    part = taken(about.length)
    match about.kind:
        case "codes":
            codes = np.frombuffer(part, f"u{about.width}")
            return CodedColumn.of(about.values, _room(codes, capacity))
        case "ids":
            return IdColumn(_room(np.frombuffer(part, np.uint8).reshape(-1, 16), capacity))
        case _:
            texts = TextColumn()
            texts.put(np.arange(devices), strict_json.decode(bytes(part), tuple[str | None, ...]))
            return texts


def _room(values: npt.NDArray[Any], capacity: int) -> npt.NDArray[Any]:
    """Lay values out with room for more behind them."""
    found = np.zeros((capacity, *values.shape[1:]), values.dtype)
    found[: len(values)] = values
    return found
