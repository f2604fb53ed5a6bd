"""Values go into the registry and out again, and nobody else's are touched."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shieldwall.agent.host.registry import RegistryValue, ValueKind, decode, encode
from shieldwall.agent.host.registry.model import same_name
from shieldwall.agent.host.registry.operations import DeleteKey, DeleteValue, MakeKey, Operation, SetValue, difference
from shieldwall.agent.providers import registry_values

NAMES = st.sampled_from(["", "Enabled", "enabled", "Path", "C:\\Tools\\*", "Ünder", "groß", "GROSS", "x" * 40])
KEYS = st.sampled_from(["", "Scan", "scan", "Scan\\Deep", "Exclusions\\Paths", "Exclusions"])
VALUES = st.one_of(
    st.builds(RegistryValue.dword, st.integers(0, 2**32 - 1)),
    st.builds(lambda number: RegistryValue(ValueKind.QWORD, number), st.integers(0, 2**64 - 1)),
    st.builds(RegistryValue.text, st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))),
    st.builds(lambda data: RegistryValue(ValueKind.BINARY, data), st.binary(max_size=8)),
    st.builds(
        lambda texts: RegistryValue(ValueKind.MULTI_SZ, tuple(texts)),
        st.lists(st.text("ab\\ ", min_size=1), max_size=3),
    ),
)
Tree = dict[str, dict[str, RegistryValue]]


def whole(entries: dict[tuple[str, str], RegistryValue]) -> Tree:
    """A registry as it can be: every key has those above it, and no two names are alike."""
    tree: Tree = {"": {}}
    for (key, name), value in entries.items():
        parts = key.split("\\") if key else []
        for length in range(1, len(parts) + 1):
            above = "\\".join(parts[:length])
            if same_name(above) not in {same_name(each) for each in tree}:
                tree[above] = {}
        spelled = next(each for each in tree if same_name(each) == same_name(key))
        if same_name(name) not in {same_name(each) for each in tree[spelled]}:
            tree[spelled][name] = value
    return tree


ENTRIES = st.dictionaries(st.tuples(KEYS, NAMES), VALUES, max_size=8)
TREES = ENTRIES.map(whole)


def carry_out(tree: Tree, operations: tuple[Operation, ...]) -> Tree | None:
    """A registry that refuses what a real one refuses."""
    for operation in operations:
        match operation:
            case MakeKey(key):
                assert not key or same_name(key.rpartition("\\")[0]) in {same_name(each) for each in tree}
                tree[key] = {}
            case SetValue(key, name, value):
                held = tree[next(each for each in tree if same_name(each) == same_name(key))]
                held[next((each for each in held if same_name(each) == same_name(name)), name)] = value
            case DeleteValue(key, name):
                del tree[key][name]
            case DeleteKey(key):
                assert tree.pop(key) == {}
                assert not any(not key or each.startswith(f"{key}\\") for each in tree)
    return tree or None


@given(TREES)
def test_a_document_is_read_as_it_was_written(tree: Tree) -> None:
    assert decode(encode(tree)) == tree
    assert encode(decode(encode(tree))) == encode(tree)


@given(st.none() | TREES, st.dictionaries(st.tuples(KEYS, NAMES), VALUES, min_size=1, max_size=5))
def test_values_leave_no_trace(tree: Tree | None, wanted: dict[tuple[str, str], RegistryValue]) -> None:
    content = None if tree is None else encode(tree)
    written, kept = registry_values.apply(content, wanted)
    assert written is not None
    found = registry_values.read(written)
    last = {(same_name(key), same_name(name)): value for (key, name), value in wanted.items()}
    assert {place: found[place] for place in last} == last
    assert registry_values.undo(written, kept) == content


@given(TREES, ENTRIES)
def test_what_others_bring_stays(tree: Tree, wanted: dict[tuple[str, str], RegistryValue]) -> None:
    written, kept = registry_values.apply(encode(tree), wanted)
    changed = decode(written or b"{}")
    foreign = RegistryValue.dword(7)
    changed.setdefault("Theirs", {})["New"] = foreign
    left = registry_values.undo(encode(changed), kept)
    assert left is not None
    assert decode(left) == tree | {"Theirs": {"New": foreign}}


@given(st.none() | TREES, st.none() | TREES)
def test_the_difference_leads_from_one_to_the_other(before: Tree | None, after: Tree | None) -> None:
    reached = carry_out({key: dict(values) for key, values in (before or {}).items()}, difference(before, after))
    assert registry_values.read(encode(reached or {})) == registry_values.read(encode(after or {}))
    assert (reached is None) == (after is None)
    assert difference(after, after) == ()


@given(
    st.none() | TREES,
    st.dictionaries(st.tuples(KEYS, NAMES), st.none() | VALUES, max_size=5),
)
def test_what_shall_not_be_there_is_gone_and_comes_back(
    tree: Tree | None, wanted: dict[tuple[str, str], RegistryValue | None]
) -> None:
    content = None if tree is None else encode(tree)

    written, kept = registry_values.apply(content, wanted)

    found = registry_values.read(written)
    last = {(same_name(key), same_name(name)): value for (key, name), value in wanted.items()}
    assert {place: found.get(place) for place in last} == last
    assert registry_values.undo(written, kept) == content


def test_nothing_that_is_gone_anyway_is_remembered() -> None:
    assert registry_values.apply(None, {("Scan", "Path"): None}) == (None, {})


def test_a_value_gets_the_case_that_is_wanted() -> None:
    tree: Tree = {"": {"path": RegistryValue.dword(1)}}

    reached = carry_out({"": dict(tree[""])}, difference(tree, {"": {"Path": RegistryValue.dword(1)}}))

    assert reached == {"": {"Path": RegistryValue.dword(1)}}
