"""A fleet in memory as a file, so that a server that starts again need not read a million devices from the database.

What is in it is as of a place of the fleet feed. The feed keeps what came behind that place, under a mark that the file
holds too: where the database does not know the mark, or another version wrote the file, it counts for nothing, and so
does a file that cannot be read. It is written whole or not at all, and holds nothing but numbers and texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from pyroaring import BitMap

from shieldwall import __version__
from shieldwall.contract.ids import GroupId
from shieldwall.contract.kinds import learned
from shieldwall.server.configuration.settings import write_private
from shieldwall.server.reporting.image import FleetImage, ImageState
from shieldwall.server.storage.fleets.fleet_feed import Place
from shieldwall.server.storage.fleets.image_rows import LISTED, STOOD

_DIGEST: Final = 32
_FORM: Final = [__version__, 1, *LISTED, *STOOD]


class _File(msgspec.Struct, frozen=True, kw_only=True):
    """What a file holds behind its digest; arrays as the bytes of this machine."""

    form: list[Any]
    mark: str
    xid: int
    number: int
    listed: list[tuple[Any, ...]]
    stood: list[tuple[Any, ...]]
    pairs: list[tuple[int, int]]
    groups: dict[str, bytes]
    tagged: dict[str, bytes]
    keys: bytes
    pair: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A fleet as of a place of the feed, and the mark under which the database knows that place."""

    image: FleetImage
    place: Place
    mark: str


def write(path: Path, snapshot: Snapshot) -> None:
    """Write a fleet to a file that only its owner may read. Nobody changes the fleet meanwhile."""
    state = snapshot.image.state()
    content = msgspec.msgpack.encode(
        _File(
            form=_FORM,
            mark=snapshot.mark,
            xid=snapshot.place.xid,
            number=snapshot.place.number,
            listed=list(state.listed),
            stood=list(state.stood),
            pairs=list(state.pairs),
            groups=_packed(state.groups),
            tagged=_packed(state.tagged),
            keys=state.keys.tobytes(),
            pair=state.pair.tobytes(),
        )
    )
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(path, sha256(content).digest() + content)


def read(path: Path) -> Snapshot | None:
    """Read a fleet; ``None`` where there is no file, or none of this version."""
    try:
        content = path.read_bytes()
        digest, packed = content[:_DIGEST], content[_DIGEST:]
        if sha256(packed).digest() != digest:
            return None
        found = msgspec.msgpack.decode(packed, type=learned(_File))
    except (OSError, msgspec.MsgspecError):
        return None
    if found.form != _FORM:
        return None
    image = FleetImage.restored(
        ImageState(
            keys=np.frombuffer(found.keys, dtype="S16"),
            pair=np.frombuffer(found.pair, dtype=np.int32),
            listed=found.listed,
            stood=found.stood,
            pairs=found.pairs,
            groups={GroupId(group): BitMap.deserialize(bits) for group, bits in found.groups.items()},
            tagged={tag: BitMap.deserialize(bits) for tag, bits in found.tagged.items()},
        )
    )
    return Snapshot(image=image, place=Place(found.xid, found.number), mark=found.mark)


def _packed(bitmaps: Mapping[Any, BitMap]) -> dict[str, bytes]:
    return {str(name): bitmap.serialize() for name, bitmap in bitmaps.items()}
