"""Exclusions on macOS: its places, whatever the case they are written in."""

from __future__ import annotations

import pytest

from shieldwall.catalog.exclusions import faults
from shieldwall.catalog.model import Syntax


def codes(syntax: Syntax, text: str) -> set[str]:
    return {fault.code for fault in faults(syntax, text, "macOS")}


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/",
            "/*",
            "/System",
            "/system/Volumes/Data",
            "/System/Library/CoreServices",
            "/Users",
            "/USERS/",
            "/Users/*",
        ),
        *("/Applications", "/applications/*", "/Library", "/Library/LaunchDaemons", "/Volumes/Disk", "/Volumes"),
        *("/private", "/private/var", "/private/tmp", "/tmp", "/var/folders", "/etc", "/var", "/usr/local", "/opt"),
        *("/Users/bob/Library", "/Users/*/Library/LaunchAgents", "/Users/Shared", "/Users/bob/Downloads"),
        *("/Applications/Microsoft Defender.app", "/Library/Application Support/Microsoft/Defender/quarantine"),
        *("/Volumes/Macintosh HD/Users", "/Volumes/*/Library", "/.vol"),
        *("/Library/Application Support/Shieldwall", "/usr/bin/python3", "/usr/bin/OSASCRIPT", "/opt/homebrew/bin/*"),
    ],
)
def test_a_path_that_hides_too_much_is_refused(path: str) -> None:
    assert codes(Syntax.EXCLUSION_PATH, path) == {"dangerousExclusion"}


@pytest.mark.parametrize(
    "path",
    [
        "/mac/path",
        "/Users/build",
        "/Users/*/.cache",
        "/Applications/Contoso.app",
        "/private/var/db/contoso",
        "/opt/contoso",
    ],
)
def test_a_path_that_administrators_need_is_taken(path: str) -> None:
    assert codes(Syntax.EXCLUSION_PATH, path) == set()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *(
            (name, {"dangerousExclusion"})
            for name in ("osascript", "Python3", "zsh", "wdavdaemon", "*", "shieldwall-agent")
        ),
        *((name, set()) for name in ("/mac/filename", "Xcode", "clang", "postgres")),
    ],
)
def test_processes(name: str, expected: set[str]) -> None:
    assert codes(Syntax.EXCLUSION_PROCESS, name) == expected


@pytest.mark.parametrize(
    ("extension", "expected"),
    [
        *((text, {"dangerousExclusion"}) for text in ("app", ".dylib", "command", "PKG", "sh", "scpt", "kext")),
        *((text, set()) for text in ("mac_ext", "log", ".sqlite", "dmgpart")),
    ],
)
def test_extensions(extension: str, expected: set[str]) -> None:
    assert codes(Syntax.EXCLUSION_EXTENSION, extension) == expected
