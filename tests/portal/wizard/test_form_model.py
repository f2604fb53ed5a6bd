"""Forms made from the catalog: what is shown and left alone stays what it was, and what is entered can be read back."""

from __future__ import annotations

from typing import Final

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.any_settings import trees
from tests.support.every_setting import Path, paths, policy
from tests.support.policies import catalog

from shieldwall.catalog.model import Kind, PolicyTemplate, SettingDefinition
from shieldwall.catalog.validate import validate
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
    SimpleKind,
    SimpleSetting,
    SimpleValue,
    ValueTemplate,
    walk,
)
from shieldwall.server.portal.policies.wizard.faults import located
from shieldwall.server.portal.policies.wizard.form_fields import (
    TICKED,
    Control,
    Field,
    Sent,
    Settings,
    clear_name,
    control_of,
    fields_of,
    fields_of_policy,
    offered_by,
    said,
    set_name,
)
from shieldwall.server.portal.policies.wizard.form_reading import Items, read_policy, read_settings
from shieldwall.server.portal.policies.wizard.sections import applicable, found, looking_for, sections

CATALOG: Final = catalog()
TEMPLATES: Final = tuple(CATALOG.templates.values())
WAYS: Final = tuple((template, path) for template in TEMPLATES for path in paths(CATALOG, template))
_TEXTS: Final = st.text(
    st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn"]), min_size=1, max_size=12
) | st.sampled_from(
    [
        " a",
        "a ",
        "  ",
        "<b>",
        '"',
        "'",
        "&amp;",
        "%TEMP%",
        "\\",
        "ä",
        "日本",
        "0",
        "-",
        " ",
        "a\nb",
        "\n",
        "\ra",
        "\x85",
        "\u2028",
        "\u202e",
    ]
)


def by_browser(sent: Sent) -> dict[str, tuple[str, ...]]:
    """What of this a browser really sends: ends of lines are two characters."""
    return {name: tuple(value.replace("\n", "\r\n") for value in values) for name, values in sent.items()}


def plain(instances: Settings) -> object:
    """Settings without what is no part of a form: the order of what stands together, references to templates, whether
    an id is written as a text, the state of a secret that is new, items that say nothing.
    """

    def stripped(part: object) -> object:
        if isinstance(part, dict):
            kept = {name: stripped(value) for name, value in part.items() if name not in {"template", "state"}}
            return kept | {"kind": "string"} if kept.get("kind") == "reference" else kept
        if isinstance(part, list):
            parts = [stripped(each) for each in part if each]
            return sorted(parts, key=lambda each: str(each.get("definition")) if isinstance(each, dict) else "")
        return part

    return stripped(msgspec.json.decode(msgspec.json.encode(instances)))


def entered(definitions: tuple[SettingId, ...], wanted: Settings) -> Settings:
    """Enter settings into an empty form: items on forms of their own, secrets typed."""
    items: Items = {
        each.definition: tuple(
            msgspec.structs.replace(
                group, children=entered(CATALOG.definition(each.definition).children, group.children)
            )
            for group in each.values
        )
        for each in walk(wanted)
        if isinstance(each, GroupCollectionSetting)
        and control_of(CATALOG.definition(each.definition), each) is Control.ITEMS
    }
    sent = said(fields_of(CATALOG, definitions, wanted))
    secrets: dict[str, tuple[str, ...]] = {
        each.definition: (str(each.value.value),)
        for each in walk(wanted)
        if isinstance(each, SimpleSetting) and each.value.kind == "secret"
    }
    return read_settings(CATALOG, definitions, (), by_browser(sent | secrets), items)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: str(way[1][-1][0])[-60:])
def test_every_setting_of_every_template_can_be_shown_entered_and_read_back(way: tuple[PolicyTemplate, Path]) -> None:
    template, path = way
    wanted, setting = policy(CATALOG, path), path[-1][0]

    shown = {each.definition.id: each for each in every(fields_of_policy(CATALOG, template, wanted))}
    assert setting in {each.definition for each in walk(wanted)}
    inside = [each for each in walk(wanted) if isinstance(each, GroupCollectionSetting)]
    for collection in inside:
        members = CATALOG.definition(collection.definition).children
        for group in collection.values:
            shown |= {each.definition.id: each for each in every(fields_of(CATALOG, members, group.children))}
    assert shown[setting].is_set
    assert plain(entered(offered_by(template), wanted)) == plain(wanted)
    assert (
        read_policy(CATALOG, template, wanted, by_browser(said(fields_of_policy(CATALOG, template, wanted)))) == wanted
    )


def every(fields: tuple[Field, ...]) -> list[Field]:
    return [each for field in fields for each in (field, *every(field.children))]


def test_no_setting_stands_in_two_places_of_one_form() -> None:
    for template in TEMPLATES:
        for scope in (offered_by(template), *(d.children for d in CATALOG.definitions.values() if d.children)):
            reached: list[SettingId] = []
            waiting = list(scope)
            while waiting:
                definition = CATALOG.definition(waiting.pop())
                reached.append(definition.id)
                if control_of(definition, None) is not Control.ITEMS:
                    waiting += dict.fromkeys(definition.nested())
            assert len(reached) == len(set(reached))


def test_no_two_fields_have_one_id() -> None:
    ids = {each.id for template in TEMPLATES for each in every(fields_of_policy(CATALOG, template, ()))}
    names = {each.name for template in TEMPLATES for each in every(fields_of_policy(CATALOG, template, ()))}
    assert len(ids) == len(names)


@st.composite
def drafts(draw: st.DrawFn, template: PolicyTemplate) -> Settings:
    """Settings of a template as exports and other tools write them: in any order, with references to templates."""
    offered = draw(st.lists(st.sampled_from(offered_by(template)), unique=True, max_size=6))
    return tuple(draw(instances(CATALOG.definition(setting))) for setting in offered)


@st.composite
def instances(draw: st.DrawFn, definition: SettingDefinition) -> SettingInstance:
    made: SettingInstance
    match definition.kind:
        case Kind.CHOICE:
            made = ChoiceSetting(definition=definition.id, value=draw(choices(definition)))
        case Kind.CHOICE_COLLECTION:
            several = draw(st.lists(choices(definition), max_size=3, unique_by=lambda choice: choice.value))
            made = ChoiceCollectionSetting(definition=definition.id, values=tuple(several))
        case Kind.SIMPLE_STRING_COLLECTION:
            made = SimpleCollectionSetting(definition=definition.id, values=draw(lists()))
        case Kind.GROUP:
            made = GroupSetting(definition=definition.id, value=draw(groups(definition)))
        case Kind.GROUP_COLLECTION:
            many = draw(st.lists(groups(definition), max_size=1 if definition.maximum_count == 1 else 3))
            made = GroupCollectionSetting(definition=definition.id, values=tuple(many))
        case kind:
            made = SimpleSetting(definition=definition.id, value=draw(simples(kind)))
    return msgspec.structs.replace(made, template=draw(st.none() | st.just("instance-template")))


@st.composite
def lists(draw: st.DrawFn) -> tuple[SimpleValue, ...]:
    kinds: list[SimpleKind] = ["string", "reference"]
    kind = draw(st.sampled_from(kinds))
    texts = draw(st.lists(_TEXTS, max_size=4, unique=True))
    return tuple(SimpleValue(kind=kind, value=text, note=draw(st.none() | _TEXTS)) for text in texts)


@st.composite
def simples(draw: st.DrawFn, kind: Kind) -> SimpleValue:
    if kind is Kind.SIMPLE_INTEGER:
        return SimpleValue(kind="integer", value=draw(st.integers(-(10**15) + 1, 10**15 - 1)), template=draw(values()))
    if kind is Kind.SIMPLE_SECRET:
        return SimpleValue(kind="secret", value="a token", state="encryptedValueToken")
    return SimpleValue(kind="string", value=draw(_TEXTS | st.just("")), template=draw(values()))


def values() -> st.SearchStrategy[ValueTemplate | None]:
    return st.none() | st.builds(ValueTemplate, id=st.just("value-template"), use_default=st.booleans())


@st.composite
def choices(draw: st.DrawFn, definition: SettingDefinition) -> ChoiceValue:
    option = draw(st.sampled_from(definition.options))
    return ChoiceValue(value=option.item_id, children=draw(members(option.children)), template=draw(values()))


@st.composite
def groups(draw: st.DrawFn, definition: SettingDefinition) -> GroupValue:
    return GroupValue(children=draw(members(definition.children)), template=draw(values()))


@st.composite
def members(draw: st.DrawFn, offered: tuple[SettingId, ...]) -> Settings:
    if not offered:
        return ()
    chosen = draw(st.lists(st.sampled_from(offered), unique=True, max_size=4))
    return tuple(draw(instances(CATALOG.definition(setting))) for setting in chosen)


templates_and_drafts = st.sampled_from(TEMPLATES).flatmap(
    lambda template: st.tuples(st.just(template), drafts(template))
)


@settings(max_examples=300, deadline=None)
@given(templates_and_drafts)
def test_what_is_shown_and_sent_back_is_what_it_was(drawn: tuple[PolicyTemplate, Settings]) -> None:
    template, base = drawn

    sent = by_browser(said(fields_of_policy(CATALOG, template, base)))
    assert read_policy(CATALOG, template, base, sent) == base
    assert read_policy(CATALOG, template, base, {}) == base  # nothing shown, nothing changed
    for each in walk(base):
        if isinstance(each, GroupCollectionSetting):
            offered = CATALOG.definition(each.definition).children
            for group in each.values:
                inside = by_browser(said(fields_of(CATALOG, offered, group.children)))
                assert read_settings(CATALOG, offered, group.children, inside) == group.children


@settings(max_examples=200, deadline=None)
@given(templates_and_drafts, st.data())
def test_what_is_sent_is_what_is_shown_next(drawn: tuple[PolicyTemplate, Settings], data: st.DataObject) -> None:
    """Whatever somebody makes of a draft, the form then shows just that."""
    template, base = drawn
    other = data.draw(drafts(template))
    sent = said(fields_of_policy(CATALOG, template, base)) | said(fields_of_policy(CATALOG, template, other))

    once = read_policy(CATALOG, template, base, by_browser(sent))
    again = read_policy(CATALOG, template, once, by_browser(said(fields_of_policy(CATALOG, template, once))))
    assert again == once
    shown = said(fields_of_policy(CATALOG, template, once))
    for field in fields_of_policy(CATALOG, template, other):
        if field.control in {Control.CHOICE, Control.NUMBER} and field.is_set:
            assert shown[field.name] == field.texts


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(TEMPLATES).flatmap(lambda each: st.tuples(st.just(each), trees(CATALOG, offered_by(each)))))
def test_no_settings_whatsoever_break_a_form(drawn: tuple[PolicyTemplate, Settings]) -> None:
    template, base = drawn

    fields = fields_of_policy(CATALOG, template, base)
    read = read_policy(CATALOG, template, base, by_browser(said(fields)))
    findings = validate(CATALOG, template.id, template.platforms, template.technologies, base)
    located(CATALOG, base, findings)
    if not findings:
        assert read == base


CLOUD: Final = SettingId("linux_mdatp_managed_cloudservice_enabled")
ANTIVIRUS: Final = next(each for each in TEMPLATES if each.setting(CLOUD) is not None and each.platforms == "linux")
DAYS: Final = SettingId("linux_mdatp_managed_antivirusengine_scanresultsretentiondays")
SYSTEMS: Final = SettingId("linux_mdatp_managed_antivirusengine_unmonitoredfilesystems")


def read(base: Settings, **sent: str) -> Settings:
    return read_policy(CATALOG, ANTIVIRUS, base, {name: (value,) for name, value in sent.items()})


def test_a_new_setting_refers_to_the_template_of_its_own() -> None:
    (made,) = read((), **{CLOUD: f"{CLOUD}_true"})

    offered = ANTIVIRUS.setting(CLOUD)
    assert offered is not None
    assert made.template == offered.instance_template
    assert isinstance(made, ChoiceSetting)
    assert made.value.value == f"{CLOUD}_true"
    assert read((made,), **{CLOUD: ""}) == ()


def test_a_word_where_a_number_belongs_is_kept_and_named() -> None:
    made = read((), **{DAYS: " soon "})

    (field,) = [each for each in fields_of_policy(CATALOG, ANTIVIRUS, made) if each.definition.id == DAYS]
    assert field.texts == ("soon",)
    findings = validate(CATALOG, ANTIVIRUS.id, ANTIVIRUS.platforms, ANTIVIRUS.technologies, made)
    (fault,) = located(CATALOG, made, findings).of(DAYS)
    assert "string" in fault.message
    (number,) = read(made, **{DAYS: "90"})
    assert isinstance(number, SimpleSetting)
    assert number.value.value == 90


def test_a_list_is_a_line_each_and_may_be_kept_empty() -> None:
    (made,) = read((), **{SYSTEMS: " nfs\r\n\r\nfuse \n"})

    assert isinstance(made, SimpleCollectionSetting)
    assert [value.value for value in made.values] == ["nfs", "fuse"]
    assert read((made,), **{SYSTEMS: ""}) == ()
    (empty,) = read((made,), **{SYSTEMS: "", set_name(SYSTEMS): TICKED})
    assert isinstance(empty, SimpleCollectionSetting)
    assert empty.values == ()
    assert read((empty,), **{SYSTEMS: ""}) == ()


def test_a_setting_that_belongs_elsewhere_stays_until_somebody_takes_it_away() -> None:
    stranger = ChoiceSetting(definition=SettingId("unheard_of"), value=ChoiceValue(value="x"))

    assert read((stranger,), **{CLOUD: ""}) == (stranger,)
    assert read((stranger,), **{clear_name(stranger.definition): TICKED}) == ()


def test_faults_stand_at_what_is_missing_and_inside_their_item() -> None:
    exclusions = SettingId("linux_mdatp_managed_antivirusengine_exclusions")
    kind = SettingId(f"{exclusions}_item_$type")
    option = CATALOG.definition(kind).options[0]
    whole = GroupCollectionSetting(
        definition=exclusions,
        values=(
            GroupValue(),
            GroupValue(children=(ChoiceSetting(definition=kind, value=ChoiceValue(value=option.item_id)),)),
        ),
    )
    template = next(each for each in TEMPLATES if each.setting(exclusions) is not None)
    findings = validate(CATALOG, template.id, template.platforms, template.technologies, (whole,))

    faults = located(CATALOG, (whole,), findings)
    assert faults.of(kind, exclusions, 0)
    assert all(faults.of(setting, exclusions, 1) for setting in option.required_children)
    assert option.required_children
    assert faults.settings == {exclusions}
    assert {place.item for place, _ in faults.inside(exclusions)} == {0, 1}


def test_settings_are_found_by_what_they_say_wherever_they_stand() -> None:
    firewall = next(each for each in TEMPLATES if each.display_name == "Linux Firewall")
    fields = fields_of_policy(CATALOG, firewall, ())

    stealth = found(CATALOG, fields, looking_for("stealth MODE", only_set=False))
    assert {each.definition.id for each in stealth} == {
        f"linux_shieldwall_firewall_{zone}_enablefirewall" for zone in ("trusted", "internal", "public")
    }
    assert found(CATALOG, fields, looking_for("", only_set=True)) == ()
    assert found(CATALOG, fields, looking_for("nothing has these words", only_set=False)) == ()
    rules = next(each for each in TEMPLATES if each.display_name == "Linux Attack Surface Reduction Rules")
    (group,) = found(CATALOG, fields_of_policy(CATALOG, rules, ()), looking_for("redirects", only_set=False))
    assert [each.definition.display_name for each in group.children] == ["Ignore redirects"]
    assert sum(len(each.fields) for each in sections(fields)) == len(fields)


def test_a_field_is_shown_only_where_it_goes_with_what_stands_beside_it() -> None:
    rules = SettingId("linux_shieldwall_firewall_rules")
    protocol, ports = SettingId(f"{rules}_item_protocol"), SettingId(f"{rules}_item_localports")
    offered = CATALOG.definition(rules).children
    (needed,) = CATALOG.definition(ports).requires

    def shown(settings: Settings) -> set[SettingId]:
        return {each.definition.id for each in applicable(fields_of(CATALOG, offered, settings))}

    chosen = ChoiceSetting(definition=protocol, value=ChoiceValue(value=needed.options[0]))
    other = next(each.item_id for each in CATALOG.definition(protocol).options if each.item_id not in needed.options)
    apart = ChoiceSetting(definition=protocol, value=ChoiceValue(value=other))
    assert needed.setting == protocol
    assert ports in shown((chosen,))
    assert ports not in shown((apart,))
    kept = SimpleCollectionSetting(definition=ports, values=(SimpleValue(kind="string", value="22"),))
    assert ports in shown((apart, kept)), "what is set is never hidden"
