"""The one interface behind which every security product stands.

A provider declares what it can enforce and knows how its product's configuration is written and read. It never
sequences: ``agent.applier.engine`` computes the difference, journals, writes, activates, reads back, observes and rolls
back, once and for all providers. ``render`` and ``read`` are pure functions over file contents, with two laws that the
conformance suite holds every provider to:

* *No tattoo.* For every content ``f`` and desired settings ``d``: rendering ``d`` onto ``f`` and then rendering nothing
  gives back ``f``, byte for byte. What must be remembered for that travels in ``kept``.
* *Idempotence.* Rendering the same desired settings again changes nothing, and what was written is what is read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable

from msgspec import Struct, field

from shieldwall.agent.host.ports import Host
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import SettingId
from shieldwall.contract.status import ItemStatus
from shieldwall.policy.values import SettingValue

Files: TypeAlias = Mapping[PurePosixPath, bytes | None]
"""Contents of files on the managed system; ``None`` stands for no such file."""
Desired: TypeAlias = Mapping[SettingId, SettingValue]
"""Settings to enforce, as resolved; a provider is given only those that it supports."""
Kept: TypeAlias = Mapping[str, Any]
"""What a provider remembers of the state before management; plain JSON, stored by the engine, ``{}`` at first."""

RESTART_NEEDED: Final = "restartNeeded"
"""The code of an observation where the product takes the setting with the next restart of the machine."""


class ProviderError(ShieldwallError):
    """A product does not do what a provider asks of it."""

    code = "providerFailed"
    remedy = "Look at the product's own log on the device; shieldwall-agent doctor says what it finds."


class Support(Struct, frozen=True, kw_only=True):
    """Whether a provider can enforce a setting on this machine; if not, why not, in plain words."""

    applicable: bool
    reason: str = ""


class Rendered(Struct, frozen=True, kw_only=True):
    """New contents of a provider's files, what to keep, and items that cannot be expressed (by setting)."""

    files: Files
    kept: Kept
    rejected: Mapping[SettingId, tuple[ItemStatus, ...]] = field(default_factory=dict)


class Observation(Struct, frozen=True, kw_only=True):
    """What a probe of the running component saw: in effect, not in effect, or nothing to probe (``None``).

    ``lasting`` says of what is not in effect that to apply it again would change nothing.
    """

    effective: bool | None
    code: str = ""
    reason: str = ""
    lasting: bool = False


class Provider(Protocol):
    """Adapter to one security product."""

    @property
    def name(self) -> str:
        """Stable lower-case word that appears in statuses."""
        ...

    def product_version(self, host: Host) -> str | None:
        """Return the product's version or state in a word, ``None`` when there is nothing here to manage."""
        ...

    def support(self, host: Host, setting: SettingId) -> Support | None:
        """Say whether ``setting`` can be enforced here; ``None`` when this provider has nothing to do with it."""
        ...

    def files(self) -> tuple[PurePosixPath, ...]:
        """Return every file this provider ever writes."""
        ...

    def render(self, files: Files, desired: Desired, kept: Kept) -> Rendered:
        """Compute the files that hold exactly ``desired``. Pure.

        Raises:
            ProviderError: A file is in a state that must not be overwritten (not JSON, say); nothing is written then.
        """
        ...

    def read(self, files: Files) -> Desired:
        """Read settings back from file contents. Pure; unmanaged values may appear and are ignored."""
        ...

    def activate(self, host: Host) -> None:
        """Make the running component take the files as they are now; with its files gone, let go.

        Called after every change and after every roll-back; must be safe to call again.

        Raises:
            ProviderError: The component refused; the engine then rolls back.
        """
        ...

    def observe(self, host: Host, desired: Desired) -> Mapping[SettingId, Observation]:
        """Probe the running component for the effect of each desired setting; never raises for a dead component."""
        ...


@runtime_checkable
class RisksConnection(Protocol):
    """What a provider offers whose changes may cut the device off: such a change has to be confirmed, or goes back."""

    def may_cut_off(self, before: Files, after: Files) -> bool:
        """Say whether going from one content to the other could keep the device from its server. Pure; in doubt yes."""
        ...


@runtime_checkable
class Monitored(Protocol):
    """What a provider offers whose component can change while its files stay: a table flushed, a mount changed."""

    def monitor(self, host: Host) -> Sequence[str] | None:
        """Return a program that prints a line whenever the component changes, ``None`` where nothing can be watched."""
        ...


@runtime_checkable
class Supervised(Protocol):
    """What a provider offers whose component may die or go blind: it is looked after between two looks for drift."""

    def supervise(self, host: Host, desired: Desired) -> Sequence[str]:
        """Bring back what is down although ``desired`` needs it; say in plain words what was done. Never raises."""
        ...


@runtime_checkable
class ShowsLocal(Protocol):
    """What a provider offers that can tell what holds without us."""

    def local(self, files: Files, kept: Kept) -> Desired:
        """Read the settings that a local administrator made, or would have made were we gone. Pure."""
        ...


class Whose(StrEnum):
    """Who stands behind a value that is neither ours nor a local administrator's."""

    PRODUCT = "product"
    GROUP_POLICY = "groupPolicy"
    TAMPER_PROTECTION = "tamperProtection"


class Other(Struct, frozen=True, kw_only=True):
    """A value of somebody else: the product's own, a Group Policy's, or one that its tamper protection keeps."""

    whose: Whose
    value: SettingValue


@runtime_checkable
class TellsOthers(Protocol):
    """What a provider offers whose product is told by others too, and can tell whose a value is."""

    def evidence(self) -> tuple[PurePosixPath, ...]:
        """Return documents that are read for this alone, beside ``files``; ``local`` is given them as well."""
        ...

    def others(self, files: Files, kept: Kept) -> Mapping[SettingId, Other]:
        """Name the values of others. One under tamper protection holds whatever we wrote. Pure."""
        ...


@runtime_checkable
class TakesSingly(Protocol):
    """What a provider offers whose product takes or refuses each setting by itself, and may say nothing of it.

    A setting that reads differently after it was written is then an error of its own, and not of the whole provider.
    ``observe`` says why; what it finds to be in effect is not.
    """

    @property
    def takes_singly(self) -> bool:
        """Whether it is so."""
        ...


class Surroundings(Struct, frozen=True, kw_only=True):
    """What the applier knows beyond settings."""

    server_urls: tuple[str, ...] = ()
    """Where the device reaches its server, as the signed target says; empty when it says nothing."""


@runtime_checkable
class Surveys(Protocol):
    """What a provider offers whose files depend on the machine: its interfaces, its users, tables of others."""

    def survey(self, host: Host, desired: Desired, surroundings: Surroundings) -> Kept:
        """Look at what ``render`` has to know of the machine; changes nothing.

        The engine lays the result over ``kept`` right before each ``render`` of desired settings, which hands it on,
        so rendering stays pure. A provider that wants nothing is not asked.

        Raises:
            HostError, ProviderError: The machine cannot be looked at; nothing is written then.
        """
        ...
