"""Digests as bytes: tables hold 32 of them where everybody else has 64 characters, and so do indexes (decision 0095).

A column of the kind ``DIGEST`` is given texts and gives texts. What is no digest is refused where it would be kept, and
found nowhere where a column is compared with it: ids in addresses are digests too, and anybody may write something
else there.

SQLite compares bytes and texts without a word, and finds them different. So a column of this kind is compared with
nothing that is known to be of another, and of the digests of a list each is a parameter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import ColumnElement, Dialect, LargeBinary, Text, TypeDecorator
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.types import NullType

LENGTH: Final = 32
"""Bytes of a SHA-256."""
_NOTHING: Final = b""


def to_bytes(digest: str) -> bytes:
    """Return a digest as tables keep it. Raises: ValueError."""
    kept = bytes.fromhex(digest)
    if len(kept) != LENGTH or kept.hex() != digest:
        raise ValueError(f"{digest[:64]!r} is not a SHA-256 digest.")
    return kept


def _kept(digest: str | None) -> bytes | None:
    return None if digest is None else to_bytes(digest)


def _sought(digest: str | None) -> bytes | None:
    try:
        return _kept(digest)
    except ValueError:
        return _NOTHING


def _read(kept: bytes | None) -> str | None:
    return None if kept is None else kept.hex()


class _Comparator(TypeDecorator.Comparator[str]):
    def operate(self, op: OperatorType, *other: Any, **kwargs: Any) -> Any:
        for each in other:
            kind = each.type if isinstance(each, ColumnElement) else None
            if kind is not None and not isinstance(kind, _Digest | NullType):
                raise TypeError(f"{self.expr} is a digest, which {each} is not: they would never be alike.")
        return super().operate(op, *other, **kwargs)


class _Digest(TypeDecorator[str]):
    """A SHA-256, kept as its bytes. Its processors are plain functions: each check-in calls them several times."""

    impl = LargeBinary
    cache_ok = True
    _processor: Callable[[str | None], bytes | None] = staticmethod(_kept)

    @property
    def comparator_factory(self) -> type[_Comparator]:  # type: ignore[override]  # as the library reads it
        """Compare digests with digests alone."""
        return _Comparator

    def bind_processor(self, dialect: Dialect) -> Callable[[str | None], bytes | None]:  # noqa: ARG002 - SQLAlchemy's signature
        """Return what turns a digest into bytes."""
        return self._processor

    def result_processor(self, dialect: Dialect, coltype: Any) -> Callable[[Any], str | None]:  # noqa: ARG002 - as above
        """Return what turns bytes into a digest."""
        return _read

    def coerce_compared_value(self, op: OperatorType | None, value: Any) -> Any:  # noqa: ARG002 - as above
        """Have what a column is compared with sought, whatever it is."""
        return _SOUGHT


class _Sought(_Digest):
    """What a column is compared with: a text that is no digest is that of nothing."""

    cache_ok = True
    _processor = staticmethod(_sought)


DIGEST: Final = _Digest()
_SOUGHT: Final = _Sought()


class InHex(FunctionElement[str]):
    """A digest as the text that it is everywhere else, for filters that look into it."""

    name = "in_hex"
    type = Text()
    inherit_cache = True


@compiles(InHex, "sqlite")
def _on_sqlite(element: InHex, compiler: SQLCompiler, **options: Any) -> str:
    return f"lower(hex({compiler.process(element.clauses, **options)}))"


@compiles(InHex, "postgresql")
def _on_postgresql(element: InHex, compiler: SQLCompiler, **options: Any) -> str:
    return f"encode({compiler.process(element.clauses, **options)}, 'hex')"
