"""What a directory declares and a server has, in the same words: names identify objects, ids stay outside."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath
from typing import Any, Final, TypeAlias

from shieldwall.contract.errors import ShieldwallError

Json: TypeAlias = dict[str, Any]


class Kind(StrEnum):
    """The kinds of objects, in the order in which they are made: a policy refers to all the others."""

    GROUP = "group"
    FILTER = "filter"
    REUSABLE_SETTING = "reusable setting"
    POLICY = "policy"


FOLDERS: Final = {
    Kind.GROUP: "groups",
    Kind.FILTER: "filters",
    Kind.REUSABLE_SETTING: "reusable-settings",
    Kind.POLICY: "policies",
}
"""Where the files of each kind stand."""

NAMED_BY: Final = {
    Kind.GROUP: "displayName",
    Kind.FILTER: "displayName",
    Kind.REUSABLE_SETTING: "displayName",
    Kind.POLICY: "name",
}
"""Which member of a document is the name."""


class InvalidDeclarationError(ShieldwallError):
    """A directory of declared objects that cannot be meant as it is; what is wrong stands in the notes."""

    code = "invalidDeclaration"
    remedy = "Correct the files named; nothing was changed."

    @classmethod
    def of(cls, cause: str, notes: list[str]) -> InvalidDeclarationError:
        """Make the error with everything that is wrong, one line each."""
        error = cls(cause)
        for note in notes:
            error.add_note(note)
        return error


class EmptyDeclarationError(ShieldwallError):
    """A directory that declares nothing, or whose plan would delete everything there is of a kind."""

    code = "emptyDeclaration"
    remedy = "Check that this is the right directory; if it is meant, say --allow-empty."


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """An object as a file declares it. ``document`` has what its author decides, with names instead of ids."""

    kind: Kind
    document: Json
    file: PurePath

    @property
    def name(self) -> str:
        """What it is called."""
        return str(self.document[NAMED_BY[self.kind]]).strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """An object as the server has it. ``document`` has what its author decided, with names instead of ids."""

    kind: Kind
    id: str
    document: Json
    revision: int | None = None

    @property
    def name(self) -> str:
        """What it is called."""
        return str(self.document[NAMED_BY[self.kind]]).strip()
