"""Python's module ``winreg`` as its documentation describes it, over a dictionary.

What it holds to: keys and names in any case; an index beyond the end is WinError 259; a key that is not there is
``FileNotFoundError``, one that was opened without the right ``PermissionError``; ``None`` for data of no length; a NUL
in what is asked for is a ``ValueError``; ``DeleteKeyEx`` takes a key with values, and none with keys below; without
``KEY_WOW64_64KEY`` it is another registry.
"""

# ruff: noqa: N802, A002, TRY004 - names and errors are those of the module
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Self, TypeVar

HKEY_LOCAL_MACHINE: Final = "HKEY_LOCAL_MACHINE"
T = TypeVar("T")

_TYPES: Final = {0: (bytes,), 1: (str,), 2: (str,), 3: (bytes,), 4: (int,), 7: (list,), 11: (int,)}


@dataclass
class Key:
    name: str
    values: dict[str, tuple[str, int, Any]] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)


class Handle:
    def __init__(self, key: Key, access: int) -> None:
        self.key, self.access, self.is_open = key, access, True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.is_open = False


class FakeWinreg:
    KEY_READ = 0x20019
    KEY_SET_VALUE = 0x2
    KEY_CREATE_SUB_KEY = 0x4
    KEY_WOW64_64KEY = 0x100
    HKEY_LOCAL_MACHINE = HKEY_LOCAL_MACHINE

    def __init__(self) -> None:
        self.wide, self.narrow = Key(""), Key("")
        self.handles: list[Handle] = []

    def OpenKey(self, key: Any, sub_key: str, reserved: int, access: int) -> Handle:
        assert reserved == 0
        found = self._find(key, sub_key, access)
        if found is None:
            raise FileNotFoundError(2, "The system cannot find the file specified")
        return self._handle(found, access)

    def CreateKeyEx(self, key: Any, sub_key: str, reserved: int, access: int) -> Handle:
        assert reserved == 0
        found = self._root(key, access)
        for part in sub_key.split("\\"):
            found = found.keys.setdefault(part.upper(), Key(part))
        return self._handle(found, access)

    def QueryInfoKey(self, key: Handle) -> tuple[int, int, int]:
        found = self._used(key, self.KEY_READ)
        return len(found.keys), len(found.values), 0

    def EnumKey(self, key: Handle, index: int) -> str:
        return self._at([each.name for each in self._used(key, self.KEY_READ).keys.values()], index)

    def EnumValue(self, key: Handle, index: int) -> tuple[str, Any, int]:
        name, number, data = self._at(list(self._used(key, self.KEY_READ).values.values()), index)
        return name, (data or None) if isinstance(data, bytes) else data, number

    def SetValueEx(self, key: Handle, value_name: str, reserved: int, type: int, value: Any) -> None:
        assert reserved == 0
        if not isinstance(value, _TYPES.get(type, (bytes,))) or isinstance(value, bool):
            raise ValueError("Could not convert the data to the specified type.")
        held = self._used(key, self.KEY_SET_VALUE).values
        name = held.get(value_name.upper(), (value_name, 0, None))[0]
        held[value_name.upper()] = (name, type, value)

    def DeleteValue(self, key: Handle, value: str) -> None:
        if self._used(key, self.KEY_SET_VALUE).values.pop(value.upper(), None) is None:
            raise FileNotFoundError(2, "The system cannot find the file specified")

    def DeleteKeyEx(self, key: Any, sub_key: str, access: int, reserved: int) -> None:
        assert reserved == 0
        above, _, name = sub_key.rpartition("\\")
        parent = self._find(key, above, access)
        if parent is None or name.upper() not in parent.keys:
            raise FileNotFoundError(2, "The system cannot find the file specified")
        if parent.keys[name.upper()].keys:
            raise PermissionError(13, "Access is denied")
        del parent.keys[name.upper()]

    def _root(self, key: Any, access: int) -> Key:
        assert key == HKEY_LOCAL_MACHINE
        return self.wide if access & self.KEY_WOW64_64KEY else self.narrow

    def _find(self, key: Any, sub_key: str, access: int) -> Key | None:
        if "\0" in sub_key:
            raise ValueError("embedded null character")
        found: Key | None = self._root(key, access)
        for part in sub_key.split("\\") if sub_key else ():
            found = None if found is None else found.keys.get(part.upper())
        return found

    def _handle(self, key: Key, access: int) -> Handle:
        self.handles.append(Handle(key, access))
        return self.handles[-1]

    def _used(self, handle: Handle, right: int) -> Key:
        assert handle.is_open
        if handle.access & right != right:
            raise PermissionError(13, "Access is denied")
        return handle.key

    def _at(self, entries: list[T], index: int) -> T:
        if index >= len(entries):
            raise OSError(22, "No more data is available")
        return entries[index]
