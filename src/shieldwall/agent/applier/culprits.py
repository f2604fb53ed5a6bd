"""Who changed a file: the program and the user, as far as the kernel still tells."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

GONE: Final = "a program that has ended"
"""What is said of a process that was gone before anybody could look."""
_LONGEST: Final = 120
_NOBODY_LOGGED_IN: Final = 0xFFFFFFFF
_UID: Final = re.compile(r"^Uid:\s+(\d+)", re.MULTILINE)
_OF_NFT: Final = re.compile(rb"by process (\d{1,10}) \(([^)\n]{1,16})\)")


def culprit(pid: int, *, proc: Path = Path("/proc")) -> str:
    """Name the program and the user of a process, and who had logged in if that is somebody else. Bounded."""
    own = proc / str(pid)
    try:
        program = own.joinpath("exe").readlink().as_posix().removesuffix(" (deleted)")
        status = own.joinpath("status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return GONE
    uid = _UID.search(status)
    words = [f"uid {uid[1]}"] if uid else []
    login = _login(own)
    if login is not None and (uid is None or login != uid[1]):
        words.append(f"logged in as uid {login}")
    return f"{_printable(program)} ({', '.join(words)})" if words else _printable(program)


def culprit_in(text: bytes) -> str:
    """Find who a line of a watching program blames, as ``nft monitor`` does; empty where it blames nobody."""
    found = _OF_NFT.search(text)
    if found is None:
        return ""
    named = culprit(int(found[1]))
    return f"the program {_printable(found[2].decode(errors='replace'))}" if named == GONE else named


def _login(own: Path) -> str | None:
    try:
        login = own.joinpath("loginuid").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return login if login.isdigit() and int(login) != _NOBODY_LOGGED_IN else None


def _printable(text: str) -> str:
    return "".join(mark if mark.isprintable() else "?" for mark in text[:_LONGEST])
