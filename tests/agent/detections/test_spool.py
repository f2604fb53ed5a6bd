"""The spool of detections: whole lines from many writers, bounded, readable after a crash."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support.private_namespaces import mount, privately

from shieldwall.agent.detections import spool
from shieldwall.agent.detections.handing import Handing
from shieldwall.agent.detections.model import Action, Detection, Opener, Source, readable_path
from shieldwall.contract.ids import TenantId

TENANT = TenantId("0563bf7f-9a18-4f7b-8c26-fd7e917803f8")


def detection(number: int, path: str = "/srv/file") -> Detection:
    return Detection(
        at="2026-11-26T05:00:00Z",
        source=Source.ON_ACCESS,
        threat=f"Test.Marker.{number}",
        path=path,
        action=Action.BLOCKED,
        opener=Opener(pid=number, uid=0, executable="/bin/cat"),
    )


def test_what_was_appended_is_read_in_its_order(tmp_path: Path) -> None:
    written = tuple(detection(number) for number in range(5))

    spool.append(tmp_path / "events", written[:2])
    spool.append(tmp_path / "events", written[2:])

    assert spool.read(tmp_path / "events") == written


def test_lines_of_many_writers_never_mix(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: spool.append(tmp_path, [detection(number, "/x" * 400)]), range(200)))

    assert sorted(found.opener.pid for found in spool.read(tmp_path) if found.opener) == list(range(200))


def test_it_stays_within_its_bounds_and_keeps_the_newest(tmp_path: Path) -> None:
    for number in range(100):
        spool.append(tmp_path, [detection(number)], maximum_bytes=1000)

    size = sum(path.stat().st_size for path in tmp_path.glob("*.jsonl"))
    found = spool.read(tmp_path)
    assert size <= 2000
    assert found[-1] == detection(99)
    assert 2 < len(found) < 100


def test_a_line_that_a_crash_cut_off_costs_only_itself(tmp_path: Path) -> None:
    spool.append(tmp_path, [detection(1)])
    with (tmp_path / spool.CURRENT).open("ab") as file:
        file.write(b'{"at":"2026-')

    assert spool.read(tmp_path) == (detection(1),)
    spool.append(tmp_path, [detection(2)])
    assert spool.read(tmp_path) == (detection(1), detection(2))


@pytest.mark.root
def test_what_a_full_disk_cut_off_takes_nothing_along_that_comes_later(tmp_path: Path) -> None:
    def filled() -> None:
        mount("-t", "tmpfs", "-o", "size=64k", "small", str(tmp_path))
        spool.append(tmp_path, [detection(1)])
        filler = tmp_path / "filler"
        filler.write_bytes(b"x" * (64 * 1024 - 3 * 4096))
        with pytest.raises(OSError, match="No space left"):
            spool.append(tmp_path, [detection(2, "/" + "x" * 30_000)])
        filler.unlink()

        spool.append(tmp_path, [detection(3)])

        assert spool.read(tmp_path) == (detection(1), detection(3))
        batch = Handing(directory=tmp_path, new_name=lambda: "name").hand_over(TENANT, None)
        assert [event.subject for event in batch.events] == ["Test.Marker.1", "Test.Marker.3"]

    privately(filled)


def test_a_name_that_is_no_text_is_told_all_the_same(tmp_path: Path) -> None:
    shown = readable_path(b"/srv/\xff\n\0x")
    spool.append(tmp_path, [detection(1, shown)])

    assert spool.read(tmp_path)[0].path == "/srv/\\xff\n\\x00x"
