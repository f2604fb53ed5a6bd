"""Signatures for what is published in a transaction, asked for outside of it: nobody waits there for another process.

What publishes policies runs twice. The first time it comes as far as the documents that it wants signed, and is undone.
The signer is asked with no transaction open. Then all of it runs again, with the signatures at hand, and decides again
on what is there by now: only a document that it comes to once more, byte by byte, is published.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgspec

from shieldwall.contract import strict_json
from shieldwall.contract.messages import Envelope
from shieldwall.contract.settings import PolicyDocument
from shieldwall.server.signer.errors import RevisionTakenError

MOST_LOST_NUMBERS: Final = 32


class PolicySigner(Protocol):
    """Whoever is asked for signatures, while no transaction is open."""

    def sign_policy(self, document: bytes) -> Envelope:
        """Sign one revision of a policy. Raises: SignerError."""
        ...


class Signatures(Protocol):
    """Where publishing, which is inside a transaction, has signatures from: nothing that asks another process.

    ``AtHand`` is one. So is a signer that works in this process, as simulators, tests and benchmarks have it. What asks
    the signer's process is none.
    """

    def envelope_of(self, document: bytes) -> Envelope:
        """Return one revision of a policy, signed. Raises: SignaturesWantedError, SignerError."""
        ...


class SignaturesWantedError(Exception):
    """What runs has come to the point where it wants documents signed that were not signed yet.

    No error for people: whoever lets something publish catches it and runs it again (``authoring.signed_between``).
    """

    def __init__(self, documents: Iterable[bytes]) -> None:
        super().__init__("Policies wait for signatures: what publishes them does not run in signed_between.")
        self.documents: Final = tuple(documents)


@dataclass(slots=True)
class Wants:
    """Gathers what several policies of one change want signed, so that the signer is asked for all at once."""

    documents: list[bytes] = field(default_factory=list)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Go on with the next policy where this one wants a signature."""
        try:
            yield
        except SignaturesWantedError as error:
            self.documents += error.documents

    def refuse_any(self) -> None:
        """Go no further where signatures are missing. Raises: SignaturesWantedError."""
        if self.documents:
            raise SignaturesWantedError(self.documents)


@dataclass(frozen=True, slots=True)
class AtHand:
    """Hands out the signatures that were asked for before, and asks nobody."""

    envelopes: dict[bytes, Envelope] = field(default_factory=dict)
    taken: set[bytes] = field(default_factory=set)
    """Documents whose number the signer gave to another one."""

    def envelope_of(self, document: bytes) -> Envelope:
        """Return the signed document. Raises: SignaturesWantedError, RevisionTakenError."""
        if document in self.taken:
            raise RevisionTakenError("Another document was already signed as this revision of this policy.")
        if (envelope := self.envelopes.get(document)) is None:
            raise SignaturesWantedError([document])
        return envelope

    def ask(self, signer: PolicySigner, documents: Iterable[bytes]) -> None:
        """Have documents signed, each under the first number that is free. Raises: SignerError."""
        for document in documents:
            self._ask(signer, document)

    def _ask(self, signer: PolicySigner, document: bytes) -> None:
        for _ in range(MOST_LOST_NUMBERS):
            try:
                self.envelopes[document] = signer.sign_policy(document)
            except RevisionTakenError:
                self.taken.add(document)
                written = strict_json.decode(document, PolicyDocument)
                document = strict_json.encode(msgspec.structs.replace(written, revision=written.revision + 1))
            else:
                return
        self.envelopes[document] = signer.sign_policy(document)


@dataclass(frozen=True, slots=True)
class RepeatedIds:
    """The same new ids in every run, so that a policy made in the second one has the id that was signed."""

    new_id: Callable[[], str]
    drawn: list[str] = field(default_factory=list)

    def again(self) -> Callable[[], str]:
        """Return what draws ids for one more run, from the first one on."""
        place = iter(range(1 << 62))

        def draw() -> str:
            if (index := next(place)) == len(self.drawn):
                self.drawn.append(self.new_id())
            return self.drawn[index]

        return draw
