"""Last known good and safe mode: a device that crashes again and again after new policies goes back to the old. Pure.

* New policies are on *trial* until the device has run for ten minutes with them. The third crash on trial returns to
  the policies before: the *last known good*. Three more crashes lead to *safe mode*: the same policies hold, and of
  what comes only what strengthens is taken.
* A crash is a start of a program that had not said goodbye. A boot that came without a goodbye of anybody is one crash,
  however many programs start in it. A clean stop, an upgrade or an orderly reboot is none.
* The target that failed is not tried again; another target is. Safe mode ends when the device has run for an hour
  without a crash, or when it is released from management; from then on another target is taken as a whole.

No clock is asked: within a boot the kernel counts, and an unexpected boot counts as a crash on trial, because a device
that had lived for ten minutes would have noted so.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from shieldwall.agent.applier.state import Fallen, Footing, Policies, Stage, State, Trial
from shieldwall.agent.applier.uptime import Moment
from shieldwall.contract.ids import Digest

CRASHES: Final = 3
"""So many crashes on trial are not by chance."""
TRIAL_SECONDS: Final = 600.0
"""How long new policies are on trial."""
CALM_SECONDS: Final = 3600.0
"""How long a device runs without a crash before it is taken out of safe mode."""


def tried(state: State, target: Digest, now: Moment) -> Footing:
    """Begin the trial of new policies; of those that are on trial already, crashes go on being counted.

    To be remembered before anything is changed: policies that crash the device while they are applied count as well.
    """
    footing, trial = state.footing, state.footing.trial
    if trial is None:
        if target == state.aim:
            return footing
        return replace(footing, trial=Trial(target=target, begun=now, before=state.holding))
    if trial.target == target:
        return footing
    return replace(footing, trial=replace(trial, target=target, begun=now, crashes=0))


def started(state: State, program: str, now: Moment) -> Footing:
    """Note the start of a program; where it was one crash too many, fall back."""
    footing = state.footing
    booted = footing.boot != now.boot
    crashed = bool(footing.running) if booted else program in footing.running
    running = (program,) if booted else tuple(sorted({*footing.running, program}))
    footing = replace(passed(state, now), boot=now.boot, running=running)
    return _crashed(footing, now) if crashed else footing


def stopped(footing: Footing, program: str) -> Footing:
    """Note that a program said goodbye."""
    return replace(footing, running=tuple(name for name in footing.running if name != program))


def passed(state: State, now: Moment) -> Footing:
    """Let time pass: a trial ends well, and so does safe mode; the target that led there stays held back."""
    footing, trial, fallen = state.footing, state.footing.trial, state.footing.fallen
    if trial is not None and (lived := now.since(trial.begun)) is not None and lived >= TRIAL_SECONDS:
        trial = None
    calm = None if fallen is None else now.since(fallen.calm_since)
    if fallen is not None and fallen.stage is Stage.SAFE_MODE and calm is not None and calm >= CALM_SECONDS:
        fallen = replace(fallen, stage=Stage.LAST_KNOWN_GOOD) if fallen.target == state.aim else None
    return replace(footing, trial=trial, fallen=fallen)


def offered(footing: Footing, target: Digest) -> Footing:
    """Say what remains held back when a target is to be enforced: after a fall another one is tried as a whole."""
    fallen = footing.fallen
    if fallen is None or fallen.stage is Stage.SAFE_MODE or fallen.target == target:
        return footing
    return replace(footing, fallen=None)


def _crashed(footing: Footing, now: Moment) -> Footing:
    fallen, trial = footing.fallen, footing.trial
    if fallen is not None:
        fallen = replace(fallen, calm_since=now)
    if trial is None:
        return replace(footing, fallen=fallen)
    if trial.begun.boot != now.boot:
        trial = replace(trial, begun=Moment(boot=now.boot, seconds=0.0))
    crashes = trial.crashes + 1
    if crashes < CRASHES:
        return replace(footing, trial=replace(trial, crashes=crashes), fallen=fallen)
    falls = trial.falls + 1
    return replace(
        footing,
        trial=replace(trial, begun=now, crashes=0, falls=falls),
        fallen=Fallen(
            stage=_stage(fallen, falls), target=trial.target, instead=_instead(fallen, trial), calm_since=now
        ),
    )


def _stage(fallen: Fallen | None, falls: int) -> Stage:
    deep = falls > 1 or (fallen is not None and fallen.stage is Stage.SAFE_MODE)
    return Stage.SAFE_MODE if deep else Stage.LAST_KNOWN_GOOD


def _instead(fallen: Fallen | None, trial: Trial) -> Policies:
    return trial.before if fallen is None else fallen.instead
