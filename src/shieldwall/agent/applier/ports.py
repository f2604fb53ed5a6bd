"""What the warden needs around it, and the plain words in which it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol, TypeAlias

from msgspec import Struct

from shieldwall.agent.applier.confirming import Unconfirmed
from shieldwall.agent.applier.sources import SettingSource
from shieldwall.agent.applier.state import Stage, Terms
from shieldwall.agent.applier.transaction import NOBODY, Seen
from shieldwall.agent.host.survey import Survey
from shieldwall.contract.ids import Digest
from shieldwall.contract.settings import PolicyDocument
from shieldwall.contract.status import StatusReport

LEAVING: Final = "leaving"
TROUBLESHOOTING: Final = "troubleshooting"
PASSIVE: Final = "passive"

Say: TypeAlias = Callable[..., None]
"""Writes a line to the log: an event, and what belongs to it."""


class Engine(Protocol):
    """Makes policies so, and says what is in effect. Every method leaves the device as it was when it raises."""

    def recover(self) -> Sequence[str]:
        """Undo what a crash left half done; names what went back."""
        ...

    def enforce(
        self, documents: Iterable[PolicyDocument], *, target: Digest | None, terms: Terms, is_start: bool = False
    ) -> StatusReport:
        """Make these policies, and no others, hold, on the tenant's terms; at a start no look came before."""
        ...

    def refresh(self, seen: Seen = NOBODY) -> StatusReport:
        """Look again at what is in effect, repair drift, and report; ``seen`` says who changed which file."""
        ...

    def release(self) -> None:
        """Return every setting to its state from before management."""
        ...

    def unconfirmed(self) -> Unconfirmed | None:
        """Return the change that goes back unless it is confirmed."""
        ...

    def confirm(self, nonce: str) -> None:
        """Keep the change of that name."""
        ...

    def revert_if_due(self) -> Sequence[str]:
        """Go back on a change whose time to be confirmed is over; names what went back."""
        ...

    def stage(self) -> Stage:
        """Say how much the device is trusted with."""
        ...

    def sources(self, *, manager: str | None = None, protected: bool = False) -> tuple[SettingSource, ...]:
        """Say of every setting whose its value is."""
        ...

    def note_start(self, program: str) -> Stage:
        """Note that a program of ours has started; where it crashed too often, fall back."""
        ...

    def note_stop(self, program: str) -> None:
        """Note that a program ends because it was asked to."""
        ...


class Surroundings(Protocol):
    """What the machine says about itself."""

    def boot_id(self) -> str:
        """Name this boot."""
        ...

    def uptime(self) -> float:
        """Return for how many seconds this boot has lasted, sleep included."""
        ...

    def survey(self) -> Survey:
        """Look who else manages the machine, and whether it can be managed at all."""
        ...


class Asker(Struct, frozen=True, kw_only=True):
    """Who asks; the kernel says so, and nobody can say it of themselves."""

    uid: int

    @property
    def is_root(self) -> bool:
        """Whether this is the machine's administrator."""
        return self.uid == 0


class Held(Struct, frozen=True, kw_only=True):
    """Nothing was enforced, and why not, in a word."""

    why: str


class Missing(Struct, frozen=True, kw_only=True):
    """The manifest is believed, and these of its policies are still to come; nothing was changed."""

    digests: tuple[Digest, ...]
