"""What the kernel and files of others say, read back whatever they hold."""

from __future__ import annotations

import shlex
from pathlib import PurePosixPath

from hypothesis import given
from hypothesis import strategies as st

from shieldwall.agent.providers.hardening.knobs import KNOB_RULES, knobs_of
from shieldwall.agent.providers.hardening.mount_plan import MountPlan, is_fit, script
from shieldwall.agent.providers.hardening.mountinfo import Mount, binds_itself, containing, parse, visible
from shieldwall.agent.providers.hardening.sysctl_files import sysctl_file, values_in

_NAMES = st.text(st.characters(min_codepoint=32, exclude_characters="/\x7f", exclude_categories=["Cs"]), min_size=1)
_PATHS = (
    st.lists(_NAMES, max_size=4)
    .map(lambda parts: PurePosixPath("/", *parts))
    .filter(lambda path: ".." not in path.parts)
)
_FLAGS = st.sets(st.sampled_from(["rw", "ro", "nosuid", "nodev", "noexec", "relatime", "noatime"]), min_size=1)


def line_of(target: PurePosixPath, flags: set[str], number: int = 2, parent: int = 1) -> bytes:
    escaped = str(target).replace("\\", "\\134").replace(" ", "\\040").replace("\t", "\\011").replace("\n", "\\012")
    return f"{number} {parent} 8:1 / {escaped} {','.join(sorted(flags))} shared:1 - ext4 /dev/sda1 rw".encode()


@given(target=_PATHS, flags=_FLAGS)
def test_a_line_of_mountinfo_is_read_as_it_was_meant(target: PurePosixPath, flags: set[str]) -> None:
    (mount,) = parse(line_of(target, flags) + b"\n")

    assert (mount.target, set(mount.flags), mount.device) == (target, flags, "8:1")


@given(st.binary(max_size=200))
def test_anything_else_is_passed_over(content: bytes) -> None:
    parse(content)
    values_in(content)


@given(flags=_FLAGS, wanted=st.sets(st.sampled_from(["nosuid", "nodev", "noexec"])))
def test_options_say_every_restriction_either_way(flags: set[str], wanted: set[str]) -> None:
    (mount,) = parse(line_of(PurePosixPath("/x"), flags))

    words = mount.options(frozenset(flags | wanted)).split(",")

    assert {"noexec", "nosuid", "nodev"} & set(words) == {"noexec", "nosuid", "nodev"} & (flags | wanted)
    assert len([word for word in words if word in {"exec", "noexec"}]) == 1
    assert ("ro" in words) == ("ro" in flags)


def test_the_topmost_mount_counts_and_holds_what_lies_below() -> None:
    mounts = parse(
        b"\n".join(
            [
                line_of(PurePosixPath("/"), {"rw"}, number=1, parent=0),
                line_of(PurePosixPath("/home"), {"rw"}, number=2),
                line_of(PurePosixPath("/home"), {"rw", "noexec"}, number=3, parent=2),
            ]
        )
    )

    assert visible(mounts)[PurePosixPath("/home")].id == 3
    found = containing(mounts, PurePosixPath("/home/anna/x"))
    assert found is not None
    assert found.id == 3


def test_a_directory_mounted_on_itself_is_known_by_its_place_in_its_file_system() -> None:
    root = Mount(
        id=1, parent=0, device="8:1", root=PurePosixPath("/sub"), target=PurePosixPath("/"), flags=frozenset(), line=b""
    )
    own = Mount(
        id=2,
        parent=1,
        device="8:1",
        root=PurePosixPath("/sub/home"),
        target=PurePosixPath("/home"),
        flags=frozenset(),
        line=b"",
    )
    other = Mount(
        id=3,
        parent=1,
        device="8:1",
        root=PurePosixPath("/sub/x"),
        target=PurePosixPath("/y"),
        flags=frozenset(),
        line=b"",
    )

    assert binds_itself((root, own, other), own)
    assert not binds_itself((root, own, other), other)


@given(
    st.dictionaries(
        st.sampled_from(["kernel/kptr_restrict", "net/ipv4/conf/*/accept_redirects", "vm/swappiness"]),
        st.integers(0, 99).map(str),
    )
)
def test_a_file_of_values_is_read_back(values: dict[str, str]) -> None:
    assert values_in(sysctl_file(values)) == values


def test_other_notations_of_a_value_are_understood_and_the_last_word_counts() -> None:
    content = (
        b"# kernel.x = 1\n; y = 2\nkernel/a.b = 1\nnet.ipv4.conf.eth0/7.x=3\n -kernel.c =5 \nkernel.c = 6\nnonsense\n"
    )

    assert values_in(content) == {"kernel/a.b": "1", "net/ipv4/conf/eth0/7/x": "3", "kernel/c": "6"}


@given(rule=st.sampled_from(sorted(KNOB_RULES)), found=st.integers(-5, 10).map(str))
def test_the_stronger_of_two_values_is_strong_enough_and_stays_so(rule: str, found: str) -> None:
    for knob in knobs_of(rule, {}):
        chosen = knob.stronger(found)
        assert knob.is_enough(chosen)
        assert knob.stronger(chosen) == chosen
        assert chosen in {found, knob.value}


@given(paths=st.lists(_PATHS.filter(lambda path: is_fit(str(path))), min_size=1, max_size=3, unique=True))
def test_the_script_names_directories_so_that_a_shell_reads_them_as_they_are(paths: list[PurePosixPath]) -> None:
    lines = script(MountPlan(flags=dict.fromkeys(paths, frozenset({"noexec"})))).decode().split("\n")

    called = [shlex.split(line) for line in lines if line.startswith("hold ")]
    assert {PurePosixPath(words[2]) for words in called if len(words) == 3} == set(paths)
