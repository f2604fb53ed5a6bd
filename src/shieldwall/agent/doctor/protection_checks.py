"""Definitions, the look at opens, the quarantine, and the firewall beside ours."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from shieldwall.agent.doctor.model import Check, Subject, error, info, listed, ok, warning

OLD: Final = timedelta(days=3)
TOO_OLD: Final = timedelta(days=7)
"""The vendor makes new definitions every day; after a week they are no protection any more."""
_GOOD_RUNS: Final = frozenset({"", "updated", "upToDate", "anotherUpdateRuns"})
_NEARLY_FULL: Final = 0.9
_FETCH: Final = "Run freshclam as root and read what it says; check the mirror and the way to it."


def definitions(subject: Subject) -> Iterable[Check]:
    """Ask how old the definitions of malware are, and whether new ones come."""
    found = subject.inspection.definitions
    if found is None:
        return
    source = found.source or "the vendor"
    if found.newest is None:
        asked = any(each.name in {"clamav", "freshclam"} and each.desired for each in subject.inspection.engines)
        finding = "There are no definitions of malware on this device, so nothing is found."
        if asked:
            yield error("definitions", finding, evidence=f"from {source}", remedy=_FETCH)
        else:
            yield info("definitions", finding, f"from {source}; no policy asks for antivirus", remedy=_FETCH)
        return
    age = subject.surroundings.trusted_clock.now() - datetime.fromisoformat(found.newest)
    evidence = f"newest of {found.newest}, version {found.version or 'unknown'}, from {source}"
    if found.outcome not in _GOOD_RUNS:
        yield warning(
            "definitions",
            f"The last update of the definitions failed: {found.outcome}.",
            evidence=f"{evidence}; {found.said}",
            remedy=_FETCH,
        )
    if found.only_own:
        yield ok("definitions", "The definitions are the site's own; the vendor's daily ones are left out.", evidence)
    elif age > TOO_OLD:
        yield error("definitions", f"The definitions are {age.days} days old.", evidence=evidence, remedy=_FETCH)
    elif age > OLD:
        yield warning("definitions", f"The definitions are {age.days} days old.", evidence=evidence, remedy=_FETCH)
    elif found.outcome in _GOOD_RUNS:
        yield ok("definitions", "The definitions are new.", evidence)


def on_access(subject: Subject) -> Iterable[Check]:
    """Ask whether files are looked at as they are opened, and whether the scanner cannot wait for itself."""
    found = subject.inspection.on_access
    if found is None:
        return
    if found.wanted is None:
        yield info("onAccess", "No policy asks for files to be looked at as they are opened.", found.impossible)
        return
    name = "shieldwall-broker" if found.wanted == "broker" else "clamonacc"
    if found.impossible:
        yield error(
            "onAccess",
            "The kernel lets nobody look at files as they are opened.",
            evidence=found.impossible,
            remedy="Use a kernel with fanotify permission events, or leave this device out of that policy.",
        )
    elif not found.alive:
        yield error(
            "onAccess",
            f"{name} does not run, so files are opened unseen.",
            remedy=f"systemctl status shieldwall-{found.wanted} says why; the applier starts it again by itself.",
        )
    else:
        yield from _running(subject, name)
    if not found.engine_spared:
        yield error(
            "onAccess",
            "The scanner's own opens are held as well, so it would wait for itself.",
            evidence=f"clamd runs as {found.engine_user}, which {name} does not let through",
            remedy="Run shieldwall-agent sync, so that the configuration is written anew; then look at it again.",
        )


def quarantine(subject: Subject) -> Iterable[Check]:
    """Ask how much lies in quarantine."""
    found = subject.inspection.quarantine
    if found is None:
        return
    evidence = f"{found.files} files, {found.size // 2**20} of {found.limit // 2**20} MiB"
    if found.limit and found.size > found.limit * _NEARLY_FULL:
        yield warning(
            "quarantine",
            "The quarantine is nearly full; what comes in makes the oldest go.",
            evidence=evidence,
            remedy="Look what is put away: shieldwall-agent quarantine list. Remove what is not needed.",
        )
    else:
        yield ok("quarantine", "The quarantine has room.", evidence)


def firewall(subject: Subject) -> Iterable[Check]:
    """Ask who else decides on the same packets."""
    found = subject.inspection.firewall
    if found is None:
        return
    asked = any(each.name == "nftables" and each.desired for each in subject.inspection.engines)
    foreign = [f"{each.family} {each.name} ({each.manager})" for each in found.foreign]
    if asked and not found.ours:
        yield error(
            "firewall",
            "Policies ask for firewall rules, and the kernel does not hold our table.",
            remedy="The applier loads it again within seconds. If that stays so, look who flushes the ruleset.",
        )
    if foreign and asked:
        yield warning(
            "firewall",
            "Other tables decide on the same packets: what ours lets through, they may stop.",
            evidence=listed(foreign),
            remedy="Decide who is in charge: remove those rules where they are made, or allow local ones by policy.",
        )
    elif foreign:
        yield info("firewall", "Others have firewall rules on this device; no policy asks for ours.", listed(foreign))
    elif asked and found.ours:
        yield ok("firewall", "Our table is loaded, and nobody else decides on the same packets.")


def _running(subject: Subject, name: str) -> Iterable[Check]:
    found = subject.inspection.on_access
    assert found is not None
    faults = []
    if not found.current:
        faults.append("it works with other settings than those at hand")
    if not found.engine_answers:
        faults.append("clamd does not answer it")
    if found.unwatchable:
        faults.append(f"the kernel refuses to watch {listed(found.unwatchable)}")
    if faults:
        yield warning(
            "onAccess",
            f"{name} runs, and does not see everything.",
            evidence="; ".join(faults),
            remedy="Look at the logs of shieldwall-broker and clamav-daemon; the applier tries again every minute.",
        )
    elif found.engine_spared:
        mode = f"mode {found.mode}, {found.watching} mounts watched" if found.mode else ""
        yield ok("onAccess", f"{name} looks at files as they are opened.", mode)
