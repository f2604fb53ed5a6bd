"""Through real pages: a policy that sets everything there is comes back as it was from the forms that show it."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import msgspec
import pytest
from tests.portal.wizard.test_wizard_pages import begin, unfinished_of
from tests.support.admin import AdminWorld, Client
from tests.support.policies import catalog
from tests.support.sent_forms import form_to, forms_of, send

from shieldwall.catalog.model import Kind, PolicyTemplate, SettingDefinition
from shieldwall.contract.ids import SettingId
from shieldwall.contract.settings import (
    ChoiceCollectionSetting,
    ChoiceSetting,
    ChoiceValue,
    GroupCollectionSetting,
    GroupSetting,
    GroupValue,
    SettingInstance,
    SimpleCollectionSetting,
    SimpleSetting,
    SimpleValue,
    walk,
)
from shieldwall.server.manager import unfinished as keeping
from shieldwall.server.portal.policies.wizard.form_fields import Control, control_of

CATALOG: Final = catalog()
SUPPORTED: Final = tuple(each for each in CATALOG.templates.values() if each.supported)
HOSTILE: Final = "</textarea><script>alert(1)</script>\"'&amp; %s {{ x }}"


def everything(setting: SettingId) -> SettingInstance:
    """A setting with everything inside it that may stand there, and texts that try to break out of the page."""
    definition = CATALOG.definition(setting)
    match definition.kind:
        case Kind.CHOICE:
            option = max(definition.options, key=lambda each: len(each.children))
            children = tuple(map(everything, option.children))
            return ChoiceSetting(definition=setting, value=ChoiceValue(value=option.item_id, children=children))
        case Kind.CHOICE_COLLECTION:
            chosen = tuple(ChoiceValue(value=option.item_id) for option in reversed(definition.options))
            return ChoiceCollectionSetting(definition=setting, values=chosen)
        case Kind.SIMPLE_STRING_COLLECTION:
            texts = (HOSTILE, " with blanks around ", "plain")
            return SimpleCollectionSetting(
                definition=setting, values=tuple(SimpleValue(kind="string", value=text) for text in texts)
            )
        case Kind.GROUP | Kind.GROUP_COLLECTION:
            return group(definition)
        case _:
            return SimpleSetting(definition=setting, value=simple(definition))


def group(definition: SettingDefinition) -> SettingInstance:
    value = GroupValue(children=tuple(map(everything, definition.children)))
    if definition.kind is Kind.GROUP:
        return GroupSetting(definition=definition.id, value=value)
    many = 1 if definition.maximum_count == 1 else 2
    return GroupCollectionSetting(definition=definition.id, values=(value,) * many)


def simple(definition: SettingDefinition) -> SimpleValue:
    match definition.kind:
        case Kind.SIMPLE_INTEGER:
            return SimpleValue(kind="integer", value=7)
        case Kind.SIMPLE_SECRET:
            return SimpleValue(kind="secret", value="a token", state="encryptedValueToken")
        case _:
            return SimpleValue(kind="string", value=HOSTILE)


@pytest.mark.parametrize("template", SUPPORTED, ids=lambda each: f"{each.platforms}-{each.display_name}")
def test_a_policy_that_sets_everything_comes_back_from_its_forms(
    world: AdminWorld, ada: Client, template: PolicyTemplate
) -> None:
    at = begin(ada, template.id)
    begun = unfinished_of(world, at)
    settings = tuple(everything(offered.definition) for offered in template.settings)
    content = msgspec.structs.replace(begun.content, draft=replace(begun.draft, settings=settings, name=HOSTILE))
    with world.writing() as connection:
        keeping.keep(connection, world.services.acting("test"), begun, content)

    page = ada.get(f"{at}/settings")
    assert page.status_code == 200
    assert "<script>alert" not in page.text
    assert send(ada, form_to(page.text, f"{at}/settings"), {"do": "stay"}).status_code == 303
    assert unfinished_of(world, at).draft.settings == settings
    for each in walk(settings):
        if control_of(CATALOG.definition(each.definition), each) is Control.ITEMS:
            answer = ada.get(f"{at}/item", params={"setting": each.definition, "place": "1"})
            assert answer.status_code == 200
            assert "<script>alert" not in answer.text
            form = next(each for each in forms_of(answer.text) if "/item" in each.action)
            assert send(ada, form, {"do": "stay"}).status_code == 303
    assert unfinished_of(world, at).draft.settings == settings
    assert "<script>alert" not in ada.get(f"{at}/review").text
