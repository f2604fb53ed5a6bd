"""What a JSON batch asks for, and in which order: read strictly and decided before anything runs.

The format is Graph's (JSON batching; OData JSON format 4.01, section 19). Items take effect as if they ran one after
the other, in the order in which they stand, but for one that waits for a later one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec

from shieldwall.contract.errors import ShieldwallError

MOST_ITEMS: Final = 20
READING: Final = "GET"
METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})

ItemId = str | int


class InvalidBatchError(ShieldwallError):
    """A batch cannot be read, or cannot be brought into an order."""

    code = "invalidBatch"
    remedy = "Correct the part named and send the batch again; nothing of it was done."


class BatchItem(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """One request of a batch. ``url`` is relative to the version that the batch was sent to."""

    id: ItemId
    method: str
    url: Annotated[str, msgspec.Meta(min_length=1, max_length=8_192)]
    headers: Mapping[str, str] | None = None
    body: Any = msgspec.UNSET
    depends_on: tuple[ItemId, ...] | None = None

    @property
    def name(self) -> str:
        """Its id as a text: clients write numbers too."""
        return str(self.id)

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        return self.method == READING

    @property
    def awaited(self) -> tuple[str, ...]:
        """The names of the items that it waits for."""
        return tuple(map(str, self.depends_on or ()))


class BatchRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of ``$batch``."""

    requests: tuple[BatchItem, ...]


def stages(items: Sequence[BatchItem]) -> tuple[tuple[BatchItem, ...], ...]:
    """Bring the items of a batch into stages: those of one stage may run side by side, the next waits for all of them.

    A stage holds reading items that stand beside each other, or one that changes something.

    Raises:
        InvalidBatchError: There are none or too many, an id stands twice, or some wait for nothing or for themselves.
    """
    if not 1 <= len(items) <= MOST_ITEMS:
        raise InvalidBatchError(f"A batch has 1 to {MOST_ITEMS} requests; this one has {len(items)}.")
    names = [item.name for item in items]
    for item in items:
        if not item.name or len(item.name) > 64 or names.count(item.name) > 1:
            raise InvalidBatchError(f"The id {item.name[:64]!r} stands twice, is empty, or is too long.")
        for awaited in item.awaited:
            if awaited not in names:
                raise InvalidBatchError(f"The request {item.name} depends on {awaited[:64]!r}, which is not there.")
    found: list[list[BatchItem]] = []
    for item in _in_order(items):
        together = found[-1] if found else []
        beside = {each.name for each in together}
        if together and item.reads and together[-1].reads and not beside.intersection(item.awaited):
            together.append(item)
        else:
            found.append([item])
    return tuple(map(tuple, found))


def _in_order(items: Sequence[BatchItem]) -> list[BatchItem]:
    """Order items so that each comes after those it waits for, and else as they stand. Raises: InvalidBatchError."""
    ordered: list[BatchItem] = []
    done: set[str] = set()
    waiting = list(items)
    while waiting:
        ready = next((item for item in waiting if done.issuperset(item.awaited)), None)
        if ready is None:
            names = ", ".join(item.name for item in waiting)
            raise InvalidBatchError(f"These requests wait for each other: {names}.")
        waiting.remove(ready)
        ordered.append(ready)
        done.add(ready.name)
    return ordered
