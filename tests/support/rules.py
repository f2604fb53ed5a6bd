"""Rules of any shape and devices that they meet, for laws; and an oracle that evaluates them in other ways."""

from __future__ import annotations

import fnmatch
import re

from hypothesis import strategies as st

from shieldwall.policy.membership import Value

# Few names and texts, so that rules and devices meet often. Case differs on purpose.
TEXT_NAMES = ("displayName", "deviceOSType", "deviceModel")
FLAG_NAMES = ("accountEnabled", "isRooted")
COLLECTION_NAMES = ("deviceTag", "devicePhysicalIds")
TEXTS = ("linux", "Lin", "web", "WEB-1", "", 'a"b', "c`d", "straße", "STRASSE", "it's", "null")
PATTERNS = ("^web", "n.x", "(a|b)", "[0-9]$", "")
GROUPS = tuple(f"aaaaaaaa-0000-4000-8000-00000000000{number}" for number in range(3))

# A rule as the oracle sees it: ("eq", name, text), ("any", name, rule about "_"), ("not", rule), ("and", rule, rule) …
Sketch = tuple[object, ...]
Described = dict[str, Value]
WORDS = {
    "eq": "-EQ",
    "ne": "ne",
    "starts": "-startswith",
    "notstarts": "notStartsWith",
    "ends": "\u2013endsWith",
    "notends": "-NOTENDSWITH",
    "contains": "Contains",
    "notcontains": "-notContains",
    "match": "-match",
    "notmatch": "notMatch",
    "in": "-in",
    "notin": "NOTIN",
}
NEGATIVES = {"ne": "eq"} | {word: word.removeprefix("not") for word in WORDS if word.startswith("not")}


def comparisons(names: tuple[str, ...]) -> st.SearchStrategy[Sketch]:
    name = st.sampled_from(names)
    return st.one_of(
        st.tuples(
            st.sampled_from([word for word in WORDS if word not in {"in", "notin", "match", "notmatch"}]),
            name,
            st.sampled_from(TEXTS),
        ),
        st.tuples(st.sampled_from(["eq", "ne"]), name, st.none()),
        st.tuples(st.sampled_from(["match", "notmatch"]), name, st.sampled_from(PATTERNS)),
        st.tuples(
            st.sampled_from(["in", "notin"]), name, st.lists(st.sampled_from(TEXTS), min_size=1, max_size=3).map(tuple)
        ),
    )


def joined(inner: st.SearchStrategy[Sketch]) -> st.SearchStrategy[Sketch]:
    return st.one_of(st.tuples(st.just("not"), inner), st.tuples(st.sampled_from(["and", "or"]), inner, inner))


flags = st.tuples(st.sampled_from(["eq", "ne"]), st.sampled_from(FLAG_NAMES), st.sampled_from([True, False, None]))
conditions = st.recursive(comparisons(("_",)), joined, max_leaves=3)
quantified = st.tuples(st.sampled_from(["any", "all"]), st.sampled_from(COLLECTION_NAMES), conditions)
members = st.tuples(
    st.just("memberOf"), st.lists(st.sampled_from(GROUPS), min_size=1, max_size=2, unique=True).map(tuple)
)
sketches: st.SearchStrategy[Sketch] = st.recursive(
    st.one_of(comparisons(TEXT_NAMES + COLLECTION_NAMES), flags, quantified, members), joined, max_leaves=8
)
texts = st.one_of(st.none(), st.sampled_from(TEXTS))
devices: st.SearchStrategy[Described] = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(TEXT_NAMES, texts),
        **dict.fromkeys(FLAG_NAMES, st.sampled_from([True, False, None])),
        **dict.fromkeys(COLLECTION_NAMES, st.lists(st.sampled_from(TEXTS), max_size=3).map(tuple)),
        "memberOf": st.lists(st.sampled_from(GROUPS), max_size=2, unique=True).map(tuple),
    },
)


def quoted(value: object, mark: str = '"') -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).upper()
        case _ if mark == "'":
            return "'" + str(value).replace("`", "``").replace("'", "''") + "'"
        case _:
            return '"' + str(value).replace("`", "``").replace('"', '`"') + '"'


def spelled(sketch: Sketch) -> str:
    """Write a sketch with all parentheses, so that precedence plays no part."""
    match sketch:
        case ("not", inner):
            return f"-not ({spelled(inner)})"  # type: ignore[arg-type]  # sketches nest
        case ("and" | "or" as word, left, right):
            return f"({spelled(left)}) -{word} ({spelled(right)})"  # type: ignore[arg-type]  # as above
        case ("any" | "all" as word, name, inner):
            return f"device.{name} -{word} ({spelled(inner)})"  # type: ignore[arg-type]  # as above
        case ("memberOf", tuple(groups)):
            ids = ",".join(quoted(each, "'") for each in groups)
            return f"device.memberOf any (group.objectId in [{ids}])"
        case (operator, name, tuple(texts)):
            return f"{spelled_name(name)} {WORDS[str(operator)]} [{','.join(map(quoted, texts))}]"
        case (operator, name, text):
            return f"{spelled_name(name)} {WORDS[str(operator)]} {quoted(text)}"
        case _:
            raise AssertionError(sketch)


def spelled_name(name: object) -> str:
    return "_" if name == "_" else f"device.{name}"


def expected(  # noqa: PLR0911 - one return per kind of rule
    sketch: Sketch, device: Described
) -> bool:
    """Evaluate a sketch in other ways than the code does."""
    match sketch:
        case ("not", inner):
            return not expected(inner, device)  # type: ignore[arg-type]  # sketches nest
        case ("and", left, right):
            return min(expected(left, device), expected(right, device))  # type: ignore[arg-type]  # as above
        case ("or", left, right):
            return max(expected(left, device), expected(right, device))  # type: ignore[arg-type]  # as above
        case ("any" | "all" as word, name, inner):
            values = device.get(str(name))
            assert values is None or isinstance(values, tuple)
            verdicts = [expected(inner, {"_": one}) for one in values or ()]  # type: ignore[arg-type]  # as above
            return sum(verdicts) > 0 if word == "any" else sum(verdicts) == len(verdicts)
        case ("memberOf", tuple(groups)):
            belongs = device.get("memberOf")
            return not set(groups).isdisjoint(belongs if isinstance(belongs, tuple) else ())
        case (operator, name, wanted) if operator in NEGATIVES:
            return not expected((NEGATIVES[str(operator)], name, wanted), device)
        case (operator, name, wanted):
            value = device.get(str(name))
            if isinstance(value, tuple):
                return wanted is None if not value else any(expected(sketch, {str(name): one}) for one in value)
            return value is wanted if isinstance(wanted, bool | None) else _compares(str(operator), value, wanted)
        case _:
            raise AssertionError(sketch)


def _compares(operator: str, value: object, wanted: object) -> bool:
    if not isinstance(value, str):
        return False
    if operator == "match":
        return re.search(str(wanted), value, re.IGNORECASE) is not None
    texts = wanted if isinstance(wanted, tuple) else (wanted,)
    shape = {"eq": "{}", "in": "{}", "starts": "{}*", "ends": "*{}", "contains": "*{}*"}[operator]
    return any(fnmatch.fnmatchcase(value.casefold(), shape.format(str(text).casefold())) for text in texts)
