"""One look reads each file once, and never longer than until something is written or run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path, PurePosixPath

import pytest

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.host.one_look import OneLook

FILE = PurePosixPath("/etc/product.conf")


class CountingHost(LocalHost):
    def __init__(self, root: Path) -> None:
        super().__init__(root, program_directories=[Path("/bin")])
        self.reads: Counter[PurePosixPath] = Counter()

    def read_file(self, path: PurePosixPath) -> bytes | None:
        self.reads[path] += 1
        return super().read_file(path)


@pytest.fixture
def host(tmp_path: Path) -> CountingHost:
    (tmp_path / "etc").mkdir()
    return CountingHost(tmp_path)


def test_a_file_is_read_once_whether_it_is_there_or_not(host: CountingHost) -> None:
    look = OneLook(host)

    assert [look.read_file(FILE), look.read_file(FILE)] == [None, None]
    host.write_file(FILE, b"later")
    assert look.read_file(FILE) is None
    assert host.reads[FILE] == 1


def test_a_file_that_cannot_be_read_is_not_waited_for_twice(host: CountingHost) -> None:
    host.locate(FILE).mkdir()
    look = OneLook(host)

    for _ in range(2):
        with pytest.raises(HostError, match="Is a directory"):
            look.read_file(FILE)
    assert host.reads[FILE] == 1


def test_what_was_written_or_changed_by_a_program_is_seen(host: CountingHost) -> None:
    look = OneLook(host)
    assert look.read_file(FILE) is None
    look.write_file(FILE, b"1")
    assert look.read_file(FILE) == b"1"

    look.run([look.find_program("sh") or "", "-c", f"printf 2 > {look.locate(FILE)}"])
    assert look.read_file(FILE) == b"2"

    host.write_file(FILE, b"3")
    look.forget()
    assert look.read_file(FILE) == b"3"


def test_a_program_that_is_missing_is_no_error(host: CountingHost) -> None:
    look = OneLook(host)

    assert look.find_program("no-such-program") is None
    with pytest.raises(HostError):
        look.run(["/no/such/program"])
