from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from tests.support.policies import catalog

from shieldwall.catalog.categories import (
    NO_CATEGORY,
    categories,
    category_id,
    category_of,
    platform_category,
)

words = st.text(min_size=1, max_size=12)


def test_an_id_is_the_same_for_ever() -> None:
    assert category_id("linux", "Antivirus engine") == "16cbbf11-1466-52dd-aeb6-5b4f1a713ace"
    assert platform_category("linux") == "76db699d-47d7-593e-a026-1a42e20bdcc4"


@given(st.tuples(words, words), st.tuples(words, words))
def test_two_categories_share_an_id_only_when_they_are_one(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (category_id(*one) == category_id(*other)) == (one == other)
    assert UUID(category_id(*one)).version == 5


def test_every_definition_belongs_to_a_category_of_its_platform() -> None:
    found = categories(catalog())

    for definition in catalog().definitions.values():
        category = found[category_of(definition)]
        assert (category.platform, category.name) == (definition.platform, definition.category)


def test_parents_and_children_name_each_other_and_every_way_up_ends_at_a_root() -> None:
    found = categories(catalog())

    for category in found.values():
        assert all(found[child].parent == category.id for child in category.children)
        if category.parent == NO_CATEGORY:
            assert category.root == category.id
        else:
            assert category.id in found[category.parent].children
            assert category.root == found[category.parent].root
    roots = {category.platform for category in found.values() if category.parent == NO_CATEGORY}
    assert roots == {definition.platform for definition in catalog().definitions.values()}
