"""Quarantine: what goes in is what was judged, nothing else is ever touched, and what comes out is what went in."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.scanning import SetClock, files_below

from shieldwall.agent.scanning.quarantine import (
    ActionDisallowedError,
    Quarantine,
    QuarantineError,
    UnknownItemError,
    check_allowed,
)
from shieldwall.agent.scanning.walking import OpenFile, Walk

CONTENT = b"#!/bin/sh\necho something bad\n"


@pytest.fixture
def quarantine(tmp_path: Path) -> Quarantine:
    return Quarantine(directory=tmp_path / "quarantine", clock=SetClock())


@pytest.fixture
def place(tmp_path: Path) -> Path:
    place = tmp_path / "place"
    place.mkdir()
    return place


def opened(path: Path) -> OpenFile:
    (found,) = Walk(is_excluded=lambda _: False, borders=frozenset()).over(str(path))
    return found


def infected(place: Path, name: str = "bad", content: bytes = CONTENT) -> Path:
    path = place / name
    path.write_bytes(content)
    return path


def test_what_goes_in_is_harmless_there_and_comes_out_as_it_was(quarantine: Quarantine, place: Path) -> None:
    path = infected(place)
    path.chmod(0o4750)
    os.chown(path, 12_345, 54_321)
    os.utime(path, ns=(1, 1_700_000_000_000_000_000))

    item = quarantine.take(opened(path), "Test", str(path))

    assert files_below(place) == set()
    stored = [each.read_bytes() for each in quarantine.directory.glob("*.veiled")]
    assert len(stored) == 1
    assert CONTENT not in stored[0]
    assert {stat.S_IMODE(each.stat().st_mode) for each in quarantine.directory.iterdir()} == {0o600}
    assert stat.S_IMODE(quarantine.directory.stat().st_mode) == 0o700

    assert quarantine.restore(item.id) == path
    status = path.stat()
    assert path.read_bytes() == CONTENT
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (12_345, 54_321, 0o750)
    assert status.st_mtime_ns == 1_700_000_000_000_000_000
    assert files_below(place) == {"bad"}
    assert files_below(quarantine.directory) == set()


@given(content=st.binary(max_size=3000), name=st.binary(min_size=1, max_size=40))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_content_under_any_name_comes_back(tmp_path: Path, content: bytes, name: bytes) -> None:
    if b"/" in name or b"\0" in name or name in (b".", b".."):
        return
    place = tmp_path / "any"
    place.mkdir(exist_ok=True)
    quarantine = Quarantine(directory=tmp_path / "quarantine", clock=SetClock())
    path = Path(os.fsdecode(bytes(place) + b"/" + name))
    path.write_bytes(content)

    item = quarantine.take(opened(path), "Test", "shown")
    assert not path.exists()
    quarantine.restore(item.id)

    assert path.read_bytes() == content
    path.unlink()


def test_a_name_that_stands_for_another_file_by_now_is_left_alone(quarantine: Quarantine, place: Path) -> None:
    path = infected(place)
    found = opened(path)
    path.rename(place / "moved")
    path.write_bytes(b"innocent")

    with pytest.raises(QuarantineError, match="another file"):
        quarantine.take(found, "Test", str(path))

    assert path.read_bytes() == b"innocent"
    assert (place / "moved").read_bytes() == CONTENT
    assert files_below(quarantine.directory) == set()


def test_a_link_put_in_the_place_of_the_file_leads_nowhere(quarantine: Quarantine, place: Path, tmp_path: Path) -> None:
    path, precious = infected(place), tmp_path / "precious"
    precious.write_bytes(b"precious")
    found = opened(path)
    path.unlink()
    path.symlink_to(precious)

    with pytest.raises(QuarantineError):
        quarantine.take(found, "Test", str(path))

    assert precious.read_bytes() == b"precious"


def test_a_directory_swapped_for_a_link_loses_nothing(quarantine: Quarantine, place: Path, tmp_path: Path) -> None:
    inner, elsewhere = place / "inner", tmp_path / "elsewhere"
    inner.mkdir()
    elsewhere.mkdir()
    infected(elsewhere, "bad", b"innocent")
    found = opened(infected(inner))
    inner.rename(place / "old")
    inner.symlink_to(elsewhere)

    quarantine.take(found, "Test", "shown")

    assert (elsewhere / "bad").read_bytes() == b"innocent"
    assert files_below(place / "old") == set()


def test_another_name_of_the_same_file_is_noted_and_stays(quarantine: Quarantine, place: Path) -> None:
    path = infected(place)
    os.link(path, place / "other")

    item = quarantine.take(opened(path), "Test", str(path))

    assert item.links == 2
    assert (place / "other").read_bytes() == CONTENT


def test_nothing_is_overwritten_on_the_way_back_and_no_link_followed(
    quarantine: Quarantine, place: Path, tmp_path: Path
) -> None:
    inner = place / "inner"
    inner.mkdir()
    path = infected(inner)
    item = quarantine.take(opened(path), "Test", str(path))

    path.write_bytes(b"newer")
    with pytest.raises(QuarantineError):
        quarantine.restore(item.id)
    assert path.read_bytes() == b"newer"

    path.unlink()
    path.symlink_to(tmp_path / "target")
    with pytest.raises(QuarantineError):
        quarantine.restore(item.id)
    assert not (tmp_path / "target").exists()

    path.unlink()
    inner.rename(place / "real")
    inner.symlink_to(place / "real")
    with pytest.raises(QuarantineError):
        quarantine.restore(item.id)
    assert files_below(place / "real") == set()
    assert quarantine.restore(item.id, place / "safe") == place / "safe"
    assert (place / "safe").read_bytes() == CONTENT


def test_what_was_damaged_in_quarantine_is_not_given_back(quarantine: Quarantine, place: Path) -> None:
    path = infected(place)
    item = quarantine.take(opened(path), "Test", str(path))
    (stored,) = quarantine.directory.glob("*.veiled")
    stored.write_bytes(stored.read_bytes()[:-1] + b"!")

    with pytest.raises(QuarantineError, match="damaged"):
        quarantine.restore(item.id)

    assert files_below(place) == set()


def test_it_takes_no_more_than_it_may_and_lets_the_oldest_go(tmp_path: Path, place: Path) -> None:
    clock = SetClock()
    quarantine = Quarantine(directory=tmp_path / "small", clock=clock, maximum_file_bytes=100, maximum_total_bytes=250)
    taken = []
    for number in range(3):
        taken.append(quarantine.take(opened(infected(place, str(number), bytes([number]) * 100)), "Test", "shown"))
        clock.sleep(1)
    large = infected(place, "large", b"x" * 101)

    assert [item.id for item in quarantine.items()] == [item.id for item in taken[1:]]
    with pytest.raises(QuarantineError, match="larger"):
        quarantine.take(opened(large), "Test", "shown")
    assert large.exists()


def test_the_same_file_again_gets_an_id_of_its_own(quarantine: Quarantine, place: Path) -> None:
    ids = {quarantine.take(opened(infected(place)), "Test", "shown").id for _ in range(3)}

    assert len(ids) == 3
    assert {item.id for item in quarantine.items()} == ids


def test_what_a_crash_left_goes_with_the_next_clean_up(quarantine: Quarantine, place: Path) -> None:
    item = quarantine.take(opened(infected(place)), "Test", "shown")
    for name in (".new-1-2", ".new-20261126T050000Z-0123456789abcdef", "20261126T050000Z-0123456789abcdef.veiled"):
        (quarantine.directory / name).write_bytes(b"half")

    assert quarantine.purge(90) == 0

    assert files_below(quarantine.directory) == {f"{item.id}.json", f"{item.id}.veiled"}


def test_a_quarantine_that_others_can_enter_is_not_used(quarantine: Quarantine, place: Path) -> None:
    quarantine.directory.mkdir()
    quarantine.directory.chmod(0o755)
    path = infected(place)

    with pytest.raises(QuarantineError, match="root alone"):
        quarantine.take(opened(path), "Test", str(path))

    assert path.exists()


@pytest.mark.parametrize("wrong", ["", "..", "../../etc/passwd", "20261126T050000Z-0123456789abcdef"])
def test_only_what_lies_there_can_be_named(quarantine: Quarantine, place: Path, wrong: str) -> None:
    quarantine.take(opened(infected(place)), "Test", "shown")

    with pytest.raises(UnknownItemError):
        quarantine.restore(wrong)
    with pytest.raises(UnknownItemError):
        quarantine.delete(wrong)


def test_an_action_that_a_policy_takes_from_users_is_refused() -> None:
    check_allowed("restore", frozenset({"allow"}))

    with pytest.raises(ActionDisallowedError, match="restore"):
        check_allowed("restore", frozenset({"allow", "restore"}))
