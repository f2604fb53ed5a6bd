"""Windows asked through PowerShell: what goes in, and whatever may come out."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.memory_host import MemoryHost

from shieldwall.agent.host.cim import DEFENDER, CimError, LanguageModeError
from shieldwall.agent.host.errors import ProgramError
from shieldwall.agent.host.ports import Completed
from shieldwall.agent.host.powershell_cim import PowerShellCim, parse, parse_instances, parse_out, status_of
from shieldwall.agent.host.powershell_script import SCRIPT

CLASS = "MSFT_MpPreference"


class Shell:
    """Stands for the program: keeps what it was given and says what it was told to."""

    def __init__(self, answer: Any, *, returncode: int = 0, stderr: bytes = b"") -> None:
        self.answer = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.returncode, self.stderr = returncode, stderr
        self.words: Sequence[str] = ()
        self.request: Any = None

    def __call__(self, words: Sequence[str], stdin: bytes) -> Completed:
        assert stdin.isascii()  # no code page of the machine matters
        assert stdin.count(b"\n") == 1
        self.words, self.request = words, json.loads(stdin)
        return Completed(returncode=self.returncode, stdout=self.answer, stderr=self.stderr)

    @property
    def cim(self) -> PowerShellCim:
        return PowerShellCim(MemoryHost(programs={"powershell.exe": self}))


def test_instances_are_asked_with_options_and_come_back_plain() -> None:
    shell = Shell({"instances": [{"Name": "one", "List": ["a", 2, None], "Inner": {"x": 1.5}}]})

    rows = shell.cim.instances(DEFENDER, CLASS, PolicyStore="ActiveStore")

    assert rows == ({"Name": "one", "List": ("a", 2, None), "Inner": {"x": 1.5}},)
    assert shell.request == {
        "verb": "instances",
        "namespace": DEFENDER,
        "class": CLASS,
        "options": {"PolicyStore": "ActiveStore"},
        "seconds": 60.0,
    }


@given(value=st.text() | st.lists(st.text()))
def test_nothing_that_is_asked_reaches_the_script(value: str | list[str]) -> None:
    shell = Shell({"out": {"ReturnValue": 0}})

    shell.cim.invoke(DEFENDER, CLASS, "Add", {"ExclusionPath": value})

    assert shell.request["arguments"] == {"ExclusionPath": value}
    assert base64.b64decode(shell.words[-1]).decode("utf-16-le") == SCRIPT
    assert {"-NoProfile", "-NonInteractive", "-EncodedCommand"} <= set(shell.words)


def test_out_parameters_come_back() -> None:
    assert Shell({"out": {"ReturnValue": 0, "Id": "x"}}).cim.invoke(DEFENDER, CLASS, "Set", {}) == {
        "ReturnValue": 0,
        "Id": "x",
    }


@pytest.mark.parametrize(("returned", "status"), [(0x800106BA, 0x800106BA), (-2147023174, 0x800706BA), (1, 1)])
def test_a_method_that_returns_another_number_was_refused(returned: int, status: int) -> None:
    with pytest.raises(CimError) as caught:
        parse_out({"out": {"ReturnValue": returned}})

    assert caught.value.status == status


def test_a_constrained_language_is_named() -> None:
    with pytest.raises(LanguageModeError, match="ConstrainedLanguage"):
        Shell(b'{"languageMode":"ConstrainedLanguage"}\r\n').cim.instances(DEFENDER, CLASS)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        ({"id": "HRESULT 0x800106ba", "status": 1, "native": 1, "hresult": -2146233088}, 0x800106BA),
        ({"id": "", "status": 2147942487, "native": 1}, 0x80070057),
        ({"native": 3}, 0x8004100E),
        ({"native": 5, "hresult": -2146233088}, 0x80041010),
        ({"hresult": -2147024809}, 0x80070057),
        ({"hresult": -2146233088}, 0),
        ({"status": "many", "native": True}, 0),
        ({"status": 65000}, 65000),
        ({}, 0),
    ],
)
def test_the_most_exact_number_counts(error: dict[str, Any], status: int) -> None:
    assert status_of(error) == status


def test_what_windows_says_is_the_cause() -> None:
    with pytest.raises(CimError, match=r"The service has stopped\. \(0x800106ba\)") as caught:
        Shell({"error": {"message": "The service\r\nhas stopped.", "id": "HRESULT 0x800106ba"}}).cim.instances(
            DEFENDER, CLASS
        )

    assert caught.value.status == 0x800106BA


def test_a_program_that_fails_or_is_not_there_is_a_refusal() -> None:
    with pytest.raises(CimError, match="ended with 1: blocked by policy"):
        Shell(b"", returncode=1, stderr=b"blocked\r\nby policy").cim.instances(DEFENDER, CLASS)
    with pytest.raises(CimError, match="not on this device"):
        PowerShellCim(MemoryHost()).instances(DEFENDER, CLASS)


def test_a_program_that_does_not_end_is_a_refusal() -> None:
    def forever(words: Sequence[str], stdin: bytes) -> Completed:
        del words, stdin
        raise ProgramError("powershell.exe did not end within 90 seconds.")

    with pytest.raises(CimError, match=r"does not answer: powershell\.exe did not end"):
        PowerShellCim(MemoryHost(programs={"powershell.exe": forever})).instances(DEFENDER, CLASS)


@pytest.mark.parametrize(
    "output",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b'{"instances": {}}',
        b'{"instances": [1]}',
        b'{"instances": null}',
        b'{"error": []}',
        b'{"instances": [{"a": 1, "a": 2}]}',
        b'{"instances": [' + b"[" * 500 + b"]" * 500 + b"]}",
        b"\xff\xfe{\x00",
        b'{"instances": [{"a": NaN}]}',
        b"Windows PowerShell\r\nCopyright (C) Microsoft",
    ],
)
def test_an_answer_that_is_none_is_refused(output: bytes) -> None:
    with pytest.raises(CimError):
        parse_instances(parse(output))


@given(output=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_whatever_is_printed_is_an_answer_or_a_refusal(output: bytes) -> None:
    for read in (parse_instances, parse_out):
        with contextlib.suppress(CimError):  # and nothing else is ever raised
            assert isinstance(read(parse(output)), tuple | dict)


def test_a_mark_at_the_beginning_does_no_harm() -> None:
    assert parse_instances(parse(b'\xef\xbb\xbf{"instances": []}\r\n')) == ()


def test_the_script_asks_for_no_language_that_is_constrained_before_it_knows() -> None:
    before = SCRIPT.partition("exit 0")[0]

    assert "::" not in before
    assert "New-Object" not in before
    assert ".ToString(" not in before


@pytest.mark.parametrize("number", [2**64 - 1, -(2**63), 2**53])
def test_a_number_of_64_bits_comes_as_text_and_takes_nothing_along(number: int) -> None:
    row = {"Max": number, "Name": f"a {number} \\", "Size": 2**53 - 1, "List": [number, 1.2345678901234567]}
    (found,) = parse_instances(parse(json.dumps({"instances": [row]}).encode()))
    assert found == {**row, "Max": str(number), "List": (str(number), 1.2345678901234567)}


def test_a_number_without_end_is_read_in_no_time() -> None:
    (found,) = parse_instances(parse(b'{"instances":[{"Max":' + b"9" * 1_000_000 + b"}]}"))
    assert found == {"Max": "9" * 1_000_000}
