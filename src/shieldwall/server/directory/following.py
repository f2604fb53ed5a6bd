"""Following the directory: what is there, page by page, and from then on what changed (decision 0031).

A round is a walk with a state that the client carries: first through the listing, where it begins with nothing, then
through the changes up to a version. What changes while a round is under way belongs to the next one, or comes twice;
nothing is left out. The state is sealed, so that it can be neither made up nor altered.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import TenantId
from shieldwall.contract.kinds import learned
from shieldwall.server.storage.engine.database import Database
from shieldwall.server.storage.groups import changes
from shieldwall.server.storage.groups.changes import Feed, FeedState, Place

LIFETIME: Final = timedelta(days=30)
"""How long a client may stay away. Changes are kept a day longer."""
KEPT: Final = LIFETIME + timedelta(days=1)
_NOTED_AGAIN: Final = timedelta(hours=1)
"""How exact it is known when a feed was last read: so seldom does reading alone write something."""
_AT_ONCE: Final = 5_000
_MOST_STEPS: Final = 1_000
"""Transactions in one go; what is left waits for the next."""
_SEAL_BYTES: Final = 16
_LONGEST: Final = 2_048


class InvalidDeltaTokenError(ShieldwallError):
    """A token of a delta query that is not one of ours, or that belongs to another query."""

    code = "invalidDeltaToken"
    remedy = "Take the whole address from @odata.nextLink or @odata.deltaLink, or begin anew without a token."


class ResyncRequiredError(ShieldwallError):
    """The changes since this token are not known any more."""

    code = "resyncRequired"
    remedy = "Begin anew without a token, and take what comes for everything there is."


class State(msgspec.Struct, frozen=True, kw_only=True, array_like=True, forbid_unknown_fields=True):
    """Where a client stands.

    ``listing`` says that it walks through what is there; ``id`` and ``other`` then name the last row it got, and
    ``version`` is where its changes begin. Otherwise these three are its place among the changes, and ``upto`` is the
    version at which its round ends, 0 between two rounds.
    """

    feed: str
    selected: tuple[str, ...]
    with_members: bool
    size: int
    listing: bool
    version: int
    id: str = ""
    other: str = ""
    upto: int = 0
    at: int = 0
    """When it was given out: seconds since 1970."""

    @property
    def place(self) -> Place:
        """Its place among the changes."""
        return Place(self.version, self.id, self.other)


def new_key() -> bytes:
    """Make the key that seals the states of a feed."""
    return secrets.token_bytes(32)


def brought_up(database: Database, tenant_id: TenantId, feed: Feed, now: datetime) -> FeedState:
    """Give what is committed its version, and return how far the feed is. What waits for nothing writes nothing."""
    with database.read() as connection:
        state = changes.find_feed(connection, tenant_id, feed)
        waits = state is None or changes.waits(connection, tenant_id, feed)
    if state is None or not state.is_followed:
        with database.write() as connection:
            changes.begin(connection, tenant_id, feed, now, new_key)
    elif not waits and state.read_at is not None and now - state.read_at < _NOTED_AGAIN:
        return state
    with database.write() as connection:
        return changes.sequence(connection, tenant_id, feed, now)


def forget_old(database: Database, tenant_id: TenantId, now: datetime) -> int:
    """Forget what no client may ask for any more, and write nothing down for feeds that nobody reads.

    Returns how many changes were forgotten.
    """
    total = 0
    for feed in Feed:
        for _ in range(_MOST_STEPS):
            with database.write() as connection:
                forgotten = changes.forget(connection, tenant_id, feed, now - KEPT, _AT_ONCE)
            total += forgotten
            if forgotten < _AT_ONCE:
                break
    return total


def sealed(state: State, key: bytes, now: datetime) -> str:
    """Write a state as the token that a client carries."""
    body = msgspec.msgpack.encode(msgspec.structs.replace(state, at=int(now.timestamp())))
    return _written(_seal(key, body) + body)


def opened(token: str, feed: Feed, state: FeedState, now: datetime) -> State:
    """Read a token back.

    Raises:
        InvalidDeltaTokenError: It is not one of ours, or of another feed.
        ResyncRequiredError: It is too old.
    """
    try:
        content = base64.b64decode(token[:_LONGEST] + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        seal, body = content[:_SEAL_BYTES], content[_SEAL_BYTES:]
        if _written(content) != token or not hmac.compare_digest(seal, _seal(state.key, body)):
            raise InvalidDeltaTokenError("The token is not one that we gave out.")
        read = msgspec.msgpack.decode(body, type=learned(State))
    except (binascii.Error, ValueError):
        raise InvalidDeltaTokenError("The token is not one that we gave out.") from None
    if read.feed != feed:
        raise InvalidDeltaTokenError(f"The token is one of {read.feed}, not of {feed}.")
    given = datetime.fromtimestamp(read.at, UTC)
    if now - given > LIFETIME or read.version < state.forgotten:
        raise ResyncRequiredError("What changed since this token was given out is not known any more.")
    return read


def _written(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _seal(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, body, "sha256")[:_SEAL_BYTES]
