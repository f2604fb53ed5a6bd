r"""The registry by ``reg.exe``, for where the agent's Python has no ``winreg``: another machine's prefix, Wine.

Source: Microsoft, *reg export*, *reg import*, *reg query*, *reg delete*: each ends with 0 or 1, and 1 says nothing
about why; what it prints is in the language of the machine. So nothing is concluded from words.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.ports import Completed
from shieldwall.agent.host.registry import reg_file
from shieldwall.agent.host.registry.model import Tree, same_name
from shieldwall.agent.host.registry.operations import DeleteKey, DeleteValue, MakeKey, Operation, SetValue

VIEW: Final = "/reg:64"
HIVES: Final = {
    "HKLM": "HKEY_LOCAL_MACHINE",
    "HKCU": "HKEY_CURRENT_USER",
    "HKCR": "HKEY_CLASSES_ROOT",
    "HKU": "HKEY_USERS",
    "HKCC": "HKEY_CURRENT_CONFIG",
}
"""Whole names of hives by the short ones."""
MOST_BYTES: Final = 32 * 1024 * 1024
"""More than that is no part that anybody writes by hand, but a whole hive."""


class RegExe(Struct, frozen=True):
    """Implements ``RegistryBackend``.

    ``run`` runs a list of words to its end. ``scratch`` is a directory in which nobody else may write or read; what is
    put there is gone when a call returns. ``spelled`` says how the program names a path of ours.
    """

    run: Callable[[Sequence[str]], Completed]
    scratch: Path
    program: tuple[str, ...] = (r"C:\Windows\System32\reg.exe",)
    spelled: Callable[[Path], str] = str

    def read(self, key: str) -> Tree | None:
        """See ``RegistryBackend.read``. Raises: HostError."""
        whole, file = whole_key(key), self.scratch / "export.reg"
        try:
            self._private(file, b"")
            exported = self._reg("export", whole, self.spelled(file), "/y", VIEW)
            if exported.returncode != 0:
                if self._is_there(whole):
                    raise HostError(f"{key} is there and cannot be read: {_said(exported)}")
                return None
            if file.stat().st_size > MOST_BYTES:
                raise HostError(f"{key} holds more than {MOST_BYTES} bytes.")
            keys = reg_file.parse(file.read_bytes())
        finally:
            file.unlink(missing_ok=True)
        return {_below(whole, each): values for each, values in keys.items()}

    def carry_out(self, key: str, operation: Operation) -> None:
        """See ``RegistryBackend.carry_out``. Raises: HostError."""
        place = whole_key(f"{key}\\{operation.key}" if operation.key else key)
        match operation:
            case MakeKey():
                self._import(place, reg_file.render(place, {}))
            case SetValue(_, name, value):
                self._import(place, reg_file.render(place, {name: value}))
            case DeleteValue(_, name):
                held = (self.read(place) or {}).get("", {})
                if same_name(name) in map(same_name, held):  # else the file would make the key
                    self._import(place, reg_file.render(place, {name: None}))
            case DeleteKey():
                self._delete(place)

    def _delete(self, place: str) -> None:
        tree = self.read(place)
        if tree is None:
            return
        if len(tree) > 1 or any(tree.values()):  # the program would take everything below along
            raise HostError(f"{place}: The key is not empty.")
        deleted = self._reg("delete", place, "/f", VIEW)
        if deleted.returncode != 0:
            raise HostError(f"{place} cannot be deleted: {_said(deleted)}")

    def _import(self, place: str, content: bytes) -> None:
        file = self.scratch / "import.reg"
        try:
            self._private(file, content)
            imported = self._reg("import", self.spelled(file), VIEW)
        finally:
            file.unlink(missing_ok=True)
        if imported.returncode != 0:
            raise HostError(f"{place} cannot be written: {_said(imported)}")

    def _is_there(self, whole: str) -> bool:
        """Look a key up in the list of the one above it, which says so even where the key itself may not be opened."""
        above, _, _ = whole.rpartition("\\")
        if not above:
            return True
        listed = self._reg("query", above, VIEW)
        if listed.returncode != 0:
            return False
        wanted = same_name(whole)
        return any(same_name(line.strip()) == wanted for line in listed.stdout.decode(errors="replace").splitlines())

    def _reg(self, *words: str) -> Completed:
        return self.run([*self.program, *words])

    def _private(self, file: Path, content: bytes) -> None:
        """Write a file that only we may read: what goes into the registry may be a secret."""
        file.unlink(missing_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(content)


def whole_key(key: str) -> str:
    """Return a key with the whole name of its hive. Raises: HostError: There is no such hive."""
    hive, slash, rest = key.partition("\\")
    name = HIVES.get(hive.upper(), hive.upper())
    if name not in HIVES.values():
        raise HostError(f"There is no hive {hive[:64]!r}.")
    return f"{name}{slash}{rest}"


def _below(whole: str, key: str) -> str:
    if not same_name(f"{key}\\").startswith(same_name(f"{whole}\\")):
        raise HostError(f"reg.exe exported {key[:256]!r}, which is not below {whole}.")
    return key[len(whole) :].lstrip("\\")


def _said(completed: Completed) -> str:
    """Return what it printed, without data of ours: it never repeats any."""
    return (completed.stderr or completed.stdout)[:256].decode(errors="replace").strip()
