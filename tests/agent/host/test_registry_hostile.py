"""What anybody may put into the registry, and no document of ours must break on."""

from __future__ import annotations

import time
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.fake_winreg import FakeWinreg, Key

from shieldwall.agent.host.registry import RegistryStore, RegistryValue, ValueKind, decode, encode, reg_file
from shieldwall.agent.host.registry.model import as_stored, as_text, same_name
from shieldwall.agent.host.registry.one_key import OneKeyStore
from shieldwall.agent.host.registry.winreg_backend import WinregBackend
from shieldwall.agent.providers import registry_values
from shieldwall.testing.windows.registry import PretendRegistry

KEY = r"HKLM\SOFTWARE\X"
PATH = PurePosixPath(*KEY.split("\\"))
HALF = "a\ud800b"
HOSTILE = {
    HALF: RegistryValue.text("\udfff"),
    "several": RegistryValue(ValueKind.MULTI_SZ, ("\ud83d", "x")),
    "stand-in": RegistryValue.text("\ufdd0d800 \ufdd0"),
    "link": RegistryValue.other(6, "\\Registry\\Machine".encode("utf-16-le")),
    "resources": RegistryValue.other(8, b"\x00" * 20),
    "of a driver": RegistryValue.other(0xFFFF0011, b""),
    "I": RegistryValue.dword(1),
    "\u0131": RegistryValue.dword(2),
    "S": RegistryValue.dword(3),
    "\u017f": RegistryValue.dword(4),
}
OURS = RegistryValue.dword(7)


def stored(value: RegistryValue) -> tuple[int, Any]:
    return (*value.other_parts,) if value.kind is ValueKind.OTHER else (reg_file.number_of(value), plain(value.data))


def plain(data: object) -> object:
    return list(data) if isinstance(data, tuple) else data


@pytest.fixture
def module() -> FakeWinreg:
    made = FakeWinreg()
    made.CreateKeyEx(made.HKEY_LOCAL_MACHINE, r"SOFTWARE\X", 0, made.KEY_READ | made.KEY_WOW64_64KEY)
    return made


def test_ours_goes_in_and_out_beside_it_and_leaves_it_as_it_was(module: FakeWinreg) -> None:
    key = module.wide.keys["SOFTWARE"].keys["X"]
    key.values = {name: (name, *stored(value)) for name, value in HOSTILE.items()}
    key.keys[HALF] = Key(HALF)
    before = dict(key.values)
    store = RegistryStore(WinregBackend(module))
    content = store.read(PATH)
    written, kept = registry_values.apply(content, {("Ours", "Value"): OURS, ("", HALF.replace("\ud800", "")): OURS})
    store.write(PATH, written)
    assert module.wide.keys["SOFTWARE"].keys["X"].keys["OURS"].values["VALUE"][2] == OURS.data
    assert store.read(PATH) == written
    store.write(PATH, registry_values.undo(store.read(PATH), kept))
    assert store.read(PATH) == content
    assert key.values == before
    assert set(key.keys) == {HALF}


def test_what_is_foreign_can_be_given_back_as_it_was() -> None:
    registry = PretendRegistry({KEY: HOSTILE})
    store = RegistryStore(registry)
    content = store.read(PATH)
    assert content is not None
    content.decode("utf-8")
    written, kept = registry_values.apply(content, {("", as_text(name)): OURS for name in HOSTILE})
    store.write(PATH, written)
    assert {each.data for each in (registry.read(KEY) or {})[""].values()} == {OURS.data}
    store.write(PATH, registry_values.undo(store.read(PATH), kept))
    assert (registry.read(KEY) or {})[""] == HOSTILE


def test_a_key_whose_name_holds_nul_hides_itself_alone(module: FakeWinreg) -> None:
    key = module.wide.keys["SOFTWARE"].keys["X"]
    key.keys["HI\0DDEN"] = Key("hi\0dden")
    key.keys["SHOWN"] = Key("Shown")
    assert WinregBackend(module).read(KEY) == {"": {}, "Shown": {}}
    assert WinregBackend(module).look(KEY) == {"": {}, "Shown": {}}


@pytest.mark.parametrize("gone", ["values", "keys"])
def test_what_goes_while_it_is_read_is_read_without(
    module: FakeWinreg, monkeypatch: pytest.MonkeyPatch, gone: str
) -> None:
    key = module.wide.keys["SOFTWARE"].keys["X"]
    key.keys["A"] = Key("A")
    key.values["V"] = ("V", 4, 1)
    counted = module.QueryInfoKey

    def count(handle: Any) -> tuple[int, int, int]:
        found = counted(handle)
        getattr(key, gone).clear()
        return found

    monkeypatch.setattr(module, "QueryInfoKey", count)
    assert WinregBackend(module).read(KEY) == {
        "": {} if gone == "values" else {"V": RegistryValue.dword(1)},
        **({"A": {}} if gone == "values" else {}),
    }


def test_one_key_is_read_with_what_no_text_can_hold() -> None:
    content = OneKeyStore(PretendRegistry({KEY: HOSTILE})).read(PATH)
    assert content is not None
    assert decode(content)[""]["link"] == HOSTILE["link"]


def test_names_as_long_as_they_may_be_are_read_whatever_is_in_them() -> None:
    registry = PretendRegistry({rf"{KEY}\{HALF * 85}": {"\ud800" * 16_383: OURS}})
    content = RegistryStore(registry).read(PATH)
    assert content is not None
    assert encode(decode(content)) == content


@given(st.text(st.characters(exclude_characters="\0", categories=["Cs", "Ll", "Lu", "Cn"])))
def test_what_no_text_can_hold_comes_back(stored: str) -> None:
    assert as_stored(as_text(stored)) == stored
    as_text(stored).encode()


def test_what_windows_tells_apart_is_told_apart() -> None:
    assert same_name("äẞß") == "Äẞß"
    assert len({same_name(name) for name in ("I", "\u0131", "S", "\u017f", "K", "\u212a")}) == 6


def test_to_write_many_values_beside_many_others_takes_little_more_than_to_write_one() -> None:
    theirs = {f"C:\\Theirs\\{number}": RegistryValue.text("0") for number in range(30_000)}
    content = encode({"": {}, "Paths": theirs})

    def seconds(values: int) -> float:
        wanted = {("paths", f"C:\\Ours\\{number}"): RegistryValue.text("0") for number in range(values)}
        began = time.process_time()
        written, kept = registry_values.apply(content, wanted)
        assert registry_values.undo(written, kept) == content
        return time.process_time() - began

    assert seconds(1_000) < 3 * seconds(1)
