"""A question that only the index can answer in no time: whom would a rule move? And its answer, as bytes on a socket.

The index answers of the devices as it knows them, but for those that the asker names: of them the asker has heard
something that the index may not have read. It does not answer of a group whose members no rule decides at present: it
holds of such a group those devices alone that are there.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from pyroaring import BitMap

from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import DeviceId, GroupId, TenantId
from shieldwall.contract.strict_json import decode
from shieldwall.policy.membership import parse_rule
from shieldwall.policy.rule_tokens import InvalidRuleError
from shieldwall.server.targeting.fleet import array_of
from shieldwall.server.targeting.index import FleetIndex

MOST_UNSURE: Final = 2_000
LONGEST_QUESTION: Final = 256 * 1024
UNKNOWN: Final = b"\0"
"""The answer to what the index cannot say."""
_KNOWN: Final = b"\1"
_COUNTS: Final = struct.Struct("<3Q")
_ID_BYTES: Final = 16
_Id = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", max_length=36)]


class RuleQuestion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Whom would this rule bring into a group, and whom would it take out?"""

    tenant_id: _Id
    group_id: _Id
    rule: Annotated[str, msgspec.Meta(max_length=16_384)]
    unsure: Annotated[tuple[_Id, ...], msgspec.Meta(max_length=MOST_UNSURE)] = ()
    """Devices of which nothing is to be said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleAnswer:
    """Whom it would move, and how many would belong to the group then; but for those that were named as unsure."""

    gained: frozenset[DeviceId]
    lost: frozenset[DeviceId]
    members: int


def answered(indexes: Mapping[TenantId, FleetIndex], asked: bytes) -> bytes:
    """Answer a question. Pure; what cannot be read, or answered, is ``UNKNOWN``."""
    try:
        question = decode(asked, RuleQuestion)
        rule = parse_rule(question.rule)
    except (InvalidJsonError, InvalidRuleError):
        return UNKNOWN
    index = indexes.get(TenantId(question.tenant_id))
    group_id = GroupId(question.group_id)
    if index is None or index.definitions.groups.get(group_id) is None:
        return UNKNOWN
    places = index.fleet.find(map(DeviceId, question.unsure))
    unsure = BitMap(place for place in places if place is not None)
    named = index.named_by(rule) - unsure
    present = index.members[group_id] - unsure
    gained, lost = named - present, present - named
    head = _COUNTS.pack(len(named), len(gained), len(lost))
    ids = index.fleet.board.ids
    return b"".join((_KNOWN, head, ids[array_of(gained)].tobytes(), ids[array_of(lost)].tobytes()))


def read_answer(said: bytes) -> RuleAnswer | None:
    """Read an answer; ``None`` where the index cannot say it, or said only a part of it."""
    start = 1 + _COUNTS.size
    if said[:1] != _KNOWN or len(said) < start:
        return None
    members, gained, lost = _COUNTS.unpack_from(said, 1)
    middle = start + _ID_BYTES * gained
    if len(said) != middle + _ID_BYTES * lost:
        return None
    return RuleAnswer(gained=_ids(said[start:middle]), lost=_ids(said[middle:]), members=members)


def _ids(octets: bytes) -> frozenset[DeviceId]:
    digits = octets.hex()
    each = (digits[start : start + 2 * _ID_BYTES] for start in range(0, len(digits), 2 * _ID_BYTES))
    return frozenset(DeviceId(f"{a[:8]}-{a[8:12]}-{a[12:16]}-{a[16:20]}-{a[20:]}") for a in each)
