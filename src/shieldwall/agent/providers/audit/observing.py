"""Whether what was asked for is in force: asked of the kernel, setting by setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from msgspec import Struct, field

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers import systemd
from shieldwall.agent.providers.audit import profile as at
from shieldwall.agent.providers.audit.kernel import LOCKED, Kernel
from shieldwall.agent.providers.audit.packs import BEHAVIOR_PACKS, key_of
from shieldwall.agent.providers.audit.profile import Profile
from shieldwall.agent.providers.audit.rendering import EXCLUDED, READER, RULES, left_out, packs, watched
from shieldwall.agent.providers.audit_loading import AuditRefusedError, lost, unwatched
from shieldwall.agent.providers.audit_rules import keys_in, places_in
from shieldwall.agent.providers.base import Observation

_COMMAND_LINE: Final = PurePosixPath("/proc/cmdline")
_OFF: Final = Observation(effective=None, code="off", reason="It is off; what holds is what holds without us.")
_NOTHING: Final = Observation(effective=None, code="auditOff", reason="Nothing is audited that this could be about.")
_FINE: Final = Observation(effective=True)
_LOCKED: Final = Observation(
    effective=False,
    code="auditLocked",
    reason="The audit rules are locked until the next restart (auditctl -e 2); they are loaded then.",
)
_LOCKED_BY_ITSELF: Final = "until the next restart nobody takes it back"


class Seen(Struct, frozen=True, kw_only=True):
    """What the kernel shows at one moment."""

    status: Mapping[str, str]
    rules: Sequence[str]
    reader: bool | None
    """Whether what reads runs; ``None`` where nothing could run it."""
    from_start: bool
    """Whether the kernel audited from its start on (``audit=1``)."""
    lost: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By key, places that are there and that no rule is about, although one should be."""

    @property
    def keys(self) -> frozenset[str]:
        """Keys of all rules."""
        return keys_in("\n".join(self.rules))


def look(host: Host) -> Seen:
    """Look at the kernel. Raises: HostError, AuditRefusedError."""
    kernel = Kernel.of(host)
    if kernel is None:
        raise AuditRefusedError("There is no auditctl to ask.")
    reader = None
    if systemd.runs(host):
        reader = systemd.show(host, READER, "ActiveState").get("ActiveState") == "active"
    words, rules = (host.read_file(_COMMAND_LINE) or b"").split(), kernel.listing()
    gone = lost(host, host.read_file(RULES), "\n".join(rules))
    return Seen(status=kernel.status(), rules=rules, reader=reader, from_start=b"audit=1" in words, lost=gone)


def observe(host: Host, profile: Profile, places: Mapping[str, Any]) -> Mapping[str, Observation]:
    """Judge each place that is asked about; never raises for what is merely missing."""
    try:
        seen = look(host)
    except (HostError, AuditRefusedError) as error:
        return dict.fromkeys(places, Observation(effective=None, code=error.code, reason=error.cause[:512]))
    return {place: judge(seen, profile, place) for place in places}


def judge(seen: Seen, profile: Profile, place: str) -> Observation:  # noqa: PLR0911 - a place a return
    """Judge one place. Pure."""
    if place == at.ENABLED:
        return _enabled(seen) if profile.is_on else _OFF
    if place == at.BEHAVIOR:
        return _behavior(seen) if profile.watches_behavior else _OFF
    if not profile.audits or (not profile.is_on and place != at.GLOBAL_EXCLUSIONS):
        return _NOTHING
    if place in {at.USERS, at.PROGRAMS, at.GLOBAL_EXCLUSIONS}:
        return _left_out(seen, profile, place) if profile.items(place) else _OFF
    if place == at.WATCHES:
        return _watches(seen, profile) if profile.items(place) else _OFF
    if place.startswith(at.PACK):
        pack = place.removeprefix(at.PACK)
        return _loaded(seen, key_of(pack)) if pack in packs(profile) else _OFF
    return _control(seen, profile, place)


def _enabled(seen: Seen) -> Observation:
    if seen.status["enabled"] not in {"1", LOCKED}:
        return Observation(effective=False, code="auditOff", reason="Auditing is switched off in the kernel.")
    if seen.reader is False:
        return Observation(effective=False, code="readerDown", reason=f"{READER}, which reads events, does not run.")
    if (lost := int(seen.status.get("lost", "0") or 0)) > 0:
        reason = f"The kernel has lost {lost} events since it started. Raise the backlog limit, or audit less."
        return Observation(effective=True, code="eventsLost", reason=reason)
    if seen.reader is None:
        reason = "Without systemd nothing runs the program that reads events; the kernel writes them down all the same."
        return Observation(effective=True, code="notRead", reason=reason)
    if not seen.from_start:
        reason = (
            "Programs that ran before auditing began are not seen until they start again; audit=1 on the kernel's "
            "command line lets it begin first."
        )
        return Observation(effective=True, code="notFromStart", reason=reason)
    return _FINE


def _behavior(seen: Seen) -> Observation:
    for pack in BEHAVIOR_PACKS:
        if (loaded := _loaded(seen, key_of(pack))).effective is not True:
            return loaded
    found = _enabled(seen)
    if found.effective is not True:
        return found
    reason = "What programs do is written down and told of; nothing is stopped."
    return Observation(effective=True, code="detectOnly", reason=f"{reason} {found.reason}".strip())


def _loaded(seen: Seen, key: str) -> Observation:
    missing = unwatched(seen.lost.get(key, ())) if key in seen.keys else "The kernel does not hold the audit rules."
    if not missing:
        return _FINE
    if seen.status["enabled"] == LOCKED:
        return _LOCKED
    return Observation(effective=False, code="auditRuleMissing", reason=missing)


def _left_out(seen: Seen, profile: Profile, place: str) -> Observation:
    whole = _loaded(seen, EXCLUDED)
    if whole.effective is not True:
        return whole
    text = "\n".join(f"{rule} " for rule in seen.rules if EXCLUDED in rule)
    missing = [each for each in left_out(profile, place) if f"{each} " not in text]
    if not missing:
        return _FINE
    reason = (
        f"The kernel does not leave out {', '.join(missing[:5])}: a directory has to be there before it can be named."
    )
    return Observation(effective=False, code="exclusionMissing", reason=reason[:512])


def _watches(seen: Seen, profile: Profile) -> Observation:
    held = {(place.key, place.path) for place in places_in("\n".join(seen.rules))}  # of our keys: others leave sooner
    missing = [
        rule.path
        for _, rule in watched(profile.items(at.WATCHES))
        if (rule.key, rule.path.rstrip("/") or "/") not in held
    ]
    if not missing:
        return _FINE
    if seen.status["enabled"] == LOCKED:
        return _LOCKED
    named = ", ".join(missing[:5])
    reason = f"The kernel does not watch {named}: a directory has to be there before it can be watched."
    return Observation(effective=False, code="watchMissing", reason=reason[:512])


def _control(seen: Seen, profile: Profile, place: str) -> Observation:
    wanted = profile.asked.get(place)
    if place == at.IMMUTABLE:
        return _lasting(is_so=seen.status["enabled"] == LOCKED, wanted=wanted is True)
    if place == at.LOGIN_UID:
        is_so = seen.status.get("loginuid_immutable", "").startswith("1")
        return _lasting(is_so=is_so, wanted=wanted is True)
    name = _NAMES.get(place)
    if name is None or wanted is None:
        return _OFF
    found = seen.status.get(name, "")
    if found == str(wanted):
        return _FINE
    if seen.status["enabled"] == LOCKED:
        return _LOCKED
    reason = f"The kernel has {found or 'nothing'} where the policy says {wanted}; rules of somebody else may set it."
    return Observation(effective=False, code="auditValueDiffers", reason=reason)


_NAMES: Final[Mapping[str, str]] = {
    at.BACKLOG: "backlog_limit",
    at.WAIT_TIME: "backlog_wait_time",
    at.RATE: "rate_limit",
    at.FAILURE: "failure",
}


def _lasting(*, is_so: bool, wanted: bool) -> Observation:
    if is_so == wanted:
        return _FINE
    if wanted:
        return Observation(effective=False, code="notLocked", reason="The kernel has not taken it.")
    reason = f"It is locked already, and {_LOCKED_BY_ITSELF}."
    return Observation(effective=False, code="untilRestart", reason=reason)
