"""Scans as a provider, as far as it decides without engine and systemd."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.provider_conformance import ProviderConformance
from tests.support.setting_strategies import desired_settings
from tests.support.systemd_host import SystemdHost

from shieldwall.agent.detections.model import Action
from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.providers.base import Desired
from shieldwall.agent.providers.scans import ScansProvider, lists, schedule, units
from shieldwall.agent.scanning import policy
from shieldwall.catalog.loader import load
from shieldwall.contract.ids import SettingId
from shieldwall.policy.values import Item

CATALOG = load()
PROGRAM = ("/usr/bin/python3", "-I", "-m", "shieldwall.agent.scanning")
PROVIDER = ScansProvider(CATALOG, program=PROGRAM)
CLAMD = PurePosixPath("/etc/clamav/clamd.conf")
ENGINE = "linux_mdatp_managed_antivirusengine_"
SCAN = ENGINE + "scheduledscan_"
INDICATORS = "linux_shieldwall_indicators_"
ALLOWED = SettingId(ENGINE + "allowedthreats")
BLOCKED_FILES = SettingId(INDICATORS + "blockedfiles")
ALLOWED_FILES = SettingId(INDICATORS + "allowedfiles")
SUPPORTED = [
    SettingId(name)
    for name in (
        *(
            SCAN + word
            for word in ("checkfordefinitionsupdate", "timeofday", "dayofweek", "ignoreexclusions", "interval")
        ),
        *(SCAN + word for word in ("lowpriorityscheduledscan", "randomizescanstarttime", "runscanwhenidle")),
        *(SCAN + word for word in ("scantype", "weeklytimeofday")),
        *(ENGINE + word for word in ("scanafterdefinitionupdate", "scanresultsretentiondays", "enforcementlevel")),
        *(ENGINE + word for word in ("scanhistorymaximumitems", "disallowedthreatactions", "passivemode")),
        *(ENGINE + word for word in ("threattypesettings", "maximumondemandscanthreads")),
        *(ALLOWED, BLOCKED_FILES, ALLOWED_FILES),
    )
]


def indicator(setting: SettingId, digest: str) -> Item:
    return Item(((SettingId(f"{setting}_item_sha256"), digest),))


_HASHES = st.sampled_from(["0" * 64, "aB" * 32, "ab" * 32, "cd" * 32])
_NAMES = st.sampled_from(
    ["Test.Marker", "Win.Trojan.Agent-1", "Eicar Test (not a virus)", "a:b", "Shieldwall.Canary", "X.UNOFFICIAL", ""]
)


def _indicators(setting: SettingId) -> st.SearchStrategy[Any]:
    return st.lists(_HASHES.map(lambda digest: indicator(setting, digest)), max_size=3, unique=True).map(tuple)


class TestConformance(ProviderConformance):
    provider = PROVIDER
    file_contents = st.fixed_dictionaries(
        {path: st.none() | st.just(b"somebody else's\n") for path in PROVIDER.files()}
    )
    desired = st.builds(
        lambda others, listed: {**others, **listed},
        desired_settings(CATALOG, SUPPORTED[:-3]),
        st.fixed_dictionaries(
            {},
            optional={
                ALLOWED: st.lists(_NAMES, max_size=4, unique=True).map(tuple),
                BLOCKED_FILES: _indicators(BLOCKED_FILES),
                ALLOWED_FILES: _indicators(ALLOWED_FILES),
            },
        ),
    )


def rendered(desired: Desired) -> dict[str, str]:
    """The files for ``desired`` that are there, by their names."""
    files = PROVIDER.render({}, desired, {}).files
    return {path.name: content.decode() for path, content in files.items() if content is not None}


def calendar(**words: int | str) -> tuple[list[str], list[str]]:
    """The moments of quick and full scans for values of the scheduled scan."""
    made = rendered({SettingId(SCAN + word): value for word, value in words.items()})
    quick, full = (
        [line.partition("=")[2] for line in made.get(timer, "").splitlines() if line.startswith("OnCalendar=")]
        for timer in units.TIMERS
    )
    return quick, full


def day(number: int) -> str:
    return f"{SCAN}dayofweek_{number}"


def test_a_quick_scan_at_a_time_of_day() -> None:
    assert calendar(timeofday=0) == (["*-*-* 00:00:00"], [])
    assert calendar(timeofday=885) == (["*-*-* 14:45:00"], [])


def test_quick_scans_every_so_many_hours() -> None:
    assert calendar(timeofday=90, interval=6)[0] == [f"*-*-* {hour:02}:30:00" for hour in (1, 7, 13, 19)]
    assert calendar(interval=24)[0] == ["*-*-* 00:00:00"]
    assert len(calendar(interval=1, timeofday=1380)[0]) == 24
    assert calendar(interval=0) == ([], [])
    assert calendar(interval=0, timeofday=60) == (["*-*-* 01:00:00"], [])


@pytest.mark.parametrize(("number", "name"), list(enumerate(["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"], 1)))
def test_the_days_are_counted_as_linux_settings_count_them(number: int, name: str) -> None:
    assert calendar(dayofweek=day(number), scantype=f"{SCAN}scantype_full") == ([], [f"{name} *-*-* 02:00:00"])


def test_the_weekly_scan_may_be_quick_daily_or_never() -> None:
    assert calendar(dayofweek=day(8), weeklytimeofday=65) == (["*-*-* 01:05:00"], [])
    assert calendar(dayofweek=day(0), scantype=f"{SCAN}scantype_full", weeklytimeofday=65) == ([], [])
    assert calendar(dayofweek=day(2), timeofday=60) == (["*-*-* 01:00:00", "Mon *-*-* 02:00:00"], [])


def test_starts_are_spread_and_caught_up() -> None:
    timer = rendered({SettingId(SCAN + "timeofday"): 0, SettingId(SCAN + "randomizescanstarttime"): 3})[units.TIMERS[0]]

    assert "RandomizedDelaySec=10800\n" in timer
    assert "Persistent=true\n" in timer


def test_only_what_is_scheduled_has_units() -> None:
    low = SettingId(SCAN + "lowpriorityscheduledscan")
    assert set(rendered({low: f"{low}_true"})) == {
        policy.FILE.name,
        *(path.name for path in lists.FILES),
    }
    made = rendered({low: f"{low}_true", SettingId(SCAN + "timeofday"): 0})
    assert "Nice=19\nIOSchedulingClass=idle\nCPUSchedulingPolicy=idle\n" in made["shieldwall-scan-quick.service"]
    assert f"ExecStart={' '.join(PROGRAM)} --scheduled quick\n" in made["shieldwall-scan-quick.service"]
    assert "shieldwall-scan-full.service" not in made


def test_a_scan_that_fetches_nothing_has_no_network() -> None:
    at, first = SettingId(SCAN + "timeofday"), SettingId(SCAN + "checkfordefinitionsupdate")

    assert "RestrictAddressFamilies=AF_UNIX\n" in rendered({at: 0})["shieldwall-scan-quick.service"]
    assert "AF_INET" in rendered({at: 0, first: f"{first}_true"})["shieldwall-scan-quick.service"]


def test_a_changed_timer_is_seen_as_a_changed_schedule_and_nothing_else() -> None:
    at, days = SettingId(SCAN + "timeofday"), SettingId(ENGINE + "scanresultsretentiondays")
    files = dict(PROVIDER.render({}, {at: 60, days: 30, ALLOWED: ("A.B",)}, {}).files)
    timer = next(path for path in files if path.name == units.TIMERS[0])

    assert PROVIDER.read(files) == {at: 60, days: 30, ALLOWED: ("A.B",)}
    assert PROVIDER.read({**files, timer: b""}) == {days: 30, ALLOWED: ("A.B",)}
    assert PROVIDER.read({**files, lists.IGNORED: b"Everything\n"}) == {at: 60, days: 30}
    assert PROVIDER.read({**files, policy.FILE: (files[policy.FILE] or b"") + b" "}) == {}


def test_names_that_clamav_cannot_have_are_refused_one_by_one() -> None:
    asked = ("Win.Good-1", "Not a name", "a:b", "Shieldwall.Canary", "x\ny")
    made = PROVIDER.render({}, {ALLOWED: asked}, {})

    assert [(item.item, item.code) for item in made.rejected[ALLOWED]] == [
        ("Not a name", "noSignatureName"),
        ("a:b", "noSignatureName"),
        ("Shieldwall.Canary", "ownMarker"),
        ("x\ny", "noSignatureName"),
    ]
    assert made.files[lists.IGNORED] == b"Shieldwall.Ignored\nWin.Good-1\n"


def test_a_block_wins_over_an_allow_of_the_same_hash() -> None:
    both: Desired = {
        BLOCKED_FILES: (indicator(BLOCKED_FILES, "AB" * 32),),
        ALLOWED_FILES: (indicator(ALLOWED_FILES, "ab" * 32), indicator(ALLOWED_FILES, "cd" * 32)),
    }
    made = PROVIDER.render({}, both, {})

    assert [item.code for item in made.rejected[ALLOWED_FILES]] == ["conflict"]
    assert b"ab" * 32 in (made.files[lists.HASHES] or b"")
    assert b"ab" * 32 not in (made.files[lists.GOOD_HASHES] or b"")
    assert b"cd" * 32 in (made.files[lists.GOOD_HASHES] or b"")


def test_without_systemd_only_what_needs_no_timer_is_supported(tmp_path: Path) -> None:
    host = LocalHost(tmp_path)
    absent = [PROVIDER.support(host, setting) for setting in SUPPORTED]
    host.write_file(CLAMD, b"LocalSocket /run/clamav/clamd.ctl\n")
    here = {setting: PROVIDER.support(host, setting) for setting in SUPPORTED}
    booted = SystemdHost({CLAMD: b"LocalSocket /run/clamav/clamd.ctl\n"})
    everywhere = [PROVIDER.support(booted, setting) for setting in SUPPORTED]

    assert {(each is not None and each.applicable) for each in absent} == {False}
    unsupported = {name for name, each in here.items() if each is not None and not each.applicable}
    assert unsupported == {name for name in SUPPORTED if name.startswith(SCAN) or "scanafter" in name}
    assert all("systemd" in each.reason for each in here.values() if each is not None and not each.applicable)
    assert {(each is not None and each.applicable) for each in everywhere} == {True}


def test_a_clamd_that_takes_official_signatures_alone_takes_no_lists() -> None:
    for line in (b"OfficialDatabaseOnly yes\n", b"DatabaseDirectory /srv/elsewhere\n"):
        support = PROVIDER.support(SystemdHost({CLAMD: line}), BLOCKED_FILES)
        assert support is not None
        assert not support.applicable


@pytest.mark.parametrize(
    ("values", "threat", "action"),
    [
        ({}, "Win.Trojan", Action.REPORTED),
        ({policy.ENFORCEMENT_LEVEL: "real_time"}, "Win.Trojan", Action.QUARANTINED),
        ({policy.ENFORCEMENT_LEVEL: "on_demand"}, "PUA.Tool", Action.REPORTED),
        ({policy.PASSIVE_MODE: False}, "Win.Trojan", Action.QUARANTINED),
        ({policy.PASSIVE_MODE: False, policy.ENFORCEMENT_LEVEL: "audit"}, "Win.Trojan", Action.REPORTED),
    ],
)
def test_what_becomes_of_a_threat_follows_from_the_policy(values: dict[str, Any], threat: str, action: Action) -> None:
    assert policy.of_values(values).action(threat) is action


@pytest.mark.parametrize(("word", "action"), [("block", Action.QUARANTINED), ("audit", Action.REPORTED)])
def test_unwanted_applications_and_bombs_follow_their_own_setting(word: str, action: Action) -> None:
    kinds = [{"key": "potentially_unwanted_application", "value": word}, {"key": "archive_bomb", "value": word}]
    read = policy.of_values({policy.ENFORCEMENT_LEVEL: "real_time", policy.THREAT_TYPES: kinds})

    assert read.action("PUA.Tool") is action
    assert read.action("Heuristics.Limits.Exceeded.MaxScanSize") is action
    assert read.action("Win.Trojan") is Action.QUARANTINED


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
)


@given(
    st.dictionaries(
        st.sampled_from(sorted({*units.SCHEDULED, *lists.LISTED, policy.THREADS, policy.THREAT_TYPES})), _JSON
    )
)
def test_a_policy_file_of_any_content_is_survived(values: dict[str, Any]) -> None:
    content = policy.encode(values)

    assert policy.of_values(policy.decode(content)).workers >= 1
    PROVIDER.read({policy.FILE: content})


def test_schedules_know_no_other_words_than_the_catalog() -> None:
    landings = {definition.landing for definition in CATALOG.definitions.values()}

    assert landings >= units.SCHEDULED
    assert landings >= lists.LISTED
    assert {schedule.DAILY_TIME, policy.SCAN_AFTER_UPDATE, policy.DISALLOWED_ACTIONS} <= landings
