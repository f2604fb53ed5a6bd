"""Threads that meet a kind of message for the first time at once all read it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import shieldwall

PROGRAM = """
import time
from concurrent.futures import ThreadPoolExecutor
import msgspec
from shieldwall.contract import strict_json

def in_peace():
    time.sleep(0.1)  # while msgspec resolves this annotation, other threads run
    return int

class One(msgspec.Struct, tag=True):
    first: "in_peace()"

class Other(msgspec.Struct, tag=True):
    second: "in_peace()"

class Kind(msgspec.Struct):
    part: "One | Other"
    number: "in_peace()"

def read(number):
    time.sleep(0.03 * number)
    return strict_json.convert({"part": {"type": "One", "first": 1}, "number": number}, Kind).number

with ThreadPoolExecutor(8) as threads:
    print(list(threads.map(read, range(8))))
"""
READ_IN_THREADS = ("server", "agent", "simulator", "catalog", "contract", "policy", "trust")
READS = re.compile(r"msgspec\.(?:json\.decode|msgpack\.decode|convert|json\.Decoder|msgpack\.Decoder)\(")


def test_a_kind_that_threads_meet_at_once_ends_no_process() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False)

    assert (done.returncode, done.stdout) == (0, "[0, 1, 2, 3, 4, 5, 6, 7]\n"), done.stderr


def test_nothing_that_threads_may_run_reads_a_kind_that_was_not_learned() -> None:
    root = Path(shieldwall.__file__).parent
    unsafe = []
    for part in READ_IN_THREADS:
        for path in sorted((root / part).rglob("*.py")):
            text = path.read_text()
            for found in READS.finditer(text):
                call = _call(text, found.end())
                of_any_kind = ".decode(" in found[0] and "type=" not in call
                if "learned(" not in call and not of_any_kind and path.name != "kinds.py":
                    unsafe.append(f"{path.relative_to(root)}: {found[0]}{call}")
    assert unsafe == []


def _call(text: str, start: int) -> str:
    depth = 1
    for place in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[place], 0)
        if depth == 0:
            return text[start:place]
    raise AssertionError("a call without an end")
