"""Setting instances, policy documents and strategies for them. Ids are counted, so a test reads which is which."""

from __future__ import annotations

from functools import cache
from typing import Final

from hypothesis import strategies as st

from shieldwall.catalog.loader import load
from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import PolicyId, SettingId, TemplateId, TenantId
from shieldwall.contract.settings import (
    ChoiceCollectionSetting,
    ChoiceSetting,
    ChoiceValue,
    GroupCollectionSetting,
    GroupValue,
    PolicyDocument,
    SettingInstance,
    SimpleCollectionSetting,
    SimpleSetting,
    SimpleValue,
)

ANTIVIRUS: Final = TemplateId("4cfd164c-5e8a-4ea9-b15d-9aa71e4ffff4_1")
ANTIVIRUS_EXCLUSIONS: Final = TemplateId("8a17a1e5-3df4-4e07-9d20-3878267a79b8_1")
GLOBAL_EXCLUSIONS: Final = TemplateId("dfa57610-d11d-4bf8-89d6-1f5cb1679506_1")
DETECTION: Final = TemplateId("3514388a-d4d1-4aa8-bd64-c317776008f5_1")
FIREWALL_RULES: Final = TemplateId("c0f6a2d4-7b1e-4f0c-9a53-2f1b8e7d6c90_1")

ENGINE: Final = "linux_mdatp_managed_antivirusengine_"
LEVEL: Final = SettingId(ENGINE + "enforcementlevel")
RETENTION: Final = SettingId(ENGINE + "scanresultsretentiondays")
THREADS: Final = SettingId(ENGINE + "maximumondemandscanthreads")
"""A setting of which no value is stronger than another."""
DAY: Final = SettingId(ENGINE + "scheduledscan_dayofweek")
"""A setting of which some values are equally strong."""
FILE_SYSTEMS: Final = SettingId(ENGINE + "unmonitoredfilesystems")
THREAT_TYPES: Final = SettingId(ENGINE + "threattypesettings")
EXCLUSIONS: Final = SettingId(ENGINE + "exclusions")
TAGS: Final = SettingId("linux_mdatp_managed_edr_tags")
RULES: Final = SettingId("linux_shieldwall_firewall_rules")


@cache
def catalog() -> Catalog:
    return load()


def choice(setting: str, suffix: str, *children: SettingInstance) -> ChoiceSetting:
    return ChoiceSetting(definition=SettingId(setting), value=ChoiceValue(value=setting + suffix, children=children))


def choices(setting: str, *suffixes: str) -> ChoiceCollectionSetting:
    chosen = tuple(ChoiceValue(value=setting + suffix) for suffix in suffixes)
    return ChoiceCollectionSetting(definition=SettingId(setting), values=chosen)


def text(setting: str, value: str) -> SimpleSetting:
    return SimpleSetting(definition=SettingId(setting), value=SimpleValue(kind="string", value=value))


def number(setting: str, value: int) -> SimpleSetting:
    return SimpleSetting(definition=SettingId(setting), value=SimpleValue(kind="integer", value=value))


def texts(setting: str, *values: str) -> SimpleCollectionSetting:
    simple = tuple(SimpleValue(kind="string", value=value) for value in values)
    return SimpleCollectionSetting(definition=SettingId(setting), values=simple)


def items(setting: str, *values: tuple[SettingInstance, ...]) -> GroupCollectionSetting:
    groups = tuple(GroupValue(children=children) for children in values)
    return GroupCollectionSetting(definition=SettingId(setting), values=groups)


def excluded_path(path: str, group: str = EXCLUSIONS) -> tuple[SettingInstance, ...]:
    return (choice(f"{group}_item_$type", "_0", text(f"{group}_item_path", path)),)


def firewall_rule(name: str, action: str = "block", *others: SettingInstance) -> tuple[SettingInstance, ...]:
    return (text(f"{RULES}_item_name", name), choice(f"{RULES}_item_action", f"_{action}"), *others)


def document(
    number: int,
    *settings: SettingInstance,
    template: TemplateId = ANTIVIRUS,
    modified_at: str = "2026-11-23T12:00:00Z",
) -> PolicyDocument:
    return PolicyDocument(
        tenant_id=TenantId("00000000-0000-4000-8000-00000000000a"),
        policy_id=PolicyId(f"bbbbbbbb-0000-4000-8000-{number:012x}"),
        revision=1,
        name=f"Policy {number}",
        platforms="linux",
        technologies="microsoftSense",
        template_id=template,
        modified_at=modified_at,
        catalog_version=catalog().version,
        settings=settings,
    )


def _choices(setting: str) -> st.SearchStrategy[SettingInstance]:
    definition = catalog().definition(SettingId(setting))
    suffixes = [option.item_id.removeprefix(setting) for option in definition.options]
    return st.sampled_from(suffixes).map(lambda suffix: choice(setting, suffix))


def _threat_types() -> st.SearchStrategy[SettingInstance]:
    pairs = st.dictionaries(st.sampled_from(["_0", "_1"]), st.sampled_from(["_0", "_1", "_2"]))
    return pairs.map(
        lambda chosen: items(
            THREAT_TYPES,
            *(
                (choice(f"{THREAT_TYPES}_item_key", key), choice(f"{THREAT_TYPES}_item_value", value))
                for key, value in chosen.items()
            ),
        )
    )


_MOMENTS: Final = st.sampled_from(["2026-11-23T12:00:00Z", "2026-11-23T12:00:00.5Z", "2026-11-24T00:00:00Z"])
_PATHS: Final = st.lists(st.sampled_from(["/srv/a", "/srv/b", "/srv/c", "/var/cache/d"]), unique=True)
_SETTINGS: Final = {
    LEVEL: _choices(LEVEL),
    SettingId(ENGINE + "scanarchives"): _choices(ENGINE + "scanarchives"),
    SettingId(ENGINE + "offlinedefinitionupdate"): _choices(ENGINE + "offlinedefinitionupdate"),
    RETENTION: st.integers(1, 4).map(lambda days: number(RETENTION, days)),
    THREADS: st.integers(1, 4).map(lambda threads: number(THREADS, threads)),
    DAY: _choices(DAY),
    FILE_SYSTEMS: st.lists(st.sampled_from(["nfs", "fuse", "tmpfs"]), unique=True).map(
        lambda names: texts(FILE_SYSTEMS, *names)
    ),
    EXCLUSIONS: _PATHS.map(lambda paths: items(EXCLUSIONS, *map(excluded_path, paths))),
    THREAT_TYPES: _threat_types(),
    TAGS: st.sampled_from(["blue", "red"]).map(
        lambda tag: items(TAGS, (choice(f"{TAGS}_item_key", "_0"), text(f"{TAGS}_item_value", tag)))
    ),
}


@st.composite
def rivals(draw: st.DrawFn, setting: SettingId, count: int) -> list[PolicyDocument]:
    """Policies that all set one setting, to one of two values, so that many of them agree."""
    values = st.sampled_from([draw(_SETTINGS[setting]), draw(_SETTINGS[setting])])
    return [document(index, draw(values), modified_at=draw(_MOMENTS)) for index in range(count)]


CONTESTED: Final = tuple(sorted(_SETTINGS))
"""Settings that policies meet on: every merge rule is among them."""


@st.composite
def documents(draw: st.DrawFn, at_most: int = 5) -> list[PolicyDocument]:
    """Several policies over the same few settings, so that they meet often; every merge rule is among them."""
    count = draw(st.integers(1, at_most))
    return [
        document(
            index,
            *(draw(_SETTINGS[setting]) for setting in draw(st.sets(st.sampled_from(sorted(_SETTINGS))).map(sorted))),
            modified_at=draw(_MOMENTS),
        )
        for index in range(count)
    ]
