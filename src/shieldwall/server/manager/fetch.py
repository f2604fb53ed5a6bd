"""A device fetches policy revisions: those of its own target, and to it there are no others.

The target is the one that is true now. What changed since the manifest was signed has been taken up before, so a policy
that an administrator took from the device at that moment is not handed over any more.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from shieldwall.contract import strict_json
from shieldwall.contract.ids import Digest
from shieldwall.contract.messages import Envelope, FetchAnswer, FetchRequest
from shieldwall.server.manager import turns
from shieldwall.server.manager.sequence import Numbered
from shieldwall.server.manager.turns import CallingDevice, OvertakenError
from shieldwall.server.storage.check_ins import check_ins, targets
from shieldwall.server.storage.errors import NotFoundError
from shieldwall.server.storage.policies import aims, revisions


def fetch(
    connection: Connection, caller: CallingDevice, request: FetchRequest, body_digest: Digest, now: datetime
) -> FetchAnswer:
    """Return the signed revisions asked for, in the order asked.

    Raises:
        OvertakenError: The device has first to take up what changed.
        SequenceConflictError: The number was used before.
        DeviceNotActiveError: The device may not speak any more, or not with this key.
        CertificateExpiredError: Its certificate has ended.
        NotFoundError: A revision is not in the target of this device, whether or not there is one.
    """
    turns.take(connection, caller, Numbered(request.epoch, request.seq, body_digest), now)
    if aims.behind(connection, [caller.id]):
        raise OvertakenError
    target = check_ins.get(connection, caller.id).target_digest
    own = set() if target is None else {item.digest for item in targets.get(connection, caller.tenant_id, target).items}
    found = revisions.find_many(connection, own.intersection(request.digests))
    envelopes: list[Envelope] = []
    for digest in request.digests:
        revision = found.get(digest)
        if revision is None:
            raise NotFoundError(
                f"There is no policy revision {digest} for this device.",
                remedy="Check in again: the target may have changed since the manifest was signed.",
            )
        envelopes.append(strict_json.decode(revision.envelope, Envelope))
    return FetchAnswer(policies=tuple(envelopes))
