"""Commit-confirm: a change that may cut the device off is on probation until somebody proves that it did not. Pure.

The way back is on disk before anything is changed. It leads to what was *confirmed* last: of two changes within one
window both go back. Whoever confirms names the change by its nonce; a proof made for an earlier one does not count.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import ClassVar, Final

from msgspec import Struct
from msgspec.structs import replace

from shieldwall.agent.applier.attempt import Attempt, Outcome
from shieldwall.agent.applier.state import HeldBack, Intent, Policies, State, WayBack, Window
from shieldwall.agent.applier.uptime import Moment
from shieldwall.agent.providers.base import Desired, RisksConnection
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import Digest, SettingId

CONFIRM_SECONDS: Final = SettingId("linux_shieldwall_firewall_global_confirmseconds")
DEFAULT_SECONDS: Final = 600.0
"""How long a change waits for its confirmation where no policy says so."""
_LIMITS: Final = (15.0, 600.0)
ROLLED_BACK: Final = "connectivityRollback"
"""The code of settings that went back because the device did not reach its server with them."""
UNCONFIRMED: Final = "unconfirmed"
"""The code of settings that hold and still have to be confirmed."""


class ConfirmationError(ShieldwallError):
    """A confirmation that does not count."""

    code: ClassVar[str] = "notConfirmed"
    remedy: ClassVar[str] = "Ask what waits to be confirmed, and prove for that change that the server can be reached."


class NothingToConfirmError(ConfirmationError):
    """No change waits to be confirmed; it may have gone back already."""

    code: ClassVar[str] = "nothingToConfirm"
    remedy: ClassVar[str] = "Look at the status of the firewall settings; they say whether a change went back."


class OtherChangeError(ConfirmationError):
    """The confirmation is for another change than the one that waits."""

    code: ClassVar[str] = "otherChange"
    remedy: ClassVar[str] = "Ask again what waits, and prove for that change that the server can be reached."


class TooLateError(ConfirmationError):
    """The time to confirm is over; the change goes back."""

    code: ClassVar[str] = "confirmedTooLate"
    remedy: ClassVar[str] = "Assign the policy again after looking why the server could not be reached in time."


class Unconfirmed(Struct, frozen=True, kw_only=True):
    """What others may know of a change that waits."""

    nonce: str
    """Names the change; a signed time statement for this nonce proves that the server was reached afterwards."""
    target: Digest | None
    providers: tuple[str, ...]
    deadline: float
    """Seconds since the boot (``CLOCK_BOOTTIME``) at which the change goes back."""
    seconds_left: float
    """Seconds until then; zero when it is due, and after a reboot."""


def shown(state: State, now: Moment) -> Unconfirmed | None:
    """Tell what waits to be confirmed."""
    window = state.unconfirmed
    if window is None:
        return None
    return Unconfirmed(
        nonce=window.nonce,
        target=state.target,
        providers=window.providers,
        deadline=window.begun.seconds + window.seconds,
        seconds_left=max(0.0, window.left(now)),
    )


def risky(state: State, attempts: Iterable[Attempt]) -> tuple[Attempt, ...]:
    """Pick the changes that may cut the device off from its server.

    Putting back what was confirmed is none, nor is letting go: both lead to where the device reached its server.
    """
    return tuple(attempt for attempt in attempts if attempt.is_new and attempt.changes and _may_cut_off(state, attempt))


def opened(
    state: State, attempts: tuple[Attempt, ...], *, nonce: str, now: Moment, decided: Desired, before: Policies
) -> Window | None:
    """Make the window for risky changes, over the one that may be open; ``None`` where none is needed."""
    if not attempts:
        return state.unconfirmed
    former = state.unconfirmed
    ways = _by_provider(former)
    for attempt in attempts:
        name = attempt.provider.name
        ways[name] = _extended(ways[name], attempt.intent) if name in ways else _way_back(state, attempt)
    return Window(
        nonce=nonce,
        begun=now,
        seconds=_seconds(decided),
        ways_back=tuple(ways.values()),
        before=before if former is None else former.before,
    )


def settled(
    former: Window | None,
    window: Window | None,
    attempts: tuple[Attempt, ...],
    outcomes: Iterable[Outcome],
    now: Moment,
) -> Window | None:
    """Say what is left to confirm after changes were carried out. The time to confirm begins when they are done."""
    if window is None:
        return None
    before, risked = _by_provider(former), {attempt.provider.name for attempt in attempts}
    ways, new = dict(_by_provider(window)), False
    for outcome in outcomes:
        name, attempt = outcome.share.provider.name, outcome.attempt
        if name not in ways or attempt is None:
            continue
        if outcome.failure is not None and not outcome.let_go:
            if name not in before:  # it went back by itself, so there is nothing left to confirm
                del ways[name]
        elif name in risked:
            new = True
        elif attempt.changes and attempt.is_new:  # it came out where nothing can cut the device off
            del ways[name]
    if not ways:
        return None
    if new or former is None:
        return replace(window, begun=now, ways_back=tuple(ways.values()), committed=True)
    return replace(former, ways_back=tuple(ways.values()))


def gone_back(state: State, stuck: tuple[Intent, ...]) -> State:
    """Work out what is remembered after every provider of the window went back, or could not yet.

    Whatever was carried out to its end and not confirmed is not tried again for the same target. What a crash broke off
    is: nobody knows yet whether it cuts anything off.
    """
    window = state.unconfirmed
    assert window is not None
    managed = dict(state.providers)
    for way in window.ways_back:
        managed.pop(way.intent.provider, None)
        if way.managed is not None:
            managed[way.intent.provider] = way.managed
    held_back = HeldBack(target=state.aim, providers=window.providers, instead=window.before)
    return replace(
        state.intending(stuck),
        providers=managed,
        unconfirmed=None,
        held_back=held_back if window.committed else state.held_back,
    )


def confirmed(state: State, nonce: str, now: Moment) -> State:
    """Take a confirmation. Raises: NothingToConfirmError, OtherChangeError, TooLateError."""
    window = state.unconfirmed
    if window is None or not window.committed:
        raise NothingToConfirmError("No change waits to be confirmed.")
    if window.nonce != nonce:
        raise OtherChangeError("The confirmation names another change than the one that waits.")
    if window.left(now) <= 0:
        raise TooLateError("The time to confirm the change is over.")
    return replace(state, unconfirmed=None)


def _may_cut_off(state: State, attempt: Attempt) -> bool:
    provider = attempt.provider
    if not isinstance(provider, RisksConnection) or not attempt.share.desired:
        return False
    before = dict(attempt.before)
    if way := _by_provider(state.unconfirmed).get(provider.name):
        before |= {PurePosixPath(saved.path): saved.content for saved in way.intent.files}
    try:
        return provider.may_cut_off(before, {**attempt.before, **attempt.rendered.files})
    except Exception:  # noqa: BLE001 - a provider that cannot tell has not said that nothing can happen
        return True


def _seconds(decided: Desired) -> float:
    value = decided.get(CONFIRM_SECONDS)
    if not isinstance(value, int):
        return DEFAULT_SECONDS
    least, most = _LIMITS
    return min(max(float(value), least), most)


def _by_provider(window: Window | None) -> dict[str, WayBack]:
    return {} if window is None else {way.intent.provider: way for way in window.ways_back}


def _way_back(state: State, attempt: Attempt) -> WayBack:
    return WayBack(intent=attempt.intent, managed=state.providers.get(attempt.provider.name))


def _extended(way: WayBack, intent: Intent) -> WayBack:
    """Add files that an earlier change of the same window left alone; of others what was confirmed stays."""
    known = {saved.path for saved in way.intent.files}
    added = tuple(saved for saved in intent.files if saved.path not in known)
    return replace(way, intent=replace(way.intent, files=way.intent.files + added))
