"""What shows that scans do as they are told: clamd, systemd, and the policy as the scan program reads it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers import systemd
from shieldwall.agent.providers.base import Observation
from shieldwall.agent.providers.clamav import client
from shieldwall.agent.providers.scans import lists, schedule, units
from shieldwall.agent.scanning import policy
from shieldwall.agent.scanning.engine import Verdict, look_at

_EFFECTIVE: Final = Observation(effective=True)
_ELSEWHERE: Final = Observation(
    effective=None, code="listsElsewhere", reason="clamd takes no lists of ours: its databases lie elsewhere."
)
_NO_SCHEDULE: Final = Observation(effective=None, code="noSchedule", reason="No scan is scheduled.")


def engine(address: Path | None, wanted: lists.Lists, *, takes_lists: bool) -> Observation:
    """Say whether clamd runs, and judges an open file by exactly the lists that it should have."""
    if address is None:
        return _failed("engineNotRunning", "No clamd runs on this device.")
    if not takes_lists:
        return _EFFECTIVE if client.is_alive(address) else _failed("engineNotRunning", "clamd does not answer.")
    try:
        found = is_loaded(address, wanted)
    except OSError as error:
        return _failed("engineNotRunning", f"clamd cannot be asked: {error}")
    return _EFFECTIVE if found else _failed("listsNotLoaded", "clamd has not loaded the lists that lie on disk.")


def is_loaded(address: Path, wanted: lists.Lists) -> bool:
    """Say whether clamd has loaded exactly these lists. Raises: OSError when it cannot be asked."""
    return _finds(address, wanted.marker)


def listed(address: Path, where: str, *, takes_lists: bool) -> Observation:
    """Say whether clamd heeds the list that a setting is carried out by."""
    if not takes_lists:
        return _ELSEWHERE
    marker = {policy.ALLOWED_THREATS: lists.IGNORED_MARKER, lists.ALLOWED_FILES: lists.ALLOWED_MARKER}.get(where)
    try:
        ignored = marker is None or not _finds(address, marker)
    except OSError as error:
        return _failed("engineNotRunning", f"clamd cannot be asked: {error}")
    return _EFFECTIVE if ignored else _failed("notInEffect", "clamd finds what the list lets pass.")


def policy_file(host: Host, values: Mapping[str, Any]) -> Observation:
    """Say whether the scan program reads from its file what it should. Raises: HostError."""
    read = policy.of_values(policy.decode(host.read_file(policy.FILE)))
    right = read == policy.of_values(values)
    return _EFFECTIVE if right else _failed("notInEffect", "The scan program reads something else from its policy.")


def scheduled(host: Host, values: Mapping[str, Any]) -> Observation:
    """Say whether systemd will start scans at the times that policies say, and at no other. Raises: HostError."""
    times = schedule.of_values(values)
    for timer, moments in zip(units.TIMERS, (times.quick, times.full), strict=True):
        shown = systemd.show(host, timer, "ActiveState", "NeedDaemonReload", "TimersCalendar")
        active = shown.get("ActiveState") == "active"
        if active is not bool(moments):
            return _failed("timerNotActive" if moments else "timerActive", f"{timer} is {shown.get('ActiveState')}.")
        calendar = shown.get("TimersCalendar", "")
        if any(f"OnCalendar={moment} ;" not in calendar for moment in moments) or (
            active and shown.get("NeedDaemonReload") == "yes"
        ):
            return _failed("otherTimes", f"systemd holds other times for {timer} than its file says.")
    return _EFFECTIVE if times.quick or times.full else _NO_SCHEDULE


def after_updates(host: Host, values: Mapping[str, Any]) -> Observation:
    """Say whether systemd watches for new definitions, or does not, as policies say. Raises: HostError."""
    wanted = values.get(policy.SCAN_AFTER_UPDATE) is True
    state = systemd.show(host, units.PATH_UNIT, "ActiveState").get("ActiveState", "unknown")
    if (state == "active") is wanted:
        return _EFFECTIVE
    return _failed("pathNotActive" if wanted else "pathActive", f"{units.PATH_UNIT} is {state}.")


def _finds(address: Path, content: bytes) -> bool:
    """Have clamd judge an open file, the very way in which scans ask it."""
    descriptor = os.memfd_create("shieldwall-marker", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        return look_at(address, descriptor).verdict is Verdict.FOUND
    finally:
        os.close(descriptor)


def _failed(code: str, reason: str) -> Observation:
    return Observation(effective=False, code=code, reason=reason[:512])
