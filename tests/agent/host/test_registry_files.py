"""Registration files are exact, and reg.exe is believed only as far as it can be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.ports import Completed
from shieldwall.agent.host.registry import RegistryValue, ValueKind, reg_file
from shieldwall.agent.host.registry.operations import DeleteKey, SetValue
from shieldwall.agent.host.registry.reg_exe import RegExe

KEY = r"HKEY_LOCAL_MACHINE\SOFTWARE\A [B]"
TEXTS = st.text(st.characters(exclude_characters="\0"), max_size=30)
VALUES = st.one_of(
    st.builds(RegistryValue.dword, st.integers(0, 2**32 - 1)),
    st.builds(lambda number: RegistryValue(ValueKind.QWORD, number), st.integers(0, 2**64 - 1)),
    st.builds(RegistryValue, st.sampled_from([ValueKind.SZ, ValueKind.EXPAND_SZ]), TEXTS),
    st.builds(RegistryValue, st.sampled_from([ValueKind.BINARY, ValueKind.NONE]), st.binary(max_size=99)),
    st.builds(lambda texts: RegistryValue(ValueKind.MULTI_SZ, tuple(texts)), st.lists(TEXTS.filter(bool), max_size=3)),
)
NAMES = st.text(st.characters(min_codepoint=32, exclude_characters="\0"), max_size=20)


def exported(*lines: str) -> bytes:
    return b"\xff\xfe" + "\r\n".join((reg_file.HEADER, "", *lines, "")).encode("utf-16-le")


@given(st.dictionaries(NAMES, VALUES, max_size=6))
def test_what_is_written_is_what_is_read(values: dict[str, RegistryValue]) -> None:
    assert reg_file.parse(reg_file.render(KEY, values)) == {KEY: values}


@given(st.binary(max_size=200) | TEXTS.map(lambda text: exported(f"[{KEY}]", text)))
def test_anything_else_is_refused_and_never_breaks(content: bytes) -> None:
    try:
        reg_file.parse(content)
    except HostError:
        return


def test_breaks_of_lines_stand_there_as_windows_and_as_wine_write_them() -> None:
    content = exported(
        f"[{KEY}]", '"raw"="one\r\ntwo"', r'"wine"="one\r\ntwo"', '"hex"=hex(7):61,00,00,00,\\', "  00,00"
    )
    text = RegistryValue.text("one\r\ntwo")
    assert reg_file.parse(content) == {
        KEY: {"raw": text, "wine": text, "hex": RegistryValue(ValueKind.MULTI_SZ, ("a",))}
    }


@pytest.mark.parametrize("line", ['"x"=', "x=1", '"x"="open'])
def test_what_cannot_be_held_is_refused(line: str) -> None:
    with pytest.raises(HostError):
        reg_file.parse(exported(f"[{KEY}]", line))


def test_types_that_nobody_sets_by_hand_are_held_as_they_are() -> None:
    content = exported(f"[{KEY}]", '"link"=hex(6):61,00', '"short"=hex(4):00,01', '"own"=hex(ffff0011):01')
    values = reg_file.parse(content)[KEY]
    assert values == {
        "link": RegistryValue.other(6, b"a\0"),
        "short": RegistryValue.other(4, b"\x00\x01"),
        "own": RegistryValue.other(0xFFFF0011, b"\x01"),
    }
    assert reg_file.parse(reg_file.render(KEY, values)) == {KEY: values}


class Reg:
    """A reg.exe that refuses, and shows what it was asked."""

    def __init__(self, listed: str | None) -> None:
        self.listed = listed
        self.asked: list[Sequence[str]] = []

    def __call__(self, words: Sequence[str]) -> Completed:
        self.asked.append(words)
        if words[1] == "query" and self.listed is not None:
            return Completed(returncode=0, stdout=self.listed.encode(), stderr=b"")
        return Completed(returncode=1, stdout=b"", stderr=b"FEHLER: Zugriff verweigert")


def test_a_key_that_may_not_be_read_is_not_taken_for_absent(tmp_path: Path) -> None:
    listed = f"\r\n{KEY.rpartition(chr(92))[0]}\r\n{KEY.upper()}\r\n"
    with pytest.raises(HostError, match="cannot be read"):
        RegExe(Reg(listed), tmp_path).read(r"HKLM\SOFTWARE\A [B]")
    assert RegExe(Reg(f"{KEY}C\r\n"), tmp_path).read(r"HKLM\SOFTWARE\A [B]") is None
    assert RegExe(Reg(None), tmp_path).read(r"HKLM\SOFTWARE\A [B]") is None


def test_data_is_on_no_command_line_and_in_no_error_and_stays_on_no_disk(tmp_path: Path) -> None:
    reg = Reg(None)
    with pytest.raises(HostError) as refused:
        RegExe(reg, tmp_path).carry_out("HKLM\\X", SetValue("", "Secret", RegistryValue.text("the onboarding")))
    assert "the onboarding" not in str(reg.asked) + str(refused.value) + refused.value.cause
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_is_not_empty_is_never_deleted(tmp_path: Path) -> None:
    asked: list[str] = []

    def run(words: Sequence[str]) -> Completed:
        asked.append(words[1])
        if words[1] == "export":
            Path(words[3]).write_bytes(exported(r"[HKEY_LOCAL_MACHINE\X]", r"[HKEY_LOCAL_MACHINE\X\Y]"))
        return Completed(returncode=0, stdout=b"", stderr=b"")

    with pytest.raises(HostError, match="not empty"):
        RegExe(run, tmp_path).carry_out("HKLM", DeleteKey("X"))
    assert asked == ["export"]
