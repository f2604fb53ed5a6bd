"""Laws of ``clamd.conf`` and of translating exclusions."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.support.clamd_files import clamd_files
from tests.support.setting_strategies import paths

from shieldwall.agent.providers.base import ProviderError
from shieldwall.agent.providers.clamav import configuration, directives, exclusions, landings
from shieldwall.contract.status import ItemStatus, SettingState

OUR_LINES = st.lists(
    st.sampled_from([b"ScanArchive yes", b"MaxThreads 4", b"ExcludePath ^/a$", b"#= a.b {}", "# ü".encode()])
)
SEGMENT = st.text(string.ascii_lowercase + ".+$^()[]{}|\\ü", min_size=1, max_size=5).filter(lambda s: set(s) != {"."})


@given(foreign=clamd_files(), lines=OUR_LINES, only_ours=st.booleans())
def test_the_block_comes_out_without_a_trace(foreign: bytes, lines: list[bytes], only_ours: bool) -> None:
    managed = configuration.with_block(foreign, lines, only_ours=only_ours)

    assert configuration.block(managed) == lines
    assert configuration.without_block(managed) == foreign


@given(foreign=clamd_files(), lines=OUR_LINES, appended=clamd_files())
def test_lines_that_others_append_meanwhile_survive(foreign: bytes, lines: list[bytes], appended: bytes) -> None:
    assume(configuration.OFF not in appended)  # nobody can tell such a line from one that we turned off
    managed = configuration.with_block(foreign, lines, only_ours=False)

    assert configuration.without_block(managed + appended) == foreign + appended


@given(foreign=clamd_files(), only_ours=st.booleans())
def test_exclusions_of_others_count_unless_only_ours_do(foreign: bytes, only_ours: bool) -> None:
    managed = configuration.with_block(foreign, [b"ExcludePath ^/ours$"], only_ours=only_ours)

    assert configuration.foreign_exclusions(managed) is (configuration.foreign_exclusions(foreign) and not only_ours)


@given(foreign=clamd_files())
def test_our_line_wins_over_every_other(foreign: bytes) -> None:
    managed = configuration.with_block(foreign, [b"MaxThreads 63"], only_ours=False)

    assert configuration.first(managed, "MaxThreads") == "63"


@pytest.mark.parametrize("damaged", [configuration.BEGIN + b"ScanArchive yes\n", b"MaxThreads 2\n" + configuration.END])
def test_a_damaged_block_is_refused(damaged: bytes) -> None:
    with pytest.raises(ProviderError):
        configuration.without_block(damaged)


def test_a_block_that_is_not_on_top_is_not_believed() -> None:
    managed = configuration.with_block(b"", [b"ScanArchive yes"], only_ours=False)

    assert configuration.block(b"ScanArchive no\n" + managed) is None
    assert configuration.without_block(b"ScanArchive no\n" + managed) == b"ScanArchive no\n"


def test_a_foreign_line_too_long_to_be_turned_off_is_refused() -> None:
    with pytest.raises(ProviderError):
        configuration.with_block(b"ExcludePath ^/" + b"a" * 990 + b"$\n", [], only_ours=True)


def matches(item: dict[str, object], path: str, *, literal: bool = False) -> bool:
    found = exclusions.expression(item, literal=literal)
    assert isinstance(found, str), found
    return re.search(found, path) is not None


def path_item(path: str, *, is_directory: bool = False) -> dict[str, object]:
    return {"$type": "excludedPath", "path": path, "isDirectory": is_directory}


@given(path=paths(SEGMENT), tail=SEGMENT)
def test_a_file_without_wildcards_excludes_itself_alone(path: str, tail: str) -> None:
    assert matches(path_item(path), path)
    assert not matches(path_item(path), path + tail)
    assert not matches(path_item(path), f"{path}/{tail}")
    assert not matches(path_item(path), f"/{tail}{path}")


@given(path=paths(SEGMENT), place=st.integers(1, 20), other=st.sampled_from("xé.|(/"))
def test_a_path_that_differs_in_one_character_is_not_excluded(path: str, place: int, other: str) -> None:
    at = min(place, len(path) - 1)
    changed = path[:at] + other + path[at + 1 :]

    assert matches(path_item(path), changed) is (changed == path)


@given(path=paths(SEGMENT), tail=SEGMENT)
def test_a_directory_excludes_all_below_and_no_sibling(path: str, tail: str) -> None:
    assert matches(path_item(path, is_directory=True), path)
    assert matches(path_item(path, is_directory=True), f"{path}/{tail}/{tail}")
    assert not matches(path_item(path, is_directory=True), path + tail)


@given(path=paths(SEGMENT), folder=SEGMENT, other=SEGMENT, file=SEGMENT)
def test_a_star_inside_stands_for_one_folder(path: str, folder: str, other: str, file: str) -> None:
    assert matches(path_item(f"{path}/*/{file}"), f"{path}/{folder}/{file}")
    assert not matches(path_item(f"{path}/*/{file}"), f"{path}/{folder}/{other}/x{file}")
    assert not matches(path_item(f"{path}/*/{file}"), f"{path}/{folder}/{other}/{file}/x")
    assert not matches(path_item(f"{path}/*/{file}"), f"{path}//{file}")


@pytest.mark.parametrize(
    ("pattern", "path", "excluded"),
    [
        ("/var/*/tmp", "/var/a/tmp", True),
        ("/var/*/tmp", "/var/a/b/tmp", False),
        ("/var/*", "/var/a/b/c", True),
        ("/var/*", "/var", False),
        ("/var/log*", "/var/log2/x", True),
        ("/var/*.log", "/var/a.log", True),
        ("/var/*.log", "/var/b/a.log", False),
        ("/var/?og", "/var/log", True),
        ("/var/?og", "/var//og", False),
        ("/var/?og", "/var/blog", False),
    ],
)
def test_wildcards(pattern: str, path: str, excluded: bool) -> None:
    assert matches(path_item(pattern), path) is excluded


@given(extension=st.text(string.ascii_lowercase + ".+*?$[", min_size=1, max_size=5).filter(lambda s: s.strip(".")))
def test_an_extension_is_literal_and_at_the_end(extension: str) -> None:
    item: dict[str, object] = {"$type": "excludedFileExtension", "extension": extension}
    bare = extension.removeprefix(".")

    assert matches(item, f"/srv/file.{bare}")
    assert not matches(item, f"/srv/file.{bare}x")
    assert not matches(item, f"/srv/file{bare}")


@pytest.mark.parametrize(
    "path", ["relative", "", "/", "/*", "/**/?", "/a\nScanPE no", "/a\x00", "/a//b", "/a/../b", "/a/./b", "//a"]
)
def test_paths_that_would_never_match_or_match_too_much_are_refused(path: str) -> None:
    found = exclusions.expression(path_item(path), literal=False)

    assert isinstance(found, ItemStatus)
    assert found.state is SettingState.ERROR


@pytest.mark.parametrize("extension", ["", ".", "a/b", "log\nScanPE no", "\x7f"])
def test_what_is_no_extension_is_refused(extension: str) -> None:
    found = exclusions.expression({"$type": "excludedFileExtension", "extension": extension}, literal=False)

    assert isinstance(found, ItemStatus)
    assert found.state is SettingState.ERROR


def test_processes_and_wildcards_in_literal_exclusions_are_not_expressed() -> None:
    process = exclusions.expression({"$type": "excludedFileName", "name": "cat"}, literal=False)
    wild = exclusions.expression(path_item("/opt/*"), literal=True)

    assert isinstance(process, ItemStatus)
    assert process.state is SettingState.NOT_APPLICABLE
    assert isinstance(wild, ItemStatus)
    assert wild.code == "invalidExclusion"


@pytest.mark.parametrize("length", [400, 900, 1000, 4000])
def test_no_line_ever_is_longer_than_clamd_reads(length: int) -> None:
    plan = directives.plan({landings.EXCLUSIONS: [path_item("/" + "a" * length), path_item("/" + "(" * length)]})

    assert all(len(line) <= configuration.MAXIMUM_LINE_BYTES for line in plan.lines)
    written = sum(line.startswith(b"ExcludePath") for line in plan.lines)
    assert written + len(plan.rejected.get(landings.EXCLUSIONS, ())) == 2


def test_a_line_of_ours_changed_by_hand_is_not_read_back() -> None:
    plan = directives.plan({landings.SCAN_ARCHIVES: True})

    assert directives.read(plan.lines).values == {landings.SCAN_ARCHIVES: True}
    assert directives.read([line.replace(b"ScanArchive yes", b"ScanArchive no") for line in plan.lines]).values == {}
    assert directives.read([*plan.lines, b"ExcludePath ^/"]).values == {}


def test_blocking_is_not_claimed_where_only_detection_happens() -> None:
    items = [{"key": landings.PUA, "value": "block"}, {"key": "archive_bomb", "value": "audit"}]

    plan = directives.plan({landings.THREAT_TYPES: items})

    assert b"DetectPUA yes" in plan.lines
    assert b"AlertExceedsMax yes" in plan.lines
    assert plan.values[landings.THREAT_TYPES] == items[1:]
    assert [status.code for status in plan.rejected[landings.THREAT_TYPES]] == ["detectOnly"]


def test_the_strongest_of_contradicting_actions_is_written() -> None:
    items = [{"key": landings.PUA, "value": "off"}, {"key": landings.PUA, "value": "audit"}]

    plan = directives.plan({landings.THREAT_TYPES: items})

    assert [line for line in plan.lines if line.startswith(b"DetectPUA")] == [b"DetectPUA yes"]
    assert [status.state for status in plan.rejected[landings.THREAT_TYPES]] == [SettingState.CONFLICT]
