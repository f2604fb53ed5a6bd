"""freshclam as a provider, as far as it decides without running."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import strategies as st
from tests.support.provider_conformance import ProviderConformance
from tests.support.setting_strategies import desired_settings

from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.providers.base import Desired, ProviderError
from shieldwall.agent.providers.freshclam import FreshclamProvider, units
from shieldwall.agent.providers.freshclam.provider import CONFIGURATION
from shieldwall.agent.providers.marked_block import OFF
from shieldwall.catalog.loader import load
from shieldwall.contract.ids import SettingId

CATALOG = load()
PROGRAM = ("/usr/bin/python3", "-I", "-m", "shieldwall.agent.scanning")
PROVIDER = FreshclamProvider(CATALOG, program=PROGRAM)
CLOUD = "linux_mdatp_managed_cloudservice_"
ENGINE = "linux_mdatp_managed_antivirusengine_"
AUTOMATIC = SettingId(CLOUD + "automaticdefinitionupdateenabled")
INTERVAL = SettingId(CLOUD + "definitionupdatesinterval")
OFFLINE = SettingId(ENGINE + "offlinedefinitionupdate")
URL = SettingId(ENGINE + "offlinedefinitionupdateurl")
FALLBACK = SettingId(ENGINE + "offlinedefinitionupdatefallbacktocloud")
ON, OFF_LINE = f"{OFFLINE}_enabled", f"{OFFLINE}_disabled"

_LINES = st.sampled_from(
    [
        b"# written by hand",
        b"DatabaseMirror database.clamav.net",
        b"DatabaseMirror db.local.clamav.net",
        b" PrivateMirror http://mirror.example/clamav",
        b"\tDatabaseCustomURL\thttp://mirror.example/own.ndb\r",
        b"#PrivateMirror none",
        b"Checks 24",
        b"Checks many",
        b"DatabaseOwner clamav",
        b"NotifyClamd /etc/clamav/clamd.conf",
        OFF + b"PrivateMirror http://once-turned-off.example",
        OFF,
        b"",
    ]
) | st.binary(max_size=12).filter(lambda line: b"\n" not in line)
_FILES = st.tuples(st.lists(_LINES, max_size=8), st.sampled_from([b"", b"\n", b"\n\n"])).map(
    lambda parts: b"\n".join(parts[0]) + parts[1]
)
_URLS = st.sampled_from(
    ["https://mirror.example/clamav/", "http://10.0.0.1:8080", "/srv/mirror", "file:///srv/own.ndb", "ftp://x", ""]
)


class TestConformance(ProviderConformance):
    provider = PROVIDER
    file_contents = st.fixed_dictionaries(
        {CONFIGURATION: _FILES, **{path: st.none() | st.just(b"somebody else's\n") for path in units.FILES}}
    )
    desired = st.builds(
        lambda others, url: {**others, **url},
        desired_settings(CATALOG, [AUTOMATIC, INTERVAL, OFFLINE, FALLBACK]),
        st.fixed_dictionaries({}, optional={URL: _URLS}),
    )


def lines(desired: Desired, foreign: bytes = b"DatabaseMirror vendor.example\n") -> list[str]:
    """The directives that count in the file that holds ``desired``."""
    content = PROVIDER.render({CONFIGURATION: foreign}, desired, {}).files[CONFIGURATION]
    assert content is not None
    return [line for line in content.decode().splitlines() if not line.startswith("#")]


def units_of(desired: Desired) -> dict[str, str]:
    files = PROVIDER.render({CONFIGURATION: b""}, desired, {}).files
    return {path.name: (files[path] or b"").decode() for path in units.FILES if files[path] is not None}


def test_an_own_mirror_is_the_only_source() -> None:
    assert lines({OFFLINE: ON, URL: "https://mirror.example/clamav/"}) == [
        "PrivateMirror https://mirror.example/clamav"
    ]
    assert lines({OFFLINE: ON, URL: "/srv/mirror"}) == ["PrivateMirror file:///srv/mirror"]


def test_the_vendor_is_asked_after_the_mirror_where_falling_back_is_allowed() -> None:
    desired: Desired = {OFFLINE: ON, URL: "http://mirror.example", FALLBACK: f"{FALLBACK}_true"}

    assert lines(desired) == ["PrivateMirror http://mirror.example", "PrivateMirror https://vendor.example"]
    assert lines(desired, b"") == [
        "PrivateMirror http://mirror.example",
        "PrivateMirror https://database.clamav.net",
    ]


def test_one_file_of_signatures_comes_without_the_vendors() -> None:
    single = {OFFLINE: ON, URL: "http://mirror.example/own/site.ndb"}

    assert lines(single) == [
        "DatabaseCustomURL http://mirror.example/own/site.ndb",
        "PrivateMirror http://mirror.example/own",
        "ExcludeDatabase main",
        "ExcludeDatabase daily",
        "ExcludeDatabase bytecode",
    ]
    assert lines({**single, FALLBACK: f"{FALLBACK}_true"}) == [
        "DatabaseCustomURL http://mirror.example/own/site.ndb",
        "DatabaseMirror vendor.example",
    ]


@pytest.mark.parametrize(
    "url", ["", "mirror.example", "ftp://mirror.example", "http://", "http://a b", "/srv/x\nOnUpdateExecute /bin/sh"]
)
def test_what_is_no_mirror_is_refused_and_nothing_of_it_written(url: str) -> None:
    rendered = PROVIDER.render({CONFIGURATION: b""}, {OFFLINE: ON, URL: url}, {})

    assert {setting: items[0].code for setting, items in rendered.rejected.items()} == {
        URL: "invalidMirror",
        OFFLINE: "noMirror",
    }
    assert b"Mirror " not in (rendered.files[CONFIGURATION] or b"")
    assert units_of({OFFLINE: ON, URL: url}) == {}


def test_an_offline_device_without_a_mirror_goes_on_as_before_and_says_so() -> None:
    rendered = PROVIDER.render({CONFIGURATION: b"DatabaseMirror vendor.example\n"}, {OFFLINE: ON}, {})

    assert rendered.rejected[OFFLINE][0].code == "noMirror"
    assert lines({OFFLINE: ON}) == ["DatabaseMirror vendor.example"]


@pytest.mark.parametrize(("interval", "seconds"), [(0, 60), (59, 60), (60, 60), (1500, 1500), (86_400, 86_400)])
def test_the_timer_counts_in_the_seconds_of_the_policy(interval: int, seconds: int) -> None:
    made = units_of({INTERVAL: interval})

    assert f"OnUnitActiveSec={seconds}s\n" in made[units.TIMER]
    assert set(made) == {path.name for path in units.FILES}


def test_updates_that_are_switched_off_keep_the_daemon_from_starting_and_make_no_timer() -> None:
    made = units_of({AUTOMATIC: f"{AUTOMATIC}_false", INTERVAL: 3600})

    assert set(made) == {units.DAEMON_OFF.name}
    assert f"ConditionPathExists=!{units.DAEMON_OFF}" in made[units.DAEMON_OFF.name]


def test_a_changed_timer_is_seen_as_a_changed_interval() -> None:
    desired: Desired = {INTERVAL: 3600, OFFLINE: ON, URL: "/srv/mirror"}
    files = dict(PROVIDER.render({CONFIGURATION: b""}, desired, {}).files)
    assert PROVIDER.read(files) == desired

    files[units.TIMER_FILE] = (files[units.TIMER_FILE] or b"").replace(b"3600s", b"360000s")

    assert PROVIDER.read(files) == {OFFLINE: ON, URL: "/srv/mirror"}


def test_what_a_local_administrator_says_is_told() -> None:
    files = {CONFIGURATION: b"Checks 24\nPrivateMirror http://local.example\n"}

    assert PROVIDER.local(files, {}) == {INTERVAL: 3600, OFFLINE: ON, URL: "http://local.example"}
    managed = PROVIDER.render(files, {OFFLINE: ON, URL: "/srv/mirror"}, {})
    assert PROVIDER.local(managed.files, managed.kept) == PROVIDER.local(files, {})
    assert PROVIDER.local({CONFIGURATION: b"DatabaseMirror x\n"}, {}) == {OFFLINE: OFF_LINE}


def test_a_block_without_its_end_is_left_alone() -> None:
    managed = PROVIDER.render({CONFIGURATION: b""}, {INTERVAL: 60}, {}).files[CONFIGURATION] or b""

    with pytest.raises(ProviderError, match="lost its first or last line"):
        PROVIDER.render({CONFIGURATION: managed.splitlines(keepends=True)[0]}, {INTERVAL: 60}, {})


def test_without_freshclam_there_is_nothing_to_manage(tmp_path: Path) -> None:
    host = LocalHost(tmp_path)
    support = PROVIDER.support(host, INTERVAL)

    assert PROVIDER.product_version(host) is None
    assert support is not None
    assert not support.applicable
    assert PROVIDER.support(host, SettingId(ENGINE + "scanarchives")) is None
    with pytest.raises(ProviderError, match=r"no freshclam\.conf"):
        PROVIDER.render({CONFIGURATION: None}, {INTERVAL: 60}, {})
