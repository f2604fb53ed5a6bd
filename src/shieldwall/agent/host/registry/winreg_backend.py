"""The registry by Python's own ``winreg``, on Windows itself; the 64-bit view, whatever the interpreter is.

Source: Python, *winreg — Windows registry access*; Microsoft, *Registry Functions*.
"""

from __future__ import annotations

import errno
import importlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol, TypeVar, cast

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.registry.model import RegistryValue, Tree, ValueKind
from shieldwall.agent.host.registry.operations import DeleteKey, DeleteValue, MakeKey, Operation, SetValue
from shieldwall.agent.host.registry.reg_exe import whole_key
from shieldwall.agent.host.registry.reg_file import KINDS, number_of

T = TypeVar("T")

MOST_KEYS: Final = 20_000
"""More keys are no part that anybody writes by hand."""


class Handle(AbstractContextManager["Handle"], Protocol):
    """An open key, closed at the end of a ``with``."""


class Winreg(Protocol):
    """What is used of the module ``winreg``."""

    KEY_READ: int
    KEY_SET_VALUE: int
    KEY_CREATE_SUB_KEY: int
    KEY_WOW64_64KEY: int

    def OpenKey(self, key: Any, sub_key: str, reserved: int, access: int) -> Handle:  # noqa: N802 - as the module
        """Open a key."""

    def CreateKeyEx(self, key: Any, sub_key: str, reserved: int, access: int) -> Handle:  # noqa: N802
        """Open a key, and make it with those above it."""

    def QueryInfoKey(self, key: Any) -> tuple[int, int, int]:  # noqa: N802
        """Count keys and values, and tell when it changed."""

    def EnumKey(self, key: Any, index: int) -> str:  # noqa: N802
        """Name a key below."""

    def EnumValue(self, key: Any, index: int) -> tuple[str, Any, int]:  # noqa: N802
        """Return name, data and type."""

    def SetValueEx(self, key: Any, value_name: str, reserved: int, type: int, value: Any) -> None:  # noqa: A002, N802
        """Set a value."""

    def DeleteValue(self, key: Any, value: str) -> None:  # noqa: N802
        """Take a value away."""

    def DeleteKeyEx(self, key: Any, sub_key: str, access: int, reserved: int) -> None:  # noqa: N802
        """Take a key without keys below away."""


def winreg() -> Winreg:
    """Return the module of this interpreter. Raises: HostError: It has none, because this is not Windows."""
    try:
        return cast("Winreg", importlib.import_module("winreg"))
    except ImportError:
        raise HostError("This is not Windows: there is no registry here.") from None


class WinregBackend:
    """Implements ``RegistryBackend``."""

    def __init__(self, module: Winreg | None = None) -> None:
        """``module`` is ``winreg`` itself where it is left out."""
        self._winreg = winreg() if module is None else module

    def read(self, key: str) -> Tree | None:
        """See ``RegistryBackend.read``. Raises: HostError."""
        tree: dict[str, dict[str, RegistryValue]] = {}
        waiting = [""]
        while waiting:
            below = waiting.pop()
            try:
                with self._open(_joined(key, below), self._winreg.KEY_READ) as handle:
                    keys, values, _ = self._winreg.QueryInfoKey(handle)
                    tree[below] = dict(self._values(handle, values))
                    waiting += [_joined(below, name) for name in self._keys(handle, keys)]
            except FileNotFoundError:
                if not below:
                    return None  # one further down was deleted meanwhile, which is no different from an instant later
            except OSError as error:
                raise HostError(f"{_joined(key, below)} cannot be read: {error.strerror or error}.") from None
            if len(tree) + len(waiting) > MOST_KEYS:
                raise HostError(f"{key} holds more than {MOST_KEYS} keys.")
        return tree

    def look(self, key: str) -> Tree | None:
        """See ``LooksAtOneKey.look``. Raises: HostError."""
        try:
            with self._open(key, self._winreg.KEY_READ) as handle:
                keys, values, _ = self._winreg.QueryInfoKey(handle)
                below = self._keys(handle, keys)
                return {"": dict(self._values(handle, values)), **{name: {} for name in below}}
        except FileNotFoundError:
            return None
        except OSError as error:
            raise HostError(f"{key} cannot be read: {error.strerror or error}.") from None

    def carry_out(self, key: str, operation: Operation) -> None:
        """See ``RegistryBackend.carry_out``. Raises: HostError."""
        place = _joined(key, operation.key)
        try:
            self._carry_out(place, operation)
        except OSError as error:
            raise HostError(f"{place}: {error.strerror or error}.") from None

    def _carry_out(self, place: str, operation: Operation) -> None:
        module = self._winreg
        match operation:
            case MakeKey():
                hive, sub_key = self._parted(place)
                module.CreateKeyEx(hive, sub_key, 0, module.KEY_READ | module.KEY_WOW64_64KEY).__exit__(
                    None, None, None
                )
            case SetValue(_, name, value):
                with self._open(place, module.KEY_SET_VALUE) as handle:
                    module.SetValueEx(handle, name, 0, number_of(value), _as_given(value))
            case DeleteValue(_, name):
                try:
                    with self._open(place, module.KEY_SET_VALUE) as handle:
                        module.DeleteValue(handle, name)
                except FileNotFoundError:
                    return
            case DeleteKey():
                self._delete(place)

    def _delete(self, place: str) -> None:
        module = self._winreg
        try:
            with self._open(place, module.KEY_READ) as handle:
                keys, values, _ = module.QueryInfoKey(handle)
            if keys or values:  # a key with values would be taken away with them
                raise HostError(f"{place}: The key is not empty.")
            hive, sub_key = self._parted(place)
            module.DeleteKeyEx(hive, sub_key, module.KEY_WOW64_64KEY, 0)
        except FileNotFoundError:
            return

    def _open(self, key: str, access: int) -> Handle:
        hive, sub_key = self._parted(key)
        return self._winreg.OpenKey(hive, sub_key, 0, access | self._winreg.KEY_WOW64_64KEY)

    def _parted(self, key: str) -> tuple[Any, str]:
        hive, _, sub_key = whole_key(key).partition("\\")
        return getattr(self._winreg, hive), sub_key

    def _keys(self, handle: Handle, count: int) -> list[str]:
        """Name the keys below, but for those with a NUL in it: no program that is not of the kernel can open such."""
        names = _each(lambda index: self._winreg.EnumKey(handle, index), count)
        return [name for name in names if "\0" not in name]

    def _values(self, handle: Handle, count: int) -> Iterator[tuple[str, RegistryValue]]:
        for name, data, number in _each(lambda index: self._winreg.EnumValue(handle, index), count):
            kind = KINDS.get(number)
            if kind is None:
                yield name, RegistryValue.other(number, bytes(data or b""))
            else:
                yield name, RegistryValue(kind, _as_held(kind, data))


def _each(ask: Callable[[int], T], count: int) -> Iterator[T]:
    """Yield what there is, at most so many: some may have gone since they were counted."""
    for index in range(count):
        try:
            yield ask(index)
        except OSError as error:
            if error.errno != errno.EINVAL:  # what Python makes of ERROR_NO_MORE_ITEMS
                raise
            return


def _as_held(kind: ValueKind, data: Any) -> int | str | tuple[str, ...] | bytes:
    """Bring what the module returns into one form: of data of no length it makes ``None``, of several texts a list."""
    match kind:
        case ValueKind.DWORD | ValueKind.QWORD:
            return int(data or 0)
        case ValueKind.NONE | ValueKind.BINARY:
            return bytes(data or b"")
        case ValueKind.MULTI_SZ:
            return tuple(text for text in data or () if text)
        case _:
            return str(data or "").partition("\0")[0]


def _as_given(value: RegistryValue) -> Any:
    """Bring a value into the form that the module takes."""
    if value.kind is ValueKind.OTHER:
        return value.other_parts[1]
    return list(value.data) if isinstance(value.data, tuple) else value.data


def _joined(key: str, below: str) -> str:
    return f"{key}\\{below}" if key and below else key or below
