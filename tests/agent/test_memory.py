"""A service at rest weighs little: it loads what it needs, and gives back what it needed once."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from shieldwall.agent.applier.server import Server
from shieldwall.agent.memory import unchanged_mappings

SMAPS = """\
7f0000000000-7f0000010000 r--p 00000000 fd:01 11 /usr/lib/a.so
Rss:                  64 kB
Anonymous:             0 kB
VmFlags: rd mr mw me sd
7f0000010000-7f0000020000 r-xp 00010000 fd:01 11 /usr/lib/a b.so
Anonymous:             0 kB
7f0000020000-7f0000030000 r--p 00020000 fd:01 11 /usr/lib/relocated.so
Anonymous:             4 kB
7f0000030000-7f0000040000 rw-p 00030000 fd:01 11 /usr/lib/written.so
Anonymous:             0 kB
7f0000040000-7f0000050000 r--s 00000000 fd:01 12 /usr/lib/shared
Anonymous:             0 kB
7f0000050000-7f0000060000 r--p 00000000 00:00 0 [vvar]
Anonymous:             0 kB
7f0000060000-7f0000070000 rw-p 00000000 00:00 0
Anonymous:            60 kB
"""

GIVES_BACK = """
import hashlib, re
from pathlib import Path
from shieldwall.agent.memory import Memory

def resident_of_files():
    text = Path("/proc/self/smaps_rollup").read_text()
    rss, own = (int(re.search(name + r":\\s+(\\d+)", text)[1]) for name in ("Rss", "Anonymous"))
    return rss - own

before, said = resident_of_files(), hashlib.sha256(b"x").hexdigest()
memory = Memory()
memory.settle()
after = resident_of_files()
assert hashlib.sha256(b"x").hexdigest() == said
memory.give_back()
assert sorted(__import__("json").loads("[2, 1]")) == [1, 2]
print(before, after)
"""

HARDLY_USED = """
from shieldwall.agent import memory
from shieldwall.agent.memory import Memory

looks = []
memory._MAPS = type("Maps", (), {"open": staticmethod(lambda **_: looks.append(1) or open("/proc/self/maps"))})
service = Memory()
service.settle()
first = len(looks)
service.give_back()
after_nothing = len(looks)
held = bytearray(8 << 20)
held[::4096] = b"x" * len(held[::4096])
service.give_back()
print(first, after_nothing, len(looks))
"""

USES_ITS_KEY = """
import sys
import shieldwall.agent.main
from shieldwall.trust.device_key import DeviceKey, is_signed_by

key = DeviceKey.from_pem(DeviceKey.generate().to_pem())
assert is_signed_by(key.public_key, key.sign(b"x"), b"x")
print(*sys.modules)
"""

SELDOM = {"argparse", "cryptography.x509", "importlib.resources", "rich", "tempfile", "typer"}
SELDOM |= {"cryptography.hazmat.backends.openssl.backend", "cryptography.hazmat.primitives.serialization"}
"""Of libraries: what only a command line, a package, a registration or a test of a certificate asks for."""
NOT_AT_REST = {
    "shieldwall.agent.applier_main": SELDOM
    | {
        *("email", "http", "ssl", "urllib.request", "zipfile"),
        *("shieldwall.agent.doctor", "shieldwall.agent.inspection.inspector", "shieldwall.agent.service"),
    },
    "shieldwall.agent.main": SELDOM
    | {
        *("shieldwall.agent.applier.engine", "shieldwall.agent.doctor", "shieldwall.agent.providers.registry"),
        *("shieldwall.catalog.loader", "shieldwall.policy.resolve", "urllib.request", "zipfile"),
    },
}


def run(program: str, *words: str) -> str:
    return subprocess.run(
        [sys.executable, "-I", "-c", program, *words], capture_output=True, text=True, timeout=60, check=True
    ).stdout


def test_only_pages_that_are_in_their_files_just_as_well_are_given_back() -> None:
    found = list(unchanged_mappings(SMAPS.splitlines(keepends=True)))

    assert [line.split(maxsplit=5)[5].strip() for line in found] == ["/usr/lib/a.so", "/usr/lib/a b.so"]
    assert set(found) <= set(SMAPS.splitlines(keepends=True))


def test_a_process_that_gave_its_memory_back_weighs_less_and_works() -> None:
    before, after = map(int, run(GIVES_BACK).split())

    assert after < before / 2


def test_where_hardly_anything_was_used_nothing_is_looked_for() -> None:
    assert run(HARDLY_USED).split() == ["1", "1", "2"]


@pytest.mark.parametrize("program", NOT_AT_REST)
def test_a_service_does_not_load_what_is_needed_seldom(program: str) -> None:
    loaded = set(
        run("import importlib, sys; importlib.import_module(sys.argv[1]); print(*sys.modules)", program).split()
    )

    assert program in loaded
    assert not loaded & NOT_AT_REST[program]


def test_using_the_device_key_loads_nothing_for_other_kinds_of_keys() -> None:
    loaded = set(run(USES_ITS_KEY).split())

    assert "cryptography.hazmat.primitives.asymmetric.ec" in loaded
    assert not loaded & SELDOM
    assert "cryptography.hazmat.primitives.ciphers" not in loaded


def test_the_applier_gives_memory_back_while_nobody_asks(tmp_path: Path) -> None:
    gave_back = threading.Event()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "applier.sock"))
        listener.listen()
        server = Server(
            listener=listener,
            answer=lambda _request, _asker: pytest.fail("nobody asks"),
            may_ask=frozenset(),
            monotonic=time.monotonic,
            say=lambda _event, **_facts: None,
            chores=lambda: 0.01,
            before_rest=gave_back.set,
        )
        serving = threading.Thread(target=server.run)
        serving.start()
        try:
            assert gave_back.wait(30)
        finally:
            server.stop()
            serving.join()
