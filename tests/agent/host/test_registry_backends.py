"""What every backend of the registry does alike: in memory, by Python's winreg, and by reg.exe under Wine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import pytest
from tests.support import wine
from tests.support.fake_winreg import FakeWinreg

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.registry import RegistryBackend, RegistryStore, RegistryValue, ValueKind, decode, encode
from shieldwall.agent.host.registry.operations import DeleteKey, DeleteValue, MakeKey, SetValue
from shieldwall.agent.host.registry.winreg_backend import WinregBackend
from shieldwall.testing.windows.registry import PretendRegistry

GOLDEN = Path(__file__).parents[2] / "providers/golden"
ABOVE = r"HKLM\SOFTWARE"
Tree = dict[str, dict[str, RegistryValue]]

VALUES = {
    "": RegistryValue.text("the default value"),
    "(Default)": RegistryValue.text("not the default value"),
    "number": RegistryValue.dword(2**32 - 1),
    "Zero": RegistryValue.dword(0),
    "long": RegistryValue(ValueKind.QWORD, 2**64 - 1),
    "empty": RegistryValue.text(""),
    "a name with spaces    REG_SZ    in it": RegistryValue.text("  two  spaces  "),
    'quotes " and \\ back\\slashes\\': RegistryValue.text('"C:\\Tools\\"\\'),
    "@": RegistryValue.text("@"),
    "-": RegistryValue.text("-"),
    "Ünder ß €": RegistryValue.text("Grüße, 世界, 😀"),
    "lines": RegistryValue.text("one\r\ntwo\tthree"),
    "expands": RegistryValue(ValueKind.EXPAND_SZ, r"%windir%\x"),
    "several": RegistryValue(ValueKind.MULTI_SZ, ("a", "b c", "\\0")),
    "none of several": RegistryValue(ValueKind.MULTI_SZ, ()),
    "bytes": RegistryValue(ValueKind.BINARY, bytes(range(256))),
    "no bytes": RegistryValue(ValueKind.BINARY, b""),
    "untyped": RegistryValue(ValueKind.NONE, b"\x00\xff\x01"),
    "v2.33|Action=Block|": RegistryValue.text("v2.33|Action=Block|Active=TRUE|Dir=Out|App=C:\\a b.exe|"),
}


def path_of(key: str) -> PurePosixPath:
    return PurePosixPath(*key.split("\\"))


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[wine.Wine]:
    made = wine.made_in(tmp_path_factory.mktemp("wine"))
    yield made
    made.end()


@pytest.fixture(
    params=["memory", "winreg", pytest.param("wine", marks=[pytest.mark.wine, pytest.mark.xdist_group("wine")])]
)
def backend(request: pytest.FixtureRequest) -> RegistryBackend:
    match request.param:
        case "memory":
            registry = PretendRegistry()
            registry.fill(ABOVE, {})
            return registry
        case "winreg":
            module = FakeWinreg()
            module.CreateKeyEx(module.HKEY_LOCAL_MACHINE, "SOFTWARE", 0, module.KEY_READ | module.KEY_WOW64_64KEY)
            return WinregBackend(module)
        case _:
            made: wine.Wine = request.getfixturevalue("windows")
            return made.registry()


@pytest.fixture
def key(request: pytest.FixtureRequest) -> str:
    """A key of this test alone."""
    number = abs(hash(request.node.name)) % 10**8
    return f"{ABOVE}\\Shieldwall Test\\{number} {request.node.originalname[:40]}"


@pytest.fixture
def store(backend: RegistryBackend) -> RegistryStore:
    return RegistryStore(backend)


def test_what_is_not_there_is_told_from_what_is_empty(store: RegistryStore, key: str) -> None:
    assert store.backend.read(key) is None
    store.write(path_of(key), encode({"": {}}))
    assert store.backend.read(key) == {"": {}}


def test_a_tree_is_read_as_it_was_written(store: RegistryStore, key: str) -> None:
    tree: Tree = {"": VALUES, "Sub Key": {}, r"Sub Key\Deep [x]": {"one": RegistryValue.dword(1)}}
    store.write(path_of(key), encode(tree))
    assert store.backend.read(key) == tree
    assert store.read(path_of(key)) == encode(tree)


def test_a_difference_is_carried_out_and_the_rest_stays(store: RegistryStore, key: str) -> None:
    some = ("", "(Default)", "number", "long", "lines", 'quotes " and \\ back\\slashes\\')
    held = {name: VALUES[name] for name in some}
    before: Tree = {"": held, "Gone": {"a": RegistryValue.dword(1)}, r"Gone\Deep": {}}
    after: Tree = {
        "": {name: value for name, value in held.items() if name not in {"", "number"}} | {"New": VALUES["lines"]},
        r"Made": {"A": RegistryValue(ValueKind.BINARY, b"1")},
    }
    store.write(path_of(key), encode(before))
    store.write(path_of(key), encode(after))
    assert decode(store.read(path_of(key)) or b"") == after


def test_taking_everything_away_leaves_no_key(store: RegistryStore, key: str) -> None:
    store.write(path_of(key), encode({"": {"": VALUES[""], "@": VALUES["@"]}, r"A": {}, r"A\B": {"c": VALUES[""]}}))
    store.write(path_of(key), None)
    assert store.backend.read(key) is None


@pytest.mark.parametrize("name", ["windows_edr", "windows_firewall_rules"])
def test_what_providers_write_is_held_as_it_is(store: RegistryStore, key: str, name: str) -> None:
    content = (GOLDEN / f"{name}.json").read_bytes()
    store.write(path_of(key), content)
    assert store.read(path_of(key)) == content


def test_names_are_found_in_any_case(store: RegistryStore, key: str) -> None:
    store.write(path_of(key), encode({"": {"Name": RegistryValue.dword(1)}}))
    store.backend.carry_out(key.upper(), SetValue("", "NAME", RegistryValue.dword(2)))
    assert store.backend.read(key.upper()) == {"": {"Name": RegistryValue.dword(2)}}
    store.backend.carry_out(key, DeleteValue("", "nAmE"))
    assert store.backend.read(key) == {"": {}}


def test_to_take_away_what_is_not_there_is_no_error_and_makes_nothing(store: RegistryStore, key: str) -> None:
    store.backend.carry_out(key, DeleteValue("", "x"))
    store.backend.carry_out(key, DeleteKey(""))
    assert store.backend.read(key) is None


def test_a_key_with_keys_below_is_not_taken_away(store: RegistryStore, key: str) -> None:
    store.backend.carry_out(key, MakeKey(r"A\B"))
    with pytest.raises(HostError):
        store.backend.carry_out(key, DeleteKey("A"))
    assert store.backend.read(key) == {"": {}, "A": {}, r"A\B": {}}


@pytest.mark.parametrize("make", [lambda: WinregBackend(FakeWinreg()), WinregBackend])
def test_elsewhere_there_is_no_registry(make: Callable[[], WinregBackend]) -> None:
    with pytest.raises(HostError):
        make().read(r"HKXX\SOFTWARE")


def test_winreg_is_asked_for_the_64_bit_view_and_leaves_nothing_open() -> None:
    module = FakeWinreg()
    store = RegistryStore(WinregBackend(module))
    store.write(path_of(rf"{ABOVE}\X"), encode({"": VALUES, "Y": {}}))
    store.write(path_of(rf"{ABOVE}\X"), encode({"": {}}))
    assert module.narrow.keys == {}
    assert not any(handle.is_open for handle in module.handles)
