"""``docs/errors.md`` names every code there is, and no other."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import Final

from tests.support.documentation import DOCS, ROOT, generated, table_rows
from tests.support.generated_documentation import error_classes, error_tables

from shieldwall.agent.service.errors import CheckInFailedError, ProblemAnswerError
from shieldwall.agent.service.exit_codes import EXPLAINED
from shieldwall.contract.errors import ShieldwallError

PAGE: Final = DOCS / "errors.md"
SOURCE: Final = ROOT / "src" / "shieldwall"
SHARED: Final = {
    "notFound",
    "methodNotAllowed",
    "unsupportedMediaType",
    "contentTooLarge",
    "tooManyRequests",
    "packageExpired",
    "packageNotYetValid",
}
"""Codes that several classes carry on purpose: whoever reads them does the same about each."""
REMEDY_OF_ANOTHER: Final = {CheckInFailedError, ProblemAnswerError}
"""These pass on what somebody else said, remedy included."""
CODE: Final = re.compile(r"[a-z]+(?:[A-Z][a-z]+)*\Z")


def section(title: str) -> str:
    text = PAGE.read_text()
    return text.partition(f"## {title}\n")[2].partition("\n## ")[0]


def codes_in(text: str) -> set[str]:
    """Return the codes in the first cells of a text's tables."""
    return set(chain.from_iterable(re.findall(r"`([^`]+)`", row[0]) for row in table_rows(text)))


def calls(part: str) -> Iterator[tuple[str, ast.Call]]:
    for path in sorted((SOURCE / part).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Name(id=name)) | ast.Call(func=ast.Attribute(attr=name)):
                    yield name, node
                case _:
                    pass


def texts(call: ast.Call) -> list[str]:
    return [each.value for each in call.args if isinstance(each, ast.Constant) and isinstance(each.value, str)]


def test_every_code_is_documented_and_no_other() -> None:
    documented = codes_in("".join(generated(PAGE).values()))

    assert documented == {kind.code for kind in error_classes()}


def test_the_tables_are_those_that_the_code_gives() -> None:
    assert generated(PAGE) == error_tables(), "run: python -m tests.support.generated_documentation"


def test_an_error_has_a_code_of_its_own_a_cause_and_a_remedy() -> None:
    for kind in error_classes():
        assert "code" in vars(kind), f"{kind} has no code of its own"
        assert CODE.match(kind.code), f"{kind}: {kind.code}"
        assert (kind.__doc__ or "").strip(), f"{kind} does not say what happened"
        assert kind.remedy.endswith((".", "…'.")), f"{kind}: {kind.remedy}"
        if kind not in {ShieldwallError, *REMEDY_OF_ANOTHER}:
            assert kind.remedy != ShieldwallError.remedy, f"{kind} has no remedy of its own or of its kind"


def test_only_codes_shared_on_purpose_stand_for_several_classes() -> None:
    counted = Counter(kind.code for kind in error_classes())

    assert {code for code, count in counted.items() if count > 1} == SHARED
    assert set(re.findall(r"`([^`]+)`", section("Codes that stand for the same thing in several places"))) >= SHARED


def test_codes_in_statuses_are_documented() -> None:
    found: set[str] = set()
    for name, call in calls("agent"):
        found |= {
            each.value.value
            for each in call.keywords
            if each.arg == "code" and isinstance(each.value, ast.Constant) and isinstance(each.value.value, str)
        }
        match name, texts(call):
            case "UnusableRuleError" | "_about", [code, *_]:
                found.add(code)
            case ("_turned", [code, *_]) | ("_rejected", [code, *_]) if CODE.match(code):
                found.add(code)
            case _:
                pass

    assert {code for code in found if CODE.match(code)} <= codes_in(section("Codes in the status of a setting"))


def test_codes_documented_for_statuses_stand_in_the_agent() -> None:
    reasons = SOURCE / "policy/outcomes.py"  # why a setting does not apply: server and agent say it alike
    source = "".join(path.read_text() for path in chain((SOURCE / "agent").rglob("*.py"), [reasons]))

    assert [code for code in codes_in(section("Codes in the status of a setting")) if f'"{code}"' not in source] == []


def test_codes_of_findings_are_documented_and_no_other() -> None:
    found: set[str] = set()
    for name, call in chain(calls("catalog"), calls("server/manager")):
        match name, call.args, texts(call):
            case "Finding", [_, ast.Constant(value=str(code)), *_], _:
                found.add(code)
            case (("Fault" | "report"), _, [code, *_]) if CODE.match(code):
                found.add(code)
            case _:
                pass

    assert codes_in(section("Codes of findings in a policy")) == found


def test_exit_codes_are_those_of_the_agent() -> None:
    rows = table_rows(section("Exit codes of the agent"))

    assert " · ".join(" ".join(row) for row in rows) == EXPLAINED
