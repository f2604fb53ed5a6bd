"""Macs for tests: a directory that is one, with Defender on it."""

from __future__ import annotations

import plistlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Final

from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.host.macos.preferences import ATTACHED
from shieldwall.agent.providers.base import Desired
from shieldwall.agent.providers.macos.provider import PREFIX
from shieldwall.catalog.loader import load
from shieldwall.catalog.model import Catalog, Kind, Merge, SettingDefinition
from shieldwall.contract.ids import SettingId, TemplateId
from shieldwall.policy.values import Item, SettingValue
from shieldwall.testing.mdatp import PretendMdatp

CATALOG: Final = load(platform="macOS")
ANTIVIRUS: Final = TemplateId("2d345ec2-c817-49e5-9156-3ed416dc972a_1")
EXCLUSIONS: Final = TemplateId("43397174-2244-4006-b5ad-421b369e90d4_1")
EDR: Final = TemplateId("a6ff37f6-c841-4264-9249-1ecf793d94ef_1")
PROGRAMS: Final = "usr/local/bin"


@dataclass(kw_only=True)
class Mac:
    """A Mac below a directory, with Defender's program in the place where it is on a real one."""

    root: Path
    mdatp: PretendMdatp = field(init=False)
    host: LocalHost = field(init=False)

    def __post_init__(self) -> None:
        self.mdatp = PretendMdatp(root=self.root, platform="macos")
        self.mdatp.install(PROGRAMS)
        self.host = LocalHost(self.root, program_directories=[self.root / PROGRAMS])

    def put(self, path: PurePosixPath, document: Any) -> None:
        """Write a property list as another program would."""
        self.host.write_file(path, plistlib.dumps(document))

    def preferences(self, path: PurePosixPath = ATTACHED) -> Any:
        """Read a property list; ``None`` where there is none."""
        content = self.host.read_file(path)
        return None if content is None else plistlib.loads(content)


def setting(name: str) -> SettingId:
    """Name a setting of Defender on macOS."""
    return SettingId(PREFIX + name)


def choice(name: str, suffix: str) -> Desired:
    """Ask for an option by the end of its id."""
    return {setting(name): f"{PREFIX}{name}_{suffix}"}


def top_level(catalog: Catalog = CATALOG, template: TemplateId | None = None) -> Iterator[SettingDefinition]:
    """Yield the settings of one template, or of all, that are decided by themselves."""
    for each in catalog.templates.values() if template is None else (catalog.template(template),):
        for offered in each.settings:
            definition = catalog.definition(offered.definition)
            if definition.merge is Merge.MEMBERS:
                yield from map(catalog.definition, definition.children)
            else:
                yield definition


def sample(definition: SettingDefinition, catalog: Catalog = CATALOG) -> SettingValue:
    """Choose a value that differs from what the product does by itself wherever one does."""
    match definition.kind:
        case Kind.CHOICE:
            return next(each.item_id for each in definition.options if each.value != definition.landing_default)
        case Kind.SIMPLE_INTEGER:
            assert definition.limits.minimum is not None
            return definition.limits.minimum + 1
        case Kind.SIMPLE_STRING_COLLECTION:
            return definition.limits.allowed or ("First", "Second ä")
        case Kind.GROUP_COLLECTION:
            return _samples(definition, catalog)
        case _:
            return _TEXTS.get(definition.id.removeprefix(PREFIX), "Sample ä & <b>")


_TEXTS: Final = {
    "exclusions_item_path": "/Users/*/Library/Caches",
    "exclusions_item_name": "make",
    "exclusions_item_extension": "log",
    "exclusions_item_path_tamperprotection": "/usr/bin/ruby",
    "exclusions_item_signingid_tamperprotection": "com.apple.ruby",
    "proxy": "http://proxy.example:3128",
    "offlinedefinitionupdateurl": "https://mirror.example/defs",
    "groupids": "g1,g2",
}


def _samples(group: SettingDefinition, catalog: Catalog) -> tuple[Item, ...]:
    """Make an item for each option of the group's first member that leads on, one where none does."""
    members = [catalog.definition(child) for child in group.children]
    leading = next((each for each in members if any(option.children for option in each.options)), None)
    if leading is None:
        return (Item(tuple(sorted((each.id, sample(each, catalog)) for each in members))),)
    items = []
    for option in leading.options:
        chosen: dict[SettingId, SettingValue] = {leading.id: option.item_id}
        chosen |= {child: sample(catalog.definition(child), catalog) for child in option.children}
        items.append(Item(tuple(sorted(chosen.items()))))
    return tuple(items)
