"""Each product: installed, running, configured as policies say, and seen in effect by a probe."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from shieldwall.agent.doctor.model import Check, Subject, error, info, listed, ok, warning
from shieldwall.agent.inspection.model import Engine, Unit

_STARTS: Final = frozenset({"enabled", "enabled-runtime", "static", "alias", "generated", "indirect", ""})
"""States of a unit file with which a unit is started by something; units that a target of ours wants are static."""


def engines(subject: Subject) -> Iterable[Check]:
    """Ask which products there are to enforce with, and whether each does what is asked of it."""
    if subject.seen is None:
        return
    inspected = {each.name: each for each in subject.inspection.engines}
    versions = dict(subject.surroundings.machine.engines())
    for name, version in sorted(versions.items()):
        yield from _engine(inspected.get(name) or Engine(name=name, version=version))
    for name in sorted(inspected.keys() - versions.keys()):
        yield from _engine(inspected[name])
    if not any(versions.values()) and not any(each.version for each in inspected.values()):
        yield error(
            "engines",
            "There is no security product on this device that the agent can steer.",
            remedy="Install Microsoft Defender, ClamAV or nftables.",
        )


def _engine(engine: Engine) -> Iterable[Check]:
    check = f"engine.{engine.name}"
    if engine.trouble:
        told = error if engine.desired else warning
        yield told(
            check,
            f"{engine.name} could not be looked at.",
            evidence=engine.trouble,
            remedy="Look at the product's own log; it hangs or is broken. What was enforced is not undone.",
        )
        return
    if engine.version is None:
        if engine.desired:
            yield error(
                check,
                f"Policies ask {engine.desired} settings of {engine.name}, which is not on this device.",
                remedy="Install it, or leave this device out of those policies.",
            )
        else:
            yield info(check, f"{engine.name} is not installed; settings for it are not applicable.")
        return
    if not engine.desired:
        yield ok(check, f"{engine.name} is here; no policy asks anything of it.", engine.version)
        return
    faults = [*_units(check, engine), *_settings(check, engine)]
    yield from faults
    if not faults:
        evidence = f"{engine.version}; {engine.desired} settings, {engine.proven} of them seen in effect by a probe"
        yield ok(check, f"{engine.name} is configured as policies say.", evidence)


def _units(check: str, engine: Engine) -> Iterable[Check]:
    for unit in engine.units:
        if unit.loaded in {"not-found", ""}:
            continue  # this way of installing it has no such unit
        if unit.loaded == "masked" or unit.active == "failed" or (unit.active == "inactive" and _runs(unit)):
            yield error(
                check,
                f"{unit.name}, which {engine.name} needs, does not run.",
                evidence=_words(unit),
                remedy=f"systemctl status {unit.name} says why; start it with systemctl restart {unit.name}.",
            )
        elif unit.enabled not in _STARTS:
            yield warning(
                check,
                f"{unit.name}, which {engine.name} needs, does not start with the machine.",
                evidence=_words(unit),
                remedy=f"systemctl enable {unit.name}",
            )


def _runs(unit: Unit) -> bool:
    """Say whether a unit runs all the time: what a timer of ours starts is inactive in between, and oneshots end."""
    return unit.name.endswith((".timer", ".path")) or not unit.name.startswith("shieldwall-")


def _settings(check: str, engine: Engine) -> Iterable[Check]:
    if engine.differing:
        yield error(
            check,
            f"The configuration of {engine.name} does not hold {len(engine.differing)} of {engine.desired} settings.",
            evidence=listed(engine.differing),
            remedy="The applier puts that back within a minute. If it stays, shieldwall-agent effective says why.",
        )
    for each in engine.ineffective:
        yield error(
            check,
            f"A probe of {engine.name} does not see a setting in effect: {each.reason or each.code or 'no reason'}",
            evidence=" ".join(filter(None, (each.setting, each.code))),
            remedy=f"Look at the log of {engine.name}; shieldwall-agent effective shows the setting.",
        )


def _words(unit: Unit) -> str:
    return f"loaded: {unit.loaded}, enabled: {unit.enabled or 'no word'}, active: {unit.active}"
