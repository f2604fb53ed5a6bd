"""Writing a tree as the one text of it; ``parse`` reads the same tree from it. Equal filters are known by it."""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

from shieldwall.server.graph.odata.tree import (
    Among,
    Call,
    Comparison,
    Every,
    Literal,
    LiteralKind,
    Node,
    Not,
    Path,
    Quantified,
    Some,
)


def printed(node: Node) -> str:  # noqa: PLR0911 - one return per kind of node
    """Write a tree."""
    match node:
        case Literal():
            return _literal(node)
        case Path():
            return "/".join(node.names)
        case Call():
            return f"{node.name}({','.join(map(printed, node.operands))})"
        case Comparison():
            return f"{_operand(node.left)} {node.operator} {_operand(node.right)}"
        case Among():
            return f"{_operand(node.operand)} in ({','.join(map(_literal, node.literals))})"
        case Quantified():
            condition = "" if node.condition is None else f"{node.variable}:{printed(node.condition)}"
            return f"{printed(node.collection)}/{node.quantifier}({condition})"
        case Not():
            return f"not {_operand(node.part)}"
        case Every():
            return " and ".join(map(_operand, node.parts))
        case Some():
            return " or ".join(map(_operand, node.parts))
        case _:
            assert_never(node)


def _operand(node: Node) -> str:
    """Write a part of something, in parentheses unless it is one word anyway."""
    text = printed(node)
    return text if isinstance(node, Literal | Path | Call | Quantified) else f"({text})"


def _literal(literal: Literal) -> str:
    match literal.kind, literal.value:
        case LiteralKind.NULL, _:
            return "null"
        case LiteralKind.BOOLEAN, value:
            return "true" if value else "false"
        case LiteralKind.TEXT, str(value):
            return _quoted(value)
        case LiteralKind.MEMBER, str(value):
            return f"graph.member{_quoted(value)}"
        case LiteralKind.MOMENT, datetime() as value:
            return f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond:06d}Z".rjust(27, "0")
        case _, value:
            return str(value)


def _quoted(text: str) -> str:
    escaped = text.replace("'", "''")
    return f"'{escaped}'"
