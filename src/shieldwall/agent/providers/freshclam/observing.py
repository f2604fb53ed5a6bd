"""Whether definitions really come: what the last run came to, how old they are, and whether the timer ticks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from shieldwall.agent.host.in_time import HungError
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers import marked_block, systemd
from shieldwall.agent.providers.base import Observation
from shieldwall.agent.providers.freshclam import directives, units, updating
from shieldwall.agent.providers.freshclam.updating import Outcome

OLDEST: Final = timedelta(days=7)
"""Age at which definitions of the vendor, who makes new ones every day, are no protection any more."""
_MISSED_RUNS: Final = 3
_GRACE: Final = timedelta(hours=1)

_NOT_IN_USE: Final = Observation(
    effective=None, code="notInUse", reason="It counts only while definitions are taken from an own mirror."
)
_FALLBACK_UNSEEN: Final = Observation(
    effective=None, code="notProvable", reason="Only a mirror that fails shows whether the vendor is asked then."
)
_VENDOR: Final = Observation(
    effective=None, code="notProvable", reason="Where definitions come from is left to the device."
)


def observe(host: Host, values: Mapping[str, Any], content: bytes, now: datetime) -> Mapping[str, Observation]:
    """Judge each of ``values`` by what the updater did. Raises: HostError."""
    if host.find_program(updating.PROGRAM) is None:
        missing = Observation(effective=False, code="programMissing", reason="freshclam is not on this device.")
        return dict.fromkeys(values, missing)
    coming = _quiet(host) if directives.is_off(values) else _coming(host, values, content, now)
    uses_mirror = values.get(directives.OFFLINE) == "enabled"
    unlike = {
        directives.OFFLINE_URL: coming if uses_mirror else _NOT_IN_USE,
        directives.FALLBACK: _FALLBACK_UNSEEN if uses_mirror else _NOT_IN_USE,
        directives.OFFLINE: coming if uses_mirror else _VENDOR,
    }
    return {where: unlike.get(where, coming) for where in values}


def _quiet(host: Host) -> Observation:
    if not systemd.runs(host):
        return Observation(effective=None, code="notProvable", reason="Nothing here tells what else starts freshclam.")
    for unit in (units.DAEMON, units.TIMER):
        if systemd.show(host, unit, "ActiveState").get("ActiveState") == "active":
            return Observation(effective=False, code="updaterRuns", reason=f"{unit} is running.")
    return Observation(effective=True)


def _coming(host: Host, values: Mapping[str, Any], content: bytes, now: datetime) -> Observation:
    if directives.governs(values) and systemd.runs(host):
        state = systemd.show(host, units.TIMER, "ActiveState").get("ActiveState", "unknown")
        if state != "active":
            return Observation(effective=False, code="timerNotActive", reason=f"{units.TIMER} is {state}.")
    run = updating.last(host)
    if run is None or run.configuration != updating.digest_of(content):
        reason = "freshclam has not run with this configuration yet."
        return Observation(effective=None, code="notRunYet", reason=reason)
    if run.outcome is Outcome.BUSY:
        return Observation(effective=None, code=run.outcome, reason=run.said)
    if run.outcome not in updating.GOOD:
        reason = f"freshclam ended with {run.returncode}: {run.said}"
        return Observation(effective=False, code=run.outcome, reason=reason[:512])
    return _fresh(host, values, content, now, datetime.fromisoformat(run.at))


def _fresh(host: Host, values: Mapping[str, Any], content: bytes, now: datetime, ran_at: datetime) -> Observation:
    latest = timedelta(seconds=directives.seconds(values)) * _MISSED_RUNS + _GRACE
    if directives.governs(values) and not -_GRACE <= now - ran_at <= latest:
        reason = f"freshclam ran last at {ran_at:%Y-%m-%d %H:%M} UTC."
        return Observation(effective=False, code="notRunLately", reason=reason)
    try:
        found = updating.databases(host, content)
    except HungError as error:
        return Observation(effective=None, code=error.code, reason=error.cause[:512])
    if found.newest is None:
        return Observation(effective=False, code="noDefinitions", reason="There are no definitions on this device.")
    made = found.daily or found.newest  # what else lies there may be new whenever somebody copies it
    if now - made > OLDEST and not _only_own_signatures(content):
        reason = f"The newest definitions are of {made:%Y-%m-%d %H:%M} UTC."
        return Observation(effective=False, code="definitionsTooOld", reason=reason)
    return Observation(effective=True)


def _only_own_signatures(content: bytes) -> bool:
    """Say whether the vendor's databases are not asked for: signatures of one's own are old when nothing changes."""
    return "daily" in marked_block.arguments(content, "ExcludeDatabase")
