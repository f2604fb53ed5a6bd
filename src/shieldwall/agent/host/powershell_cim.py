"""``Cim`` by way of PowerShell: one process for each question, bounded in time and in what it may say."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from shieldwall.agent.host.cim import CimError, CimValue, LanguageModeError, Properties
from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.ports import Host
from shieldwall.agent.host.powershell_script import ARGUMENTS
from shieldwall.contract import strict_json
from shieldwall.contract.errors import InvalidJsonError

PROGRAMS: Final = ("powershell.exe", "powershell")
"""Windows PowerShell, which is a part of Windows; the newer ``pwsh`` is not everywhere."""
SECONDS: Final = 60.0
_START_SECONDS: Final = 30.0
"""A busy machine may need so long to start the program."""
_DEPTH: Final = 16
_MOST_INSTANCES: Final = 50_000
_LONGEST: Final = 512
_LONGEST_NUMBER: Final = 20
_GENERIC: Final = frozenset({0x80131500, 0x80131501, 0x80131600, 0x80131604, 0x80004005})
"""Numbers that only say that something went wrong."""
_NATIVE: Final = {
    2: 0x80041003,
    3: 0x8004100E,
    4: 0x80070057,
    5: 0x80041010,
    6: 0x80041002,
    7: 0x8004100C,
    16: 0x80041055,
    17: 0x8004102E,
}
"""CIM's own errors as WMI numbers them. Sources: DMTF DSP0200 and Microsoft, *WMI Error Constants*."""
_HRESULT: Final = re.compile(r"0x([0-9A-Fa-f]{1,8})")
_NUMBERS: Final = 1 << 32
_LONG_NUMBER: Final = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|(?<![\d.eE+-])-?\d{16,}+(?![.eE])', re.DOTALL)
"""A text, which is passed over, or a number that may be longer than strict JSON has them: CIM's have 64 bits."""


class PowerShellCim(Struct, frozen=True):
    """Asks the machine behind a ``Host``."""

    host: Host

    def instances(self, namespace: str, class_name: str, **options: str) -> Sequence[Properties]:
        """See ``Cim.instances``. Raises: CimError."""
        answer = self._ask({"verb": "instances", "namespace": namespace, "class": class_name, "options": options})
        return parse_instances(answer)

    def invoke(self, namespace: str, class_name: str, method: str, arguments: Properties) -> Properties:
        """See ``Cim.invoke``. Raises: CimError."""
        request = {"verb": "invoke", "namespace": namespace, "class": class_name, "method": method, "options": {}}
        return parse_out(self._ask({**request, "arguments": dict(arguments)}))

    def _ask(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        program = next((found for name in PROGRAMS if (found := self.host.find_program(name)) is not None), None)
        if program is None:
            raise CimError("Windows PowerShell is not on this device.")
        stdin = json.dumps({**request, "seconds": SECONDS}, ensure_ascii=True).encode("ascii") + b"\n"
        try:
            done = self.host.run([program, *ARGUMENTS], stdin=stdin, timeout_seconds=SECONDS + _START_SECONDS)
        except HostError as error:
            raise CimError(f"PowerShell does not answer: {error.cause}"[:_LONGEST]) from error
        if done.returncode != 0:
            said = " ".join(done.stderr[-_LONGEST:].decode(errors="replace").split())
            raise CimError(f"PowerShell ended with {done.returncode}: {said}"[:_LONGEST])
        return parse(done.stdout)


def parse(output: bytes) -> Mapping[str, Any]:
    """Read what the script printed. Pure.

    Raises:
        LanguageModeError: It could do nothing, because the language is constrained.
        CimError: Windows refused what was asked, or this is no answer of the script.
    """
    try:
        plain = _LONG_NUMBER.sub(_quoted, output.removeprefix(b"\xef\xbb\xbf").strip())
        answer = strict_json.decode_any(plain, max_depth=_DEPTH)
    except InvalidJsonError as error:
        raise CimError(f"PowerShell's answer makes no sense: {error.cause}"[:_LONGEST]) from None
    if not isinstance(answer, dict):
        raise CimError("PowerShell's answer makes no sense: it is no object.")
    if "languageMode" in answer:
        raise LanguageModeError(f"PowerShell runs in {str(answer['languageMode'])[:64]} mode here.")
    if "error" in answer:
        raise _refusal(answer["error"])
    return answer


def _quoted(found: re.Match[bytes]) -> bytes:
    """Make a text of a number that is too long: it would take the whole answer along."""
    word = found[0]
    is_long = not word.startswith(b'"') and (len(word) > _LONGEST_NUMBER or abs(int(word)) > strict_json.MAX_INTEGER)
    return b'"%b"' % word if is_long else word


def parse_instances(answer: Mapping[str, Any]) -> Sequence[Properties]:
    """Return the instances of an answer. Pure. Raises: CimError: there are none in it, or too many."""
    rows = answer.get("instances")
    if not isinstance(rows, list) or len(rows) > _MOST_INSTANCES:
        raise CimError("PowerShell's answer makes no sense: no instances, or far too many.")
    if not all(isinstance(row, dict) for row in rows):
        raise CimError("PowerShell's answer makes no sense: an instance is no object.")
    return tuple({name: _plain(value) for name, value in row.items()} for row in rows)


def parse_out(answer: Mapping[str, Any]) -> Properties:
    """Return the out parameters of a method. Pure. Raises: CimError: it returned another number than 0."""
    out = answer.get("out")
    if not isinstance(out, dict):
        raise CimError("PowerShell's answer makes no sense: nothing came back from the method.")
    returned = out.get("ReturnValue")
    if isinstance(returned, int) and not isinstance(returned, bool) and returned != 0:
        raise CimError("The method was refused.", status=returned % _NUMBERS)
    return {name: _plain(value) for name, value in out.items()}


def _refusal(error: object) -> CimError:
    if not isinstance(error, dict):
        return CimError("PowerShell's answer makes no sense: an error is no object.")
    message = " ".join(str(error.get("message") or "Windows gives no reason.").split())[:_LONGEST]
    return CimError(message, status=status_of(error))


def status_of(error: Mapping[str, Any]) -> int:
    """Return the most exact number that an error carries: in its id or status, CIM's own, or .NET's. Pure."""
    named = _HRESULT.search(str(error.get("id") or ""))
    candidates = (
        int(named[1], 16) if named else 0,
        _number(error.get("status")),
        _NATIVE.get(_number(error.get("native")), 0),
        _number(error.get("hresult")),
    )
    return next((number for number in candidates if number > 1 and number not in _GENERIC), 0)


def _number(value: object) -> int:
    """Return a number as 32 bits without sign, 0 where it is none: .NET counts HRESULTs below zero."""
    return value % _NUMBERS if isinstance(value, int) and not isinstance(value, bool) else 0


def _plain(value: Any) -> CimValue:
    if isinstance(value, list):
        return tuple(_plain(each) for each in value)
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)
