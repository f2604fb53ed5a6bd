"""The proof: a real clamd before, under and after management."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.support.clamd import Clamd, running_clamd

from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.providers.base import Desired, Kept, ProviderError
from shieldwall.agent.providers.clamav import ClamavProvider, canary, client, daemon
from shieldwall.agent.providers.clamav.provider import CONFIGURATION
from shieldwall.catalog.loader import load
from shieldwall.contract.ids import SettingId
from shieldwall.policy.values import Item

pytestmark = pytest.mark.clamav

CATALOG = load()
ENGINE = "linux_mdatp_managed_antivirusengine_"
EXCLUSIONS = SettingId(ENGINE + "exclusions")
MERGE = SettingId(ENGINE + "exclusionsmergepolicy")
ARCHIVES = SettingId(ENGINE + "scanarchives")
THREADS = SettingId(ENGINE + "maximumondemandscanthreads")
THREAT_TYPES = SettingId(ENGINE + "threattypesettings")


@pytest.fixture
def clamd() -> Iterator[Clamd]:
    with running_clamd() as running:
        yield running


@pytest.fixture
def provider() -> ClamavProvider:
    return ClamavProvider(CATALOG)


def enforce(provider: ClamavProvider, host: LocalHost, desired: Desired, kept: Kept) -> Kept:
    """Do what the engine does: read, render, write, activate."""
    rendered = provider.render({path: host.read_file(path) for path in provider.files()}, desired, kept)
    for path, content in rendered.files.items():
        host.write_file(path, content)
    provider.activate(host)
    return rendered.kept


def item(group: SettingId, **members: str) -> Item:
    named = {"kind": "$type"}
    return Item(tuple(sorted((SettingId(f"{group}_item_{named.get(k, k)}"), value) for k, value in members.items())))


def path_exclusion(path: Path | str, *, is_directory: bool = False) -> Item:
    flag = f"{EXCLUSIONS}_item_isdirectory_{str(is_directory).lower()}"
    return item(EXCLUSIONS, kind=f"{EXCLUSIONS}_item_$type_0", path=str(path), isdirectory=flag)


def extension_exclusion(extension: str) -> Item:
    return item(EXCLUSIONS, kind=f"{EXCLUSIONS}_item_$type_1", extension=extension)


def threat_type(key: int, value: int) -> Item:
    prefix = f"{THREAT_TYPES}_item_"
    return item(THREAT_TYPES, key=f"{prefix}key_{key}", value=f"{prefix}value_{value}")


def test_an_exclusion_takes_effect_and_letting_go_takes_it_back(clamd: Clamd, provider: ClamavProvider) -> None:
    original = clamd.configuration.read_bytes()
    excluded, other = clamd.infected("excluded/file"), clamd.infected("other")
    assert clamd.detects(excluded)

    kept = enforce(provider, clamd.host, {EXCLUSIONS: (path_exclusion(excluded.parent, is_directory=True),)}, {})
    assert not clamd.detects(excluded)
    assert clamd.detects(other)

    enforce(provider, clamd.host, {}, kept)
    assert clamd.detects(excluded)
    assert clamd.configuration.read_bytes() == original
    assert [path.name for path in (clamd.root / "var/lib/clamav").iterdir()] == ["test.ndb"]


def test_every_kind_of_exclusion_means_to_clamd_what_it_says(clamd: Clamd, provider: ClamavProvider) -> None:
    left_out = [
        clamd.infected("plain"),
        clamd.infected("folder/deep/er"),
        clamd.infected("wild/one/file"),
        clamd.infected("any/thing/below"),
        clamd.infected("x1y"),
        clamd.infected("some.skip"),
        clamd.infected("odd (name) [a-z]+$^{2}|\\ß€.txt"),
    ]
    found = [
        clamd.infected("plainer"),
        clamd.infected("folder2/file"),
        clamd.infected("wild/one/two/file"),
        clamd.infected("x22y"),
        clamd.infected("some.skipped"),
        clamd.infected("someXskip"),
        clamd.infected("odd (name) a+$^{2}|\\ß€.txt"),
    ]
    base = f"{clamd.root}/srv"
    exclusions = (
        path_exclusion(left_out[0]),
        path_exclusion(f"{base}/folder", is_directory=True),
        path_exclusion(f"{base}/wild/*/file"),
        path_exclusion(f"{base}/any/*"),
        path_exclusion(f"{base}/x?y"),
        extension_exclusion("skip"),
        path_exclusion(left_out[6]),
    )
    assert all(clamd.detects(path) for path in left_out)

    enforce(provider, clamd.host, {EXCLUSIONS: exclusions}, {})

    assert [path.name for path in left_out if clamd.detects(path)] == []
    assert [path.name for path in found if not clamd.detects(path)] == []


def test_exclusions_of_others_count_only_where_they_may(provider: ClamavProvider) -> None:
    with running_clamd("ExcludePath \\.local$\n") as clamd:
        local = clamd.infected("file.local")

        kept = enforce(provider, clamd.host, {EXCLUSIONS: (), MERGE: f"{MERGE}_0"}, {})
        assert not clamd.detects(local)

        kept = enforce(provider, clamd.host, {EXCLUSIONS: (), MERGE: f"{MERGE}_1"}, kept)
        assert clamd.detects(local)

        enforce(provider, clamd.host, {}, kept)
        assert not clamd.detects(local)


ASKED: list[Desired] = [
    {ARCHIVES: f"{ARCHIVES}_true", THREADS: 7, THREAT_TYPES: (threat_type(0, 0),)},
    {ARCHIVES: f"{ARCHIVES}_false", THREADS: 9, THREAT_TYPES: (threat_type(0, 2),)},
]


@pytest.mark.parametrize(("asked", "contrary"), [(ASKED[0], ASKED[1]), (ASKED[1], ASKED[0])])
def test_the_engine_itself_shows_what_is_in_effect(
    clamd: Clamd, provider: ClamavProvider, asked: Desired, contrary: Desired
) -> None:
    enforce(provider, clamd.host, asked, {})

    assert {name: seen.effective for name, seen in provider.observe(clamd.host, asked).items()} == dict.fromkeys(
        asked, True
    )
    assert {(seen.effective, seen.code) for seen in provider.observe(clamd.host, contrary).values()} == {
        (False, "notInEffect")
    }


def test_what_cannot_be_proved_is_not_claimed(clamd: Clamd, provider: ClamavProvider) -> None:
    desired: Desired = {EXCLUSIONS: (extension_exclusion("log"),)}

    enforce(provider, clamd.host, desired, {})

    (seen,) = provider.observe(clamd.host, desired).values()
    assert (seen.effective, seen.code) == (None, "notProvable")


@pytest.mark.parametrize(("action", "found"), [(0, True), (1, True), (2, False)])
def test_archive_bombs_are_found_or_not_as_said(
    clamd: Clamd, provider: ClamavProvider, action: int, found: bool
) -> None:
    desired: Desired = {THREAT_TYPES: (threat_type(1, action),)}
    clamd.configuration.write_bytes(clamd.configuration.read_bytes() + b"MaxRecursion 90\n")

    enforce(provider, clamd.host, desired, {})

    assert client.ask(clamd.socket, "INSTREAM", canary.deep_archive()).endswith("FOUND") is found
    assert provider.observe(clamd.host, desired)[THREAT_TYPES].effective is True


def test_threat_types_of_others_count_unless_only_ours_do(clamd: Clamd, provider: ClamavProvider) -> None:
    merge = SettingId(ENGINE + "threattypesettingsmergepolicy")
    clamd.configuration.write_bytes(clamd.configuration.read_bytes() + b"DetectPUA yes\n")
    kept = enforce(provider, clamd.host, {merge: f"{merge}_0"}, {})
    assert "PUA" in client.ask(clamd.socket, "INSTREAM", canary.pua_marker())

    kept = enforce(provider, clamd.host, {merge: f"{merge}_1"}, kept)
    assert client.ask(clamd.socket, "INSTREAM", canary.pua_marker()).endswith("OK")
    enforce(provider, clamd.host, {merge: f"{merge}_1", THREAT_TYPES: (threat_type(0, 0),)}, kept)
    assert "PUA" in client.ask(clamd.socket, "INSTREAM", canary.pua_marker())


def test_clamd_itself_says_what_is_excluded(clamd: Clamd, provider: ClamavProvider) -> None:
    file, folder = clamd.infected("file"), clamd.infected("folder/file").parent
    desired: Desired = {EXCLUSIONS: (path_exclusion(file), path_exclusion(folder, is_directory=True))}
    enforce(provider, clamd.host, {THREADS: 4}, {})
    before = provider.observe(clamd.host, desired)[EXCLUSIONS]

    enforce(provider, clamd.host, desired, {})

    assert (before.effective, before.code) == (False, "notInEffect")
    assert provider.observe(clamd.host, desired)[EXCLUSIONS].effective is True


def test_a_clamd_that_cannot_be_asked_is_not_called_dead(provider: ClamavProvider, tmp_path: Path) -> None:
    host = LocalHost(tmp_path)
    host.write_file(CONFIGURATION, b"TCPSocket 3310\n")

    seen = provider.observe(host, {THREADS: 4})[THREADS]

    assert (seen.effective, seen.code) == (None, "noLocalSocket")


def test_a_program_that_others_can_change_is_never_started_with_our_rights(clamd: Clamd, tmp_path: Path) -> None:
    program = tmp_path / "clamd"
    program.write_bytes(b"")
    content = clamd.configuration.read_bytes()
    running = daemon.find(clamd.host, content)
    assert running is not None
    daemon.check_restartable(running, content)

    program.chmod(0o777)
    with pytest.raises(ProviderError, match="can be changed"):
        daemon.check_restartable(replace(running, program=program), content)
    with pytest.raises(ProviderError, match="another user"):
        daemon.check_restartable(replace(running, user=54321), content)
    daemon.check_restartable(replace(running, user=54321), content + b"User clamav\n")


def test_such_a_program_is_left_running_as_it_is(clamd: Clamd, provider: ClamavProvider) -> None:
    clamd.stop()
    program = Path(shutil.copy("/usr/sbin/clamd", clamd.root / "clamd"))
    program.chmod(0o777)
    clamd.start(program)
    before = clamd.pid

    with pytest.raises(ProviderError, match="can be changed"):
        provider.activate(clamd.host)

    assert clamd.pid == before
    assert client.is_alive(clamd.socket)


def test_a_clamd_that_lost_its_socket_is_found_by_its_pid_file_and_answers_again(
    clamd: Clamd, provider: ClamavProvider
) -> None:
    clamd.socket.unlink()
    assert not client.is_alive(clamd.socket)

    enforce(provider, clamd.host, {THREADS: 4}, {})

    assert provider.observe(clamd.host, {THREADS: 4})[THREADS].effective is True


def test_an_engine_that_died_is_seen(clamd: Clamd, provider: ClamavProvider) -> None:
    enforce(provider, clamd.host, {THREADS: 4}, {})
    assert provider.product_version(clamd.host) not in (None, "notRunning")

    clamd.stop()

    assert provider.observe(clamd.host, {THREADS: 4})[THREADS].code == "engineNotRunning"
    assert provider.product_version(clamd.host) == "notRunning"


def test_an_engine_that_answers_but_finds_nothing_is_seen(clamd: Clamd, provider: ClamavProvider) -> None:
    enforce(provider, clamd.host, {THREADS: 4}, {})
    assert provider.observe(clamd.host, {THREADS: 4})[THREADS].effective is True
    log = clamd.root / "clamd.log"
    clamd.host.write_file(canary.SIGNATURES, None)
    clamd.stop()
    clamd.start()

    seen = provider.observe(clamd.host, {THREADS: 4})[THREADS]

    assert (seen.effective, seen.code) == (False, "engineBlind"), log.read_text()


def test_a_reload_alone_would_not_take_the_configuration(clamd: Clamd, provider: ClamavProvider) -> None:
    files = {path: clamd.host.read_file(path) for path in provider.files()}
    for path, content in provider.render(files, {THREADS: 11}, {}).files.items():
        clamd.host.write_file(path, content)

    assert client.ask(clamd.socket, "RELOAD") == "RELOADING"
    assert "max 3 " in client.ask(clamd.socket, "STATS")

    provider.activate(clamd.host)
    assert "max 11 " in client.ask(clamd.socket, "STATS")


def test_a_configuration_that_clamd_refuses_is_an_error_and_the_roll_back_revives_it(
    clamd: Clamd, provider: ClamavProvider
) -> None:
    good = clamd.configuration.read_bytes()
    clamd.configuration.write_bytes(good + b"NoSuchDirective yes\n")

    with pytest.raises(ProviderError, match="clamd does not start"):
        provider.activate(clamd.host)
    clamd.configuration.write_bytes(good)
    provider.activate(clamd.host)

    assert client.is_alive(clamd.socket)


def test_activating_again_is_safe_and_restarts_only_what_has_to_read_anew(
    clamd: Clamd, provider: ClamavProvider
) -> None:
    enforce(provider, clamd.host, {THREADS: 4}, {})
    first = clamd.pid

    provider.activate(clamd.host)
    assert clamd.pid == first
    clamd.configuration.write_bytes(clamd.configuration.read_bytes() + b"# no directive\n")
    provider.activate(clamd.host)
    assert clamd.pid == first
    clamd.configuration.write_bytes(clamd.configuration.read_bytes() + b"MaxQueue 90\n")
    provider.activate(clamd.host)
    assert clamd.pid != first
    assert provider.observe(clamd.host, {THREADS: 4})[THREADS].effective is True


def test_a_clamd_with_another_configuration_is_never_touched(
    clamd: Clamd, provider: ClamavProvider, tmp_path: Path
) -> None:
    stranger = LocalHost(tmp_path)
    stranger.write_file(CONFIGURATION, clamd.configuration.read_bytes())
    before = clamd.pid

    enforce(provider, stranger, {THREADS: 4}, {})

    assert daemon.find(stranger, clamd.configuration.read_bytes()) is None
    assert clamd.pid == before
    assert "max 3 " in client.ask(clamd.socket, "STATS")
    assert provider.observe(stranger, {THREADS: 4})[THREADS].code == "engineNotRunning"


def test_a_clamd_without_a_pid_file_is_found_by_its_socket(clamd: Clamd) -> None:
    content = clamd.configuration.read_bytes()
    lines = [line for line in content.splitlines(keepends=True) if not line.startswith(b"PidFile")]

    found = daemon.find(clamd.host, b"".join(lines))

    assert found is not None
    assert found.pid == clamd.pid
