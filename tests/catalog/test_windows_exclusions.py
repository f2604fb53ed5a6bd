"""Exclusions on Windows that hide what must be seen are refused; those that administrators need are not."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shieldwall.catalog.exclusions import faults
from shieldwall.catalog.model import Syntax

PATH, PROCESS, EXTENSION = (
    Syntax.WINDOWS_EXCLUSION_PATH,
    Syntax.WINDOWS_EXCLUSION_PROCESS,
    Syntax.WINDOWS_EXCLUSION_EXTENSION,
)


def codes(syntax: Syntax, text: str) -> set[str]:
    return {fault.code for fault in faults(syntax, text, "windows10")}


@pytest.mark.parametrize(
    "path",
    [
        *("C:\\", "C:", "c:/", "D:\\", "C:\\*", "C:\\*\\*", "*", "**", "*.*", "*\\*", "C:\\\\"),
        *("%SystemDrive%", "%SystemDrive%\\", "%SystemRoot%", "%windir%\\System32", "%WINDIR%\\*", "%ProgramFiles%"),
        *("C:\\Windows", "c:\\WINDOWS\\", "C:\\Windows\\System32", "C:\\Win*", "C:\\Windows\\Sys*", "D:\\Windows"),
        *("C:\\Program Files", "C:\\Program Files (x86)\\", "C:\\ProgramData", "%ProgramData%", "%ALLUSERSPROFILE%"),
        *("C:\\Users", "C:\\Users\\*", "C:\\Users\\bob", "C:\\Users\\*\\AppData", "C:\\Users\\bob\\Downloads"),
        *("C:\\Users\\bob\\AppData\\Local\\Temp", "%PUBLIC%", "C:\\Windows\\Temp", "C:\\$Recycle.Bin", "C:\\Temp\\"),
        *("\\\\server", "\\\\server\\", "\\\\server\\share", "\\\\server\\share\\*", "//server/share/"),
        *("\\\\server\\C$", "\\\\localhost\\c$\\Windows", "\\\\127.0.0.1\\ADMIN$", "\\\\server\\admin$\\System32"),
        *("C:\\Windows\\System32\\cmd.exe", "%ComSpec%", "C:\\Tools\\powershell.exe", "C:\\Python311\\python3.11.exe"),
        *("C:\\App\\node.exe", "C:\\App\\jav?.exe", "C:\\Windows\\System32\\c*.exe", "C:\\Windows\\System32\\*.dll"),
        *("C:\\Program Files\\Shieldwall", "C:\\ProgramData\\Shieldwall\\state", "%ProgramFiles%\\Shield*"),
        *(
            "C:\\Program Files\\Windows Defender\\MsMpEng.exe",
            "C:\\ProgramData\\Microsoft\\Windows Defender\\Quarantine",
        ),
        *(
            "C:\\Documents and Settings",
            "C:\\Windows\\System32\\drivers\\wd",
            "C:\\Windows\\System32\\drivers\\Wd*.sys",
        ),
        *(
            "%ProgramData%\\Microsoft\\Windows\\Start Menu\\Programs\\Startup",
            "C:\\Users\\*\\AppData\\Roaming\\Microsoft\\Windows",
        ),
        *("C:\\ProgramData\\Microsoft", "C:\\ProgramData\\Microsoft\\*\\Quarantine", "C:\\Windows\\System32\\drivers"),
    ],
)
def test_a_path_that_hides_too_much_is_refused(path: str) -> None:
    assert codes(PATH, path) == {"dangerousExclusion"}


@pytest.mark.parametrize(
    "path",
    [
        *("data", "data\\x", "\\data", ".\\x", "~\\x", "C:data", "/etc", "?:\\data", "*:\\data", "*\\data", "file.txt"),
        *("%USERPROFILE%\\x", "%TEMP%", "%TMP%\\x", "%APPDATA%\\x", "%LOCALAPPDATA%", "%USERNAME%\\x", "%unheard%\\x"),
        *("C:\\data\\%TEMP%\\x", "C:\\%windir%", "%windir%x\\y"),
        *("C:\\data\\..\\Windows", "C:\\.\\data", "C:\\..", "C:\\Windows.", "C:\\Windows \\x", "C:\\data\\..."),
        *("C:\\PROGRA~1\\x", "C:\\WINDOW~1", "C:\\data\\LONGNA~1.TXT"),
        *("C:\\data:stream", "C:\\da<ta", 'C:\\da"ta', "C:\\da|ta", "\\\\?\\C:\\Windows", "\\\\.\\C:\\", "\\\\*\\x\\y"),
        *("C:\\" + "a" * 256, "C:\\" + "ab\\" * 11_000),
    ],
)
def test_a_path_that_cannot_be_meant_is_refused(path: str) -> None:
    assert codes(PATH, path) == {"invalidPath"}


@pytest.mark.parametrize(
    "path",
    [
        *("C:\\data", "c:\\weridstuff2", "D:\\SQL\\*.mdf", "D:\\SQL\\Data\\", "E:/backup/x", "C:\\App\\*.exe"),
        *("C:\\Program Files\\Contoso", "%ProgramFiles%\\Contoso\\*", "%ProgramData%\\Contoso\\db", "C:\\src\\node"),
        *("%windir%\\SoftwareDistribution\\Datastore\\*.edb", "%SystemRoot%\\NTDS\\ntds.dit", "C:\\Windows\\SYSVOL\\x"),
        *(
            "C:\\Users\\build\\source",
            "C:\\Users\\*\\AppData\\Local\\Contoso",
            "\\\\server\\share\\data",
            "C:\\100% done",
        ),
        *("C:\\data\\a..b", "C:\\données", "\\\\server\\d$\\backup", "C:\\ProgramData\\Microsoft\\Search\\Data"),
    ],
)
def test_a_path_that_administrators_need_is_taken(path: str) -> None:
    assert codes(PATH, path) == set()


@pytest.mark.parametrize(
    "name",
    [
        *("*", "**", "*.exe", "?*.exe", "*.*", "C:\\Windows\\*", "\\\\server\\share"),
        *("C:\\*", "C:\\Program Files\\*", "C:\\Users\\*\\*.exe", "D:\\Temp\\*", "C:\\*\\*.exe", "C:\\Contoso\\"),
        *("powershell.exe", "PowerShell.EXE", "pwsh", "cmd.exe", "wscript.exe", "cscript.exe", "mshta.exe"),
        *("rundll32.exe", "regsvr32.exe", "msbuild.exe", "python.exe", "python3.11.exe", "pythonw.exe", "node.exe"),
        *("java.exe", "bash.exe", "p?wershell.exe", "power*", "w*script.exe", "powershell.*", "C:\\Tools\\cmd.exe"),
        *("%SystemRoot%\\System32\\svchost.exe", "C:\\*\\pwsh.exe", "\\\\server\\share\\tools\\python.exe"),
        *("MsMpEng.exe", "mpcmdrun.exe", "shieldwall-agent.exe", "C:\\Program Files\\Shieldwall\\updater.exe"),
        "C:\\ProgramData\\Microsoft\\Windows Defender\\Platform\\4.18\\other.exe",
    ],
)
def test_a_process_that_hides_too_much_is_refused(name: str) -> None:
    assert codes(PROCESS, name) == {"dangerousExclusion"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        *((name, set()) for name in ("sqlservr.exe", "c:\\process\\process.exe", "store*.exe", "nodetool.exe")),
        *((name, set()) for name in ("%ProgramFiles%\\Contoso\\bin\\*", "D:\\app\\*.exe")),
        *((name, set()) for name in ("%ProgramFiles%\\Contoso\\server.exe", "\\\\server\\share\\tools\\x.exe")),
        *((name, {"invalidPath"}) for name in ("tools\\x.exe", "%TEMP%\\x.exe", "C:x.exe", "SQLSER~1.EXE", "x.exe.")),
    ],
)
def test_other_processes(name: str, expected: set[str]) -> None:
    assert codes(PROCESS, name) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((text, "dangerousExclusion") for text in ("*", ".*", ".", "?", "exe", ".EXE", "dll", "ps1", "bat", "cmd")),
        *(
            (text, "dangerousExclusion")
            for text in ("sys", "scr", "com", "msi", "vbs", "js", "hta", "lnk", "docm", "doc")
        ),
        *((text, "dangerousExclusion") for text in ("txt.exe", "exe.", "xlsm", "url", "py", "wsf", "jar", "cpl")),
        *((text, "invalidExtension") for text in ("a\\b", "*.log", "lo?", "a b", "log:x", "e*e")),
        *((text, None) for text in ("log", ".mdf", "tar.gz", "vhdx", "edb", "docx", "extension")),
    ],
)
def test_extensions(text: str, expected: str | None) -> None:
    assert codes(EXTENSION, text) == ({expected} if expected else set())


@given(
    st.sampled_from(
        [
            "C:\\Windows\\System32\\cmd.exe",
            "C:\\ProgramData\\Shieldwall\\x",
            "C:\\Program Files\\Windows Defender\\x",
            "C:\\Windows",
        ]
    ),
    st.data(),
)
def test_neither_wildcards_nor_case_nor_slashes_get_around(path: str, data: st.DataObject) -> None:
    segments = path.split("\\")
    chosen = data.draw(st.integers(1, len(segments) - 1))
    name = segments[chosen]
    start = data.draw(st.integers(0, len(name)))
    end = data.draw(st.integers(start, len(name)))
    segments[chosen] = name[:start] + data.draw(st.sampled_from(["*", "?" * (end - start)])) + name[end:]
    turn: Callable[[str], str] = data.draw(st.sampled_from([str.upper, str.lower, str.title]))

    written = data.draw(st.sampled_from(["\\", "/", "\\\\"])).join(turn(segment) for segment in segments)

    assert codes(PATH, written) == {"dangerousExclusion"}


@given(st.text(max_size=100), st.sampled_from([PATH, PROCESS, EXTENSION]))
def test_any_text_gives_faults_and_never_an_error(text: str, syntax: Syntax) -> None:
    assert all(fault.message for fault in faults(syntax, text, "windows10"))


@pytest.mark.parametrize("path", ["C:\\" + "*a" * 120, "C:\\" + "\\".join(["*a*a*b"] * 600), "C:\\" + "?*" * 120])
def test_a_hostile_pattern_costs_next_to_nothing(path: str) -> None:
    before = time.process_time()
    for _ in range(5):
        list(faults(PATH, path, "windows10"))

    assert (time.process_time() - before) / 5 < 0.1
