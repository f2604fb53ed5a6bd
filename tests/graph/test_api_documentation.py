"""``docs/api.md`` names every route with its permissions, and no other. To write its table anew:

python -m tests.graph.test_api_documentation
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.support.api_document import api_document
from tests.support.documentation import DOCS, generated, table_rows, write_generated

from shieldwall.server.access.permissions import PERMISSIONS
from shieldwall.server.graph import imported_settings, importing
from shieldwall.server.graph.errors import STATUS_OF
from shieldwall.server.graph.query import LARGEST_PAGE

PAGE = DOCS / "api.md"
CODE = re.compile(r"[a-z]+(?:[A-Z][a-z]+)+")


def routes() -> str:
    """The table of routes as the API's description has them; those of Graph stand there once for both versions."""
    lines = ["| Method and path | Does | Permission |", "|---|---|---|"]
    for path, methods in api_document()["paths"].items():
        if path.startswith("/v1.0/"):
            continue
        for method, operation in methods.items():
            names = operation.get("x-shieldwall-permissions", [])
            permissions = "<br>".join(f"`{name}`" for name in names) or "none: public"
            if set(names).issuperset(PERMISSIONS):
                permissions = "any; each request its own"
            ours = " (*ours*)." if "x-shieldwall-ours" in operation else "."
            summary = operation["summary"].removesuffix(".") + ours
            lines.append(f"| `{method.upper()} {path.removeprefix('/beta')}` | {summary} | {permissions} |")
    return "\n".join(lines) + "\n"


def test_every_route_is_documented_and_no_other() -> None:
    assert generated(PAGE)["routes"] == routes()


def test_codes_of_parts_left_out_of_an_import_are_documented_and_no_other() -> None:
    text = (DOCS / "errors.md").read_text().partition("## Codes of parts left out of an import\n")[2]
    documented = set(re.findall(r"`([a-zA-Z]+)`", "".join(row[0] for row in table_rows(text.partition("\n## ")[0]))))
    given = set()
    for module in (importing, imported_settings):
        for node in ast.walk(ast.parse(Path(module.__file__ or "").read_text())):
            match node:
                case ast.Call(args=[_, ast.Constant(value=str(code)), *_]) if CODE.fullmatch(code):
                    given.add(code)
                case _:
                    pass

    assert documented == given


def test_every_status_is_documented() -> None:
    text = PAGE.read_text()

    assert all(f"| {status} | `" in text for status in {*STATUS_OF.values(), 500})
    assert f"1 to {LARGEST_PAGE}" in text


if __name__ == "__main__":
    write_generated(PAGE, {"routes": routes()})
