"""Records as text: real ones, made-up ones that have to come back, and anything at all, which must not raise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from shieldwall.agent.edr.events import MOST_OPEN, Assembler, AuditEvent, address_of
from shieldwall.agent.edr.netlink import parse_message
from shieldwall.agent.edr.records import KINDS, Record, arguments_of, decoded, read_line, read_message

RECORDED: Final[dict[str, list[tuple[int, str]]]] = json.loads(
    Path(__file__).with_name("recorded.json").read_text(encoding="utf-8")
)
"""What a real kernel (6.18) said, by what was done."""
NUMBERS: Final = {name: number for number, name in KINDS.items()}
HEAD: Final = "audit(1795673528.615:11): "
plain = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=80)


def events_of(records: list[tuple[int, str]]) -> list[AuditEvent]:
    assembler = Assembler()
    found: list[AuditEvent] = []
    for kind, text in records:
        record = read_message(kind, text.encode("latin-1").decode("utf-8", "backslashreplace"))
        assert record is not None, text
        found += assembler.add(record, 0.0)
    return [*found, *assembler.expired(10.0)]


def as_kernel_writes(text: str) -> str:
    """Write untrusted text as ``audit_log_untrustedstring`` does."""
    raw = text.encode()
    if any(byte == 0x22 or byte < 0x21 or byte > 0x7E for byte in raw):
        return raw.hex().upper()
    return f'"{text}"'


def test_a_file_that_was_made_in_a_directory_is_read_whole() -> None:
    (made,) = [event for event in events_of(RECORDED["scheduleChanged"]) if "shieldwall_edr_persistence" in event.keys]

    assert (made.call, made.success, made.executable, made.program) == ("openat", True, "/usr/bin/bash", "bash")
    assert (made.uid, made.effective_uid, made.login_uid, made.directory) == (0, 0, None, "/etc")
    assert [(path.name, path.kind) for path in made.paths] == [("cron.d/", "PARENT"), ("cron.d/evil job", "CREATE")]
    assert made.at == 1795673528.615 or made.at > 1_700_000_000


def test_an_argument_that_is_cut_into_pieces_comes_back_whole() -> None:
    long = next(event for event in events_of(RECORDED["longArgument"]) if len(event.arguments) == 4)

    assert long.arguments[:3] == ("bash", "-c", "exit 0")
    assert long.arguments[3] == "ä" * (len(long.arguments[3]))
    assert len(long.arguments[3]) > 4_000


def test_connections_and_targets_of_signals_are_named() -> None:
    (connected,) = [event for event in events_of(RECORDED["connection"]) if event.call == "connect"]
    assert (connected.address, connected.port, connected.success) == ("127.0.0.1", 9, False)
    (killed,) = events_of(RECORDED["killed"])
    assert (killed.call, killed.target) == ("kill", "sleep")
    assert killed.target_pid


def test_a_change_of_the_audit_system_keeps_what_it_says_beside_the_call() -> None:
    changes = [event for event in events_of(RECORDED["auditRulesRemoved"]) if "CONFIG_CHANGE" in event.kinds]
    assert {event.said["op"] for event in changes} == {"remove_rule"}
    assert {event.executable for event in changes} == {"/usr/sbin/auditctl"}


def test_every_recorded_call_is_named() -> None:
    for records in RECORDED.values():
        assert all(not event.call.isdigit() for event in events_of(records))


def test_a_line_of_the_log_and_of_the_dispatcher_says_the_same_as_the_kernel() -> None:
    text = 'arch=c000003e syscall=59 success=yes exit=0 pid=7 auid=1000 comm="a b" key=(null)'
    line = f'type=SYSCALL msg={HEAD}{text}\x1dARCH=x86_64 SYSCALL=execve AUID="root"\n'

    assert read_line(line) == read_line(f"node=web-01 {line}") == read_message(1300, HEAD + text)
    assert read_line("type=DAEMON_START") is None
    assert read_line("anything") is None


def test_what_a_program_told_is_read_as_well() -> None:
    record = read_message(1112, HEAD + "pid=9 uid=0 auid=4294967295 msg='op=login acct=\"root\" res=failed'")

    assert record is not None
    assert (record.kind, record.fields["op"], record.fields["acct"]) == ("USER_LOGIN", "login", "root")


@given(arguments=st.lists(plain, min_size=1, max_size=6))
def test_any_arguments_come_back(arguments: list[str]) -> None:
    said = " ".join(f"a{number}={as_kernel_writes(each)}" for number, each in enumerate(arguments))
    record = read_message(NUMBERS["EXECVE"], f"{HEAD}argc={len(arguments)} {said}")

    assert record is not None
    expected = tuple(each for each in arguments)
    found = arguments_of(record.fields)
    for was, there in zip(expected, found, strict=True):
        # A bare word of hexadecimal digits stands in quotes, so only control characters can differ.
        assert there == was


@given(text=plain, size=st.integers(1, 7))
def test_pieces_may_be_cut_anywhere(text: str, size: int) -> None:
    raw = (text + "\x01").encode()
    pieces = [raw[start : start + size].hex().upper() for start in range(0, len(raw), size)]
    records = [f"a0[{number}]={piece}" for number, piece in enumerate(pieces)]
    fields: dict[str, str] = {}
    for each in records:
        record = read_message(NUMBERS["EXECVE"], f"{HEAD}{each}")
        assert record is not None
        fields |= record.fields

    assert arguments_of(fields) == (text + "\x01",)


@given(name=plain, directory=plain)
def test_any_names_come_back(name: str, directory: str) -> None:
    path = read_message(1302, f"{HEAD}item=0 name={as_kernel_writes(name)} nametype=CREATE")
    cwd = read_message(1307, f"{HEAD}cwd={as_kernel_writes(directory)}")

    assert path is not None
    assert cwd is not None
    assert path.fields["name"] == name
    assert cwd.fields["cwd"] == directory


@given(kind=st.integers(1000, 2000), text=st.text(max_size=200) | st.builds(HEAD.__add__, st.text(max_size=200)))
def test_nothing_that_is_said_makes_it_fail(kind: int, text: str) -> None:
    record = read_message(kind, text)
    if record is not None:
        assembler = Assembler()
        for _ in [*assembler.add(record, 0.0), *assembler.expired(9.0)]:
            pass
        assert assembler.is_empty
    read_line(text)
    decoded(text)
    address_of(text)


@given(data=st.binary(max_size=64))
def test_no_datagram_makes_it_fail(data: bytes) -> None:
    message = parse_message(data)
    assert (message is None) == (len(data) < 16)


@given(serials=st.lists(st.integers(1, 5_000), max_size=1_500))
def test_events_whose_end_was_lost_do_not_pile_up(serials: list[int]) -> None:
    assembler, found = Assembler(), 0
    for serial in serials:
        record = Record(kind="SYSCALL", at=1.0, serial=serial, fields={"syscall": "59"})
        found += len(list(assembler.add(record, 0.0)))
        assert found >= len(set(serials[: serials.index(serial) + 1])) - MOST_OPEN - len(serials)
    rest = list(assembler.expired(10.0))
    assert len(rest) <= MOST_OPEN
    assert found + len(rest) >= len(set(serials))
