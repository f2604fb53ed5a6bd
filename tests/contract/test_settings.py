"""Walking setting instances."""

from __future__ import annotations

from hypothesis import given
from tests.support import policies as p

from shieldwall.contract.settings import PolicyDocument, nested, walk


def test_parents_come_before_what_is_inside_them() -> None:
    settings = (p.items(p.EXCLUSIONS, p.excluded_path("/srv/a"), p.excluded_path("/srv/b")), p.choice(p.LEVEL, "_0"))

    assert [instance.definition.removeprefix(p.ENGINE) for instance in walk(settings)] == [
        "exclusions",
        "exclusions_item_$type",
        "exclusions_item_path",
        "exclusions_item_$type",
        "exclusions_item_path",
        "enforcementlevel",
    ]


@given(p.documents())
def test_walking_reaches_everything_once(documents: list[PolicyDocument]) -> None:
    for document in documents:
        reached = list(walk(document.settings))
        inside = [child for instance in reached for child in nested(instance)]

        assert len(reached) == len(document.settings) + len(inside)
