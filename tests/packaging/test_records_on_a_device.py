"""Records that a device loads are structs: a dataclass takes six times the memory, and is compiled at each start."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import shieldwall

_ROOT: Final = Path(shieldwall.__file__).parent
_ON_A_DEVICE: Final = ("contract", "catalog", "policy", "trust", "agent")
_CANNOT: Final = {
    "Asked",
    "DeviceKey",
    "Fleet",
    "Handing",
    "Memory",
    "MembershipRule",
    "SocketApplier",
    "WindowsAgent",
    "WindowsDefenderProvider",
}
"""Have a field that is not shown, not compared or not an argument, or a value that is worked out once and kept."""


def test_records_on_a_device_are_structs_wherever_a_struct_can_say_what_they_are() -> None:
    found = {name for part in _ON_A_DEVICE for path in (_ROOT / part).rglob("*.py") for name in dataclasses_in(path)}

    assert found == _CANNOT


def dataclasses_in(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef) and any("dataclass" in ast.unparse(each) for each in node.decorator_list):
            yield node.name
