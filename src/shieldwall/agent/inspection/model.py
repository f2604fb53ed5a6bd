"""What an inspection saw, as it travels from the applier to the doctor: bounded, strict, and without a judgement.

What is wrong about it, ``agent.doctor`` says. What could not be seen stands in ``Inspection.unseen`` with the cause.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

MOST: Final = 64
"""Entries of one list; what is beyond is counted and not named."""
LONGEST: Final = 512
LONGEST_EXHIBIT: Final = 256 * 1024
"""Characters of one part of a bundle."""
MOST_EXHIBITS: Final = 128

Text = Annotated[str, msgspec.Meta(max_length=LONGEST)]
Exhibit = Annotated[str, msgspec.Meta(max_length=LONGEST_EXHIBIT)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Texts = Annotated[tuple[Text, ...], msgspec.Meta(max_length=MOST)]


class _Seen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """What all of them have in common."""


class Unit(_Seen, frozen=True, kw_only=True):
    """A unit as systemd shows it: ``loaded``, ``enabled`` and ``active`` are its own words."""

    name: Text
    loaded: Text = ""
    enabled: Text = ""
    active: Text = ""


class Ineffective(_Seen, frozen=True, kw_only=True):
    """A setting whose effect a probe looked for and did not find."""

    setting: Text
    code: Text = ""
    reason: Text = ""


class Engine(_Seen, frozen=True, kw_only=True):
    """One product: is it here, does it run, is it configured as policies say, does a probe see the effect?"""

    name: Text
    version: Text | None = None
    """``None`` when it is not installed."""
    units: Annotated[tuple[Unit, ...], msgspec.Meta(max_length=MOST)] = ()
    desired: Count = 0
    """So many settings are asked of it."""
    differing: Texts = ()
    """Settings that its files do not hold as asked."""
    ineffective: Annotated[tuple[Ineffective, ...], msgspec.Meta(max_length=MOST)] = ()
    proven: Count = 0
    """So many settings a probe saw in effect."""
    trouble: Text = ""
    """Why it could not be looked at: it hangs, it breaks."""


class OnAccess(_Seen, frozen=True, kw_only=True):
    """The look at files as they are opened."""

    wanted: Text | None = None
    """``broker`` or ``clamonacc``; ``None`` when none is asked for."""
    alive: bool = False
    current: bool = True
    """Whether it works with the settings at hand."""
    engine_answers: bool = True
    mode: Text = ""
    watching: Count = 0
    unwatchable: Texts = ()
    engine_user: Text = ""
    engine_spared: bool = False
    """Whether the scanner's own opens are let through; else it would wait for itself."""
    impossible: Text = ""
    """Why the kernel lets nobody look at opens."""


class Definitions(_Seen, frozen=True, kw_only=True):
    """The definitions of malware that lie on the device."""

    newest: Text | None = None
    """Moment when the newest was made, RFC 3339."""
    version: Text = ""
    source: Text = ""
    """Mirror they come from, without a user name or a password; empty for the vendor's own."""
    outcome: Text = ""
    """How the last run of the updater ended, where it was ours."""
    said: Text = ""
    only_own: bool = False
    """Whether the vendor's daily definitions are left out on purpose."""


class Audit(_Seen, frozen=True, kw_only=True):
    """The kernel's audit system."""

    installed: bool = False
    enabled: int | None = None
    """0 off, 1 on, 2 on and locked until the next restart; ``None`` when the kernel did not say."""
    daemon: Count = 0
    """Process that takes the records; 0 for none."""
    lost: Count = 0
    backlog: Count = 0
    backlog_limit: Count = 0
    rules: Count = 0
    ours: Count = 0
    """Rules with a key of ours."""
    wanted: bool = False
    """Whether files of rules of ours lie on the device."""
    at_boot: bool = False
    """Whether the kernel was started with ``audit=1``."""
    refused: Text = ""


class Limit(_Seen, frozen=True, kw_only=True):
    """A limit of the kernel, and how much of it is in use where that can be told."""

    name: Text
    value: Count
    used: Count | None = None


class Place(_Seen, frozen=True, kw_only=True):
    """A directory in which something of ours grows."""

    path: Text
    free: Count
    size: Count
    """Of the file system, in bytes."""
    read_only: bool = False


class Quarantine(_Seen, frozen=True, kw_only=True):
    """Files that were put away."""

    files: Count = 0
    size: Count = 0
    limit: Count = 0


class OwnFile(_Seen, frozen=True, kw_only=True):
    """A file of ours that is not as it must be, and in which way."""

    path: Text
    fault: Text


class Package(_Seen, frozen=True, kw_only=True):
    """The package that brought the agent, by the system's own package manager."""

    manager: Text
    version: Text = ""
    changed: Texts = ()
    """Files that are not as the package brought them."""
    more: Count = 0


class Sandbox(_Seen, frozen=True, kw_only=True):
    """How a service of ours is confined."""

    unit: Text
    active: Text = ""
    enabled: Text = ""
    missing: Texts = ()
    """Directives that the package asks for and that are not in effect."""
    overlays: Texts = ()
    """Files of others that change the unit."""
    exposure: float | None = None
    """Score of ``systemd-analyze security``: 0 is confined, 10 is not."""


class Program(_Seen, frozen=True, kw_only=True):
    """A running process of ours."""

    pid: Count
    module: Text
    state: Text = ""
    """The directory it works in, where its words say that."""


class Hardware(_Seen, frozen=True, kw_only=True):
    """What the firmware says of the machine: fields that are missing or cannot be read, and why."""

    present: bool = False
    unreadable: Texts = ()


class Table(_Seen, frozen=True, kw_only=True):
    """A table of somebody else that decides on the same packets."""

    family: Text
    name: Text
    manager: Text


class Firewall(_Seen, frozen=True, kw_only=True):
    """The firewall beside ours."""

    foreign: Annotated[tuple[Table, ...], msgspec.Meta(max_length=MOST)] = ()
    ours: bool = False
    """Whether our table is loaded."""


class Inspection(_Seen, frozen=True, kw_only=True):
    """Everything that was looked at."""

    engines: Annotated[tuple[Engine, ...], msgspec.Meta(max_length=MOST)] = ()
    on_access: OnAccess | None = None
    definitions: Definitions | None = None
    audit: Audit | None = None
    limits: Annotated[tuple[Limit, ...], msgspec.Meta(max_length=MOST)] = ()
    places: Annotated[tuple[Place, ...], msgspec.Meta(max_length=MOST)] = ()
    quarantine: Quarantine | None = None
    own_files: Annotated[tuple[OwnFile, ...], msgspec.Meta(max_length=MOST)] | None = None
    package: Package | None = None
    services: Annotated[tuple[Sandbox, ...], msgspec.Meta(max_length=MOST)] = ()
    programs: Annotated[tuple[Program, ...], msgspec.Meta(max_length=MOST)] = ()
    hardware: Hardware | None = None
    firewall: Firewall | None = None
    exhibits: Annotated[dict[Text, Exhibit], msgspec.Meta(max_length=MOST_EXHIBITS)] = {}
    """Parts of a bundle, redacted: our part of the engines' configuration, the services' journal."""
    unseen: Annotated[dict[Text, Text], msgspec.Meta(max_length=MOST)] = {}
    """What could not be looked at, with the cause."""


def short(text: object) -> str:
    """Cut text to what travels, on one line."""
    return " ".join(str(text).split())[:LONGEST]
