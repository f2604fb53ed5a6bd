"""Platform update controls as files: a hold, a pin, a timer. Pure.

While the controls are on, apt sees no candidate for the packages of the platform (a pin of negative priority), so
neither an administrator's upgrade nor unattended ones change them. The unit that the timer starts in the window sees
an empty file in the place of that pin, by a mount of its own, and upgrades them. A fixed version is a second pin, which
holds there too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from msgspec import Struct, field

from shieldwall.agent.providers import systemd
from shieldwall.contract import strict_json
from shieldwall.contract.errors import InvalidJsonError
from shieldwall.contract.ids import SettingId
from shieldwall.contract.status import ItemStatus, SettingState

FEATURE: Final = SettingId("linux_features_platformupdatecontrols")
_PREFIX: Final = "linux_platformupdatecontrols_"
DAY: Final = SettingId(_PREFIX + "schedule_daysofmonth")
WEEKDAY: Final = SettingId(_PREFIX + "schedule_daysofweek")
MONTH: Final = SettingId(_PREFIX + "schedule_months")
START: Final = SettingId(_PREFIX + "schedule_starttime")
END: Final = SettingId(_PREFIX + "schedule_endtime")
VERSION: Final = SettingId(_PREFIX + "version")
FIXED: Final = SettingId(_PREFIX + "version_fixedvalue")
SUPPORTED: Final = (FEATURE, DAY, WEEKDAY, MONTH, START, END, VERSION, FIXED)
"""The settings that are carried out here; nothing is published about where they land in a product."""

POLICY: Final = PurePosixPath("/etc/shieldwall/packages/policy.json")
NOT_HELD: Final = PurePosixPath("/etc/shieldwall/packages/not-held")
HOLD: Final = PurePosixPath("/etc/apt/preferences.d/shieldwall-hold")
PIN: Final = PurePosixPath("/etc/apt/preferences.d/shieldwall-version")
NAME: Final = "shieldwall-platform-update"
TIMER: Final = f"{NAME}.timer"
SERVICE: Final = f"{NAME}.service"
TIMER_FILE: Final = systemd.UNITS / TIMER
SERVICE_FILE: Final = systemd.UNITS / SERVICE
_WANTED: Final = systemd.wanted_by(systemd.TIMERS, NAME, ())[0]
FILES: Final = (POLICY, NOT_HELD, HOLD, PIN, TIMER_FILE, SERVICE_FILE, _WANTED)

PACKAGES: Final = "clamav* clamdscan libclamav* shieldwall-agent"
"""What the platform consists of on a Debian system, in the words of apt_preferences(5)."""
_INSTALLED: Final = (
    "?and(?installed,?or(?name(^clamav),?name(^clamdscan$$),?name(^libclamav),?name(^shieldwall-agent$$)))"
)
"""The same as a pattern for apt-get (apt-patterns(7)); systemd makes one dollar of two."""
_WEEKDAYS: Final = ("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat")
_LENGTHS: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_EVERY: Final = "every"
_LONGEST_DELAY_SECONDS: Final = 4 * 3600
_VERSION: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+~:-]{0,126}\*?\Z")


class Plan(Struct, frozen=True, kw_only=True):
    """The files, the values that they carry out, and the settings that are refused."""

    files: Mapping[PurePosixPath, bytes | None]
    values: Mapping[str, Any]
    rejected: Mapping[SettingId, ItemStatus] = field(default_factory=dict)


def plan(values: Mapping[str, Any]) -> Plan:
    """Compute the files for the typed values of settings."""
    rejected = _rejected(values)
    done = {name: values[name] for name in sorted(values) if name not in rejected}
    files: dict[PurePosixPath, bytes | None] = dict.fromkeys(FILES)
    files[POLICY] = strict_json.encode({"settings": done, "writtenBy": "shieldwall"}) + b"\n"
    if done.get(FEATURE) == "enabled":
        files[NOT_HELD] = b"# Seen by shieldwall-platform-update.service in the place of the hold.\n"
        files[HOLD] = _pin("Updated by Shieldwall in its window only.", "release *", -1)
        if done.get(VERSION) == "fixed":
            files[PIN] = _pin("The version that a policy fixes.", f"version {done[FIXED]}", 1001)
        files[TIMER_FILE] = _timer(done).encode()
        files[SERVICE_FILE] = _service().encode()
        files.update([systemd.wanted_by(systemd.TIMERS, NAME, [TIMER])])
    return Plan(files=files, values=done, rejected=rejected)


def read(content: bytes | None) -> Mapping[str, Any]:
    """Return the values that a policy file of ours names; none where it is not ours."""
    try:
        document = strict_json.decode_any(content) if content is not None else None
    except InvalidJsonError:
        return {}
    if not isinstance(document, dict) or document.get("writtenBy") != "shieldwall":
        return {}
    values = document.get("settings")
    return values if isinstance(values, dict) and set(values) <= set(SUPPORTED) else {}


def calendar(values: Mapping[str, Any]) -> str:
    """Return the moment at which the window opens, as systemd.time(7) writes it."""
    weekday = f"{_WEEKDAYS[int(values[WEEKDAY])]} " if WEEKDAY in values else ""
    month = f"{int(values[MONTH]) + 1:02}" if MONTH in values else "*"
    day = f"{int(values[DAY]):02}" if DAY in values else "*"
    return f"{weekday}*-{month}-{day} {_start(values):02}:00:00"


def _start(values: Mapping[str, Any]) -> int:
    start = values.get(START, _EVERY)
    return 0 if start == _EVERY else int(start)


def _spread_seconds(values: Mapping[str, Any]) -> int:
    """Return by how much starts are spread: half of the window at most, so that updates end in it."""
    end = values.get(END, _EVERY)
    hours = 24 if end == _EVERY or values.get(START, _EVERY) == _EVERY else (int(end) - _start(values)) % 24 or 24
    return min(hours * 1800, _LONGEST_DELAY_SECONDS)


def _pin(why: str, which: str, priority: int) -> bytes:
    return f"Explanation: {why}\nPackage: {PACKAGES}\nPin: {which}\nPin-Priority: {priority}\n".encode()


def _timer(values: Mapping[str, Any]) -> str:
    return (
        f"{systemd.HEAD}[Unit]\nDescription=Update ClamAV and the Shieldwall agent in their window\n\n"
        f"[Timer]\nOnCalendar={calendar(values)}\nRandomizedDelaySec={_spread_seconds(values)}\n"
        "Persistent=false\n"  # a window that was missed is over
    )


def _service() -> str:
    options = "-y -o DPkg::Lock::Timeout=600 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold"
    return (
        f"{systemd.HEAD}[Unit]\nDescription=Update ClamAV and the Shieldwall agent\n"
        "Wants=network-online.target\nAfter=network-online.target\n\n"
        "[Service]\nType=oneshot\nEnvironment=DEBIAN_FRONTEND=noninteractive\nTimeoutStartSec=2h\n"
        f"BindReadOnlyPaths={NOT_HELD}:{HOLD}\n"
        "ExecStart=/usr/bin/apt-get -q -o DPkg::Lock::Timeout=600 update\n"
        f"ExecStart=/usr/bin/apt-get {options} --only-upgrade --allow-downgrades install {_INSTALLED}\n"
    )


def _rejected(values: Mapping[str, Any]) -> dict[SettingId, ItemStatus]:
    rejected: dict[SettingId, ItemStatus] = {}
    fixed = values.get(FIXED)
    if fixed is not None and not _VERSION.match(fixed):
        rejected[FIXED] = _refused(fixed, SettingState.ERROR, "invalidVersion", "This is no version of a package.")
    version = values.get(VERSION)
    if version == "fixed" and (fixed is None or FIXED in rejected):
        reason = "No usable version is named (platform update fixed version)."
        rejected[VERSION] = _refused("fixed", SettingState.ERROR, "noVersion", reason)
    elif version in ("n1", "n2"):
        reason = "Repositories of Debian keep the newest version alone, so the one before it cannot be chosen."
        rejected[VERSION] = _refused(version, SettingState.NOT_APPLICABLE, "versionNotKept", reason)
    if DAY in values and MONTH in values and int(values[DAY]) > _LENGTHS[int(values[MONTH])]:
        reason = "That month has no such day."
        rejected[DAY] = _refused(str(values[DAY]), SettingState.ERROR, "noSuchDay", reason)
    return rejected


def _refused(item: str, state: SettingState, code: str, reason: str) -> ItemStatus:
    return ItemStatus(item=item[:1024], state=state, code=code, reason=reason)
