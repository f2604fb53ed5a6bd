"""Users of rules become numbers: by a file where that is asked first anyway, by ``getent`` everywhere else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

import pytest
from tests.support.memory_host import MemoryHost

from shieldwall.agent.host.ports import Completed
from shieldwall.agent.providers.nftables.users import user_numbers

SOURCES, USERS = PurePosixPath("/etc/nsswitch.conf"), PurePosixPath("/etc/passwd")
PASSWD = b"root:x:0:0:root:/root:/bin/sh\nweb:x:33:33::/var/www:\nweb:x:34:34::/:\nodd:x:none:1::/:\nshort:x\n\n"


def getent(arguments: Sequence[str], stdin: bytes) -> Completed:
    """Know a user of a directory, and everybody of the file by another number."""
    del stdin
    known = {"root": 1000, "web": 1033, "anna": 70001}
    name = arguments[1]
    if name not in known:
        return Completed(returncode=2, stdout=b"", stderr=b"")
    return Completed(returncode=0, stdout=f"{name}:x:{known[name]}:1::/:\n".encode(), stderr=b"")


def machine(sources: bytes | None) -> MemoryHost:
    files = {USERS: PASSWD} if sources is None else {USERS: PASSWD, SOURCES: sources}
    return MemoryHost(files, programs={"getent": getent})


@pytest.mark.parametrize(
    "sources", [b"passwd: files\n", b"# passwd: sss\n\npasswd:\tfiles systemd sss # all\ngroup: sss\n"]
)
def test_who_stands_in_the_file_is_not_asked_for(sources: bytes) -> None:
    host = machine(sources)

    assert user_numbers(host, {"web", "root"}) == {"root": 0, "web": 33}
    assert host.operations == []
    assert user_numbers(host, {"web", "anna", "odd", "short", "nobody-here"}) == {"anna": 70001, "web": 33}
    assert host.operations == [
        *("run /usr/bin/getent passwd anna", "run /usr/bin/getent passwd nobody-here"),
        *("run /usr/bin/getent passwd odd", "run /usr/bin/getent passwd short"),
    ]


@pytest.mark.parametrize(
    "sources",
    [
        None,
        b"",
        b"passwd:\n",
        b"passwd: sss files\n",
        b"passwd: compat\n",
        b"passwd: files [SUCCESS=continue] sss\n",
        b"passwd: files[SUCCESS=continue] sss\n",
        b"passwd: files\npasswd: sss files\n",
    ],
)
def test_where_another_source_may_have_the_last_word_getent_is_asked(sources: bytes | None) -> None:
    assert user_numbers(machine(sources), {"web", "anna"}) == {"anna": 70001, "web": 1033}


def test_without_the_program_and_the_file_nobody_is_known() -> None:
    assert user_numbers(MemoryHost(), {"web"}) == {}
    assert user_numbers(machine(b"passwd: files\n"), frozenset()) == {}
