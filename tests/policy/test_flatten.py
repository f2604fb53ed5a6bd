"""Nested setting instances become one typed value per setting."""

from __future__ import annotations

import pytest
from tests.support import policies as p

from shieldwall.catalog.model import UnknownSettingError
from shieldwall.contract.ids import SettingId
from shieldwall.contract.settings import (
    ChoiceCollectionSetting,
    ChoiceValue,
    SettingInstance,
    SimpleSetting,
    SimpleValue,
)
from shieldwall.policy.flatten import MismatchedSettingError, flatten
from shieldwall.policy.values import Item


def test_a_choice_is_its_item_id_and_a_number_is_itself() -> None:
    flat = flatten(p.catalog(), p.document(1, p.choice(p.LEVEL, "_0"), p.number(p.RETENTION, 30)))

    assert flat == {p.LEVEL: f"{p.LEVEL}_0", p.RETENTION: 30}


def test_an_item_holds_its_members_and_what_their_options_bring_along_in_the_order_of_ids() -> None:
    members = p.choice(
        f"{p.EXCLUSIONS}_item_$type",
        "_0",
        p.text(f"{p.EXCLUSIONS}_item_path", "/srv/data"),
        p.choice(f"{p.EXCLUSIONS}_item_isdirectory", "_true"),
    )

    flat = flatten(p.catalog(), p.document(1, p.items(p.EXCLUSIONS, (members,))))

    item = Item(
        (
            (SettingId(f"{p.EXCLUSIONS}_item_$type"), f"{p.EXCLUSIONS}_item_$type_0"),
            (SettingId(f"{p.EXCLUSIONS}_item_isdirectory"), f"{p.EXCLUSIONS}_item_isdirectory_true"),
            (SettingId(f"{p.EXCLUSIONS}_item_path"), "/srv/data"),
        )
    )
    assert flat == {p.EXCLUSIONS: (item,)}


def test_the_order_of_a_collection_and_repetitions_mean_nothing() -> None:
    one = flatten(p.catalog(), p.document(1, p.texts(p.FILE_SYSTEMS, "nfs", "fuse", "nfs")))
    other = flatten(p.catalog(), p.document(2, p.texts(p.FILE_SYSTEMS, "fuse", "nfs")))

    assert one == other == {p.FILE_SYSTEMS: ("fuse", "nfs")}


def test_an_empty_collection_is_a_value() -> None:
    assert flatten(p.catalog(), p.document(1, p.items(p.EXCLUSIONS))) == {p.EXCLUSIONS: ()}


@pytest.mark.parametrize(
    "instance",
    [
        p.text(p.LEVEL, "real_time"),
        p.choice(p.RETENTION, "_1"),
        p.text(p.RETENTION, "30"),
        SimpleSetting(definition=p.RETENTION, value=SimpleValue(kind="integer", value=True)),
        p.texts(p.EXCLUSIONS, "/srv"),
        ChoiceCollectionSetting(definition=p.LEVEL, values=(ChoiceValue(value=f"{p.LEVEL}_0"),)),
    ],
)
def test_a_value_of_another_shape_than_its_definition_is_refused(instance: SettingInstance) -> None:
    with pytest.raises(MismatchedSettingError):
        flatten(p.catalog(), p.document(1, instance))


def test_a_setting_that_stands_twice_is_refused() -> None:
    with pytest.raises(MismatchedSettingError, match="twice"):
        flatten(p.catalog(), p.document(1, p.choice(p.LEVEL, "_0"), p.choice(p.LEVEL, "_0")))


def test_an_unknown_setting_is_refused_wherever_it_stands() -> None:
    with pytest.raises(UnknownSettingError):
        flatten(p.catalog(), p.document(1, p.items(p.EXCLUSIONS, (p.text("unheard_of", "x"),))))
