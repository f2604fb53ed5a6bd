"""ClamAV as a provider, as far as it decides without a running engine."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import strategies as st
from tests.support.clamd_files import clamd_files
from tests.support.provider_conformance import ProviderConformance
from tests.support.setting_strategies import desired_settings

from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.providers.base import ProviderError
from shieldwall.agent.providers.clamav import ClamavProvider, canary, landings, onaccess
from shieldwall.agent.providers.clamav.provider import CONFIGURATION
from shieldwall.catalog.loader import load
from shieldwall.contract.ids import SettingId

CATALOG = load()
PROVIDER = ClamavProvider(CATALOG)
ENGINE = "linux_mdatp_managed_antivirusengine_"
SUPPORTED = [
    SettingId(ENGINE + "scanarchives"),
    SettingId(ENGINE + "maximumondemandscanthreads"),
    SettingId(ENGINE + "exclusions"),
    SettingId(ENGINE + "exclusionsmergepolicy"),
    SettingId(ENGINE + "threattypesettings"),
    SettingId(ENGINE + "threattypesettingsmergepolicy"),
    SettingId("linux_mdatp_managed_exclusionsettings_exclusions"),
]
ON_ACCESS = [
    SettingId(ENGINE + "enforcementlevel"),
    SettingId(ENGINE + "enablerealtimeprotection"),
    SettingId(ENGINE + "passivemode"),
    SettingId(ENGINE + "nonexecmountpolicy"),
    SettingId(ENGINE + "unmonitoredfilesystems"),
    SettingId(ENGINE + "enablefilehashcomputation"),
]
THREADS = {SettingId(ENGINE + "maximumondemandscanthreads"): 5}


class TestConformance(ProviderConformance):
    provider = PROVIDER
    file_contents = st.fixed_dictionaries(
        {
            CONFIGURATION: clamd_files(),
            canary.SIGNATURES: st.none() | st.just(b"somebody else's\n"),
            canary.PUA_SIGNATURES: st.none(),
            onaccess.LOCAL: st.sampled_from([None, b'{"backend":"clamonacc"}', b'{"whenEngineIsDown":"deny"}']),
            **dict.fromkeys(onaccess.FILES, st.none() | st.just(b"somebody else's\n")),
        }
    )
    desired = desired_settings(CATALOG, [*SUPPORTED, *ON_ACCESS])


@pytest.fixture
def host(tmp_path: Path) -> LocalHost:
    host = LocalHost(tmp_path)
    host.write_file(CONFIGURATION, b"LocalSocket /run/clamav/clamd.ctl\n")
    return host


def test_what_clamd_can_do_is_supported_and_all_else_says_why_not(host: LocalHost) -> None:
    for setting, definition in CATALOG.definitions.items():
        support = PROVIDER.support(host, setting)
        if not setting.startswith("linux_") or setting.startswith("linux_shieldwall_"):
            assert support is None
        elif landings.is_elsewhere(setting, definition.landing):
            assert support is None  # other providers of ClamAV answer
        elif not definition.depends_on:
            assert support is not None
            assert support.applicable is (setting in SUPPORTED), setting
            assert support.applicable or support.reason


def test_what_needs_opens_to_be_held_says_why_it_cannot_where_the_root_is_no_mount_of_its_own(host: LocalHost) -> None:
    for setting in ON_ACCESS:
        support = PROVIDER.support(host, setting)
        assert support is not None
        assert not support.applicable
        assert "no mount of their own" in support.reason


def test_without_clamd_conf_there_is_nothing_to_manage(tmp_path: Path) -> None:
    support = PROVIDER.support(LocalHost(tmp_path), SUPPORTED[0])

    assert PROVIDER.product_version(LocalHost(tmp_path)) is None
    assert support is not None
    assert not support.applicable


def test_no_configuration_is_made_up() -> None:
    with pytest.raises(ProviderError, match=r"no clamd\.conf"):
        PROVIDER.render({CONFIGURATION: None}, THREADS, {})


def test_only_our_exclusions_count_is_not_read_while_another_one_counts() -> None:
    merge = SettingId(ENGINE + "exclusionsmergepolicy")
    managed = PROVIDER.render({CONFIGURATION: b"ExcludePath ^/a$\n"}, {merge: f"{merge}_1"}, {})
    content = managed.files[CONFIGURATION]
    assert content is not None

    assert PROVIDER.read({CONFIGURATION: content}) == {merge: f"{merge}_1"}
    assert PROVIDER.read({CONFIGURATION: content + b"ExcludePath ^/sneaked/in\n"}) == {}


def test_after_the_product_was_removed_letting_go_removes_our_signatures() -> None:
    managed = PROVIDER.render({CONFIGURATION: b"MaxThreads 1\n"}, THREADS, {})
    assert managed.files[canary.SIGNATURES]

    released = PROVIDER.render({**managed.files, CONFIGURATION: None}, {}, managed.kept)

    assert set(released.files.values()) == {None}


def test_a_signature_file_changed_while_managed_is_ours_to_remove() -> None:
    managed = PROVIDER.render({CONFIGURATION: b"MaxThreads 1\n"}, THREADS, {})

    released = PROVIDER.render({**managed.files, canary.SIGNATURES: b"tampered"}, {}, managed.kept)

    assert released.files[canary.SIGNATURES] is None


@pytest.mark.parametrize("line", [b"OfficialDatabaseOnly yes\n", b"DatabaseDirectory /srv/elsewhere\n"])
def test_no_signatures_are_laid_where_clamd_would_not_load_them(line: bytes) -> None:
    rendered = PROVIDER.render({CONFIGURATION: line}, THREADS, {})

    assert rendered.files[canary.SIGNATURES] is None


def test_where_no_clamd_runs_nothing_is_in_effect_and_nothing_is_restarted(host: LocalHost) -> None:
    PROVIDER.activate(host)

    (seen,) = PROVIDER.observe(host, THREADS).values()

    assert (seen.effective, seen.code) == (False, "engineNotRunning")
    assert PROVIDER.product_version(host) == "notRunning"


def test_no_file_of_ours_holds_a_marker() -> None:
    sources = Path(canary.__file__).parent.glob("*.py")

    for content in [*canary.signatures().values(), *(source.read_bytes() for source in sources)]:
        assert canary.marker() not in content
        assert canary.pua_marker() not in content
    assert canary.marker() not in canary.marker_in_archive()
