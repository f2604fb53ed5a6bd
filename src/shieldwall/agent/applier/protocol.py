"""What may be asked of the applier, and what it answers: a closed list of requests, each with one answer.

On the socket a message is a frame: its length as four bytes, the most significant first, then strict JSON. The agent
asks, and everything it says is either signed by somebody else or harmless. An answer holds no secret.
"""

from __future__ import annotations

import struct
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from shieldwall.agent.applier.authority import Claim
from shieldwall.agent.applier.examination import Examination
from shieldwall.agent.applier.pin import Authority, Change, Device
from shieldwall.agent.applier.state import Stage
from shieldwall.contract.errors import InvalidJsonError, ShieldwallError
from shieldwall.contract.events import MAX_EVENTS, DeviceEvent
from shieldwall.contract.ids import DigestField, TenantIdField
from shieldwall.contract.kinds import learned
from shieldwall.contract.messages import MAX_MANIFEST_ITEMS, Envelope, InstanceId, Sequence
from shieldwall.contract.status import StatusReport
from shieldwall.contract.strict_json import convert, decode_any, encode

MAX_FRAME_BYTES: Final = 8 * 1024 * 1024
MAX_POLICIES_BYTES: Final = 6 * 1024 * 1024
"""So much of policy envelopes goes along with one request; what does not fit is asked for and sent by the next one."""
HEADER: Final = struct.Struct(">I")
MAX_DEPTH: Final = 32
"""Values of settings in a report are the deepest."""


class BadFrameError(ShieldwallError):
    """What came over the socket is no message of this protocol."""

    code = "badFrame"
    remedy = "Let agent and applier be of the same version, and restart both."


class _Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What all messages have in common."""


class Look(_Message, frozen=True, kw_only=True, tag_field="verb", tag="look", rename="camel"):
    """Where does the applier stand? The answer holds a fresh nonce.

    ``agent`` tells in passing that the agent has started, or ends because it was asked to: what starts again and again
    without having ended has crashed. Whoever ends learns whether the whole machine does.
    """

    agent: Literal["started", "stopped"] | None = None


class Adopt(_Message, frozen=True, kw_only=True, tag_field="verb", tag="adopt", rename="camel"):
    """Obey this tenant, which root alone may say; be this device, which its key has to prove."""

    authority: Authority | None = None
    claim: Claim | None = None


class Apply(_Message, frozen=True, kw_only=True, tag_field="verb", tag="apply", rename="camel"):
    """Make a manifest hold. Policies that the applier has already need not come along.

    ``time`` is a signed statement for a nonce of the applier, for a machine whose clock is off.
    """

    manifest: Envelope
    policies: Annotated[tuple[Envelope, ...], msgspec.Meta(max_length=MAX_MANIFEST_ITEMS)] = ()
    time: Envelope | None = None


class Refresh(_Message, frozen=True, kw_only=True, tag_field="verb", tag="refresh", rename="camel"):
    """Look at the device again, and put back what somebody changed."""


class Confirm(_Message, frozen=True, kw_only=True, tag_field="verb", tag="confirm", rename="camel"):
    """A signed statement of time for the nonce of the change that waits: the server can be reached all the same."""

    statement: Envelope


class Release(_Message, frozen=True, kw_only=True, tag_field="verb", tag="release", rename="camel"):
    """Let go of everything: by a manifest that orders it, an offboarding package, or the word of root."""

    manifest: Envelope | None = None
    package: Envelope | None = None
    time: Envelope | None = None


class Examine(_Message, frozen=True, kw_only=True, tag_field="verb", tag="examine", rename="camel"):
    """Say about the machine what root alone can see: always who else manages it, the rest where it is asked for."""

    facts: bool = False
    """Facts for a check-in, with the versions of all products."""
    tenant_id: TenantIdField | None = None
    sources: bool = False
    """Whose the value of every setting is."""
    inspect: Literal["checks", "bundle"] | None = None
    """What the doctor judges; for a bundle also our part of the products' configuration, and what our services said."""


class Events(_Message, frozen=True, kw_only=True, tag_field="verb", tag="events", rename="camel"):
    """What happened on the device that the server does not know yet? ``acknowledged`` names the batch that it does."""

    acknowledged: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    most: Annotated[int, msgspec.Meta(ge=1, le=MAX_EVENTS)] = MAX_EVENTS


class _Verb(msgspec.Struct, frozen=True):
    verb: str


Request: TypeAlias = Look | Adopt | Apply | Refresh | Confirm | Release | Examine | Events
_shape: Final = msgspec.json.Decoder(learned(Request))
_LONGEST_CAUSE: Final = 256
VERBS: Final = ("look", "adopt", "apply", "refresh", "confirm", "release", "examine", "events")


class Unconfirmed(_Message, frozen=True, kw_only=True, rename="camel"):
    """A change that goes back by itself unless a signed statement of time for ``nonce`` arrives in time."""

    nonce: InstanceId
    seconds_left: float


class Standing(_Message, frozen=True, kw_only=True, tag_field="answer", tag="standing", rename="camel"):
    """Where the applier stands."""

    nonce: InstanceId
    tenant_id: TenantIdField | None = None
    device: Device | None = None
    successor: Device | None = None
    manifest_version: Sequence = 0
    enforced: DigestField | None = None
    protected: bool = False
    leaving: bool = False
    stage: Stage = Stage.NORMAL
    unconfirmed: Unconfirmed | None = None
    change: Change | None = None
    trusted_time: str = ""
    going_down: bool = False


class Done(_Message, frozen=True, kw_only=True, tag_field="answer", tag="done", rename="camel"):
    """It is done, and on disk."""


class Lacking(_Message, frozen=True, kw_only=True, tag_field="answer", tag="lacking", rename="camel"):
    """The manifest is believed; these of its policies are still to come. Nothing was changed."""

    digests: tuple[DigestField, ...]


class Outcome(_Message, frozen=True, kw_only=True, tag_field="answer", tag="outcome", rename="camel"):
    """What is in effect now; ``held`` says in a word why nothing was enforced, and then there is no report.

    ``restored`` names files of our own services that somebody had changed, and services that had been stopped.
    """

    report: StatusReport | None = None
    held: str | None = None
    unconfirmed: Unconfirmed | None = None
    restored: Annotated[tuple[str, ...], msgspec.Meta(max_length=64)] = ()


class Examined(_Message, frozen=True, kw_only=True, tag_field="answer", tag="examined", rename="camel"):
    """What root sees of the machine."""

    examination: Examination


class Happened(_Message, frozen=True, kw_only=True, tag_field="answer", tag="happened", rename="camel"):
    """Events, the oldest first; they come again until ``batch`` is acknowledged. Without a name there is nothing."""

    batch: Annotated[str, msgspec.Meta(max_length=64)] = ""
    events: Annotated[tuple[DeviceEvent, ...], msgspec.Meta(max_length=MAX_EVENTS)] = ()
    lost: int = 0
    more: bool = False


class Refused(_Message, frozen=True, kw_only=True, tag_field="answer", tag="refused", rename="camel"):
    """It was not done; nothing new holds. The words are for a person, the code is for programs."""

    code: str
    cause: str
    remedy: str = ""
    retry_seconds: Annotated[int, msgspec.Meta(ge=0, le=3600)] = 0
    """After so long it is worth asking again; 0 where time alone changes nothing."""


Answer: TypeAlias = Standing | Done | Lacking | Outcome | Examined | Happened | Refused


def read_request(body: bytes) -> Request:
    """Read a request. Raises: BadFrameError."""
    try:
        # Eight megabytes of empty lists are hundreds in memory: what has not our shape is refused before it is built.
        _shape.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadFrameError(f"The message cannot be read: {str(error)[:_LONGEST_CAUSE]}") from None
    request: Request = _read(body, Request)
    return request


def verb_of(body: bytes) -> str:
    """Return what a request asks for, as it says itself; empty for what is none. Cheap, and proves nothing."""
    try:
        return msgspec.json.decode(body, type=learned(_Verb)).verb
    except (msgspec.DecodeError, RecursionError):
        return ""


def read_answer(body: bytes) -> Answer:
    """Read an answer. Raises: BadFrameError."""
    answer: Answer = _read(body, Answer)
    return answer


def frame(message: Request | Answer) -> bytes:
    """Write a message as it travels. Raises: BadFrameError: it is longer than any may be."""
    body = encode(message)
    if len(body) > MAX_FRAME_BYTES:
        raise BadFrameError(f"A message of {len(body)} bytes is longer than {MAX_FRAME_BYTES}.")
    return HEADER.pack(len(body)) + body


def body_length(header: bytes) -> int:
    """Read how long a message is. Raises: BadFrameError: longer than any may be, or empty."""
    (length,) = HEADER.unpack(header)
    if not 0 < length <= MAX_FRAME_BYTES:
        raise BadFrameError(f"A frame of {length} bytes is none of this protocol.")
    return int(length)


def _read(body: bytes, kind: Any) -> Any:
    try:
        return convert(decode_any(body, max_depth=MAX_DEPTH), kind)
    except InvalidJsonError as error:
        raise BadFrameError(f"The message cannot be read: {error.cause}") from None
