"""Settings of attack surface reduction by the short names of their rules, and strategies for all of a provider."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import PurePosixPath
from typing import Final

from hypothesis import strategies as st
from tests.support.setting_strategies import values_of

from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.base import Desired, Files, Kept, Provider, Rendered
from shieldwall.agent.providers.hardening.base import HardeningProvider
from shieldwall.agent.providers.hardening.rules import EVERY_RULE, Vocabulary
from shieldwall.catalog.loader import load
from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import SettingId
from shieldwall.policy.values import SettingValue

PREFIX: Final = "linux_shieldwall_attacksurfacereductionrules_"
EXCLUSIONS: Final = SettingId("linux_shieldwall_attacksurfacereductiononlyexclusions")


@cache
def catalog() -> Catalog:
    return load()


def setting(rule: str, part: str = "") -> SettingId:
    return SettingId(PREFIX + rule.lower() + (f"_{part}" if part else ""))


def modes(**rules: str) -> Desired:
    """Rules by name, with the word of their mode."""
    return {setting(rule): f"{setting(rule)}_{mode}" for rule, mode in rules.items()}


def exclusions(rule: str, *entries: str) -> Desired:
    return {setting(rule, "perruleexclusions"): entries}


def settings_of(provider: HardeningProvider) -> tuple[SettingId, ...]:
    """Everything that a provider may be given."""
    words = Vocabulary.of(catalog())
    extra = (EVERY_RULE,) if provider.takes_exclusions_of_all else ()
    return tuple(name for name in words.places if words.rule_of(name) in {*provider.rules, *extra})


def desired_of(provider: HardeningProvider) -> st.SearchStrategy[Desired]:
    values: dict[SettingId, st.SearchStrategy[SettingValue]] = {
        name: values_of(catalog(), name) for name in settings_of(provider)
    }
    return st.fixed_dictionaries({}, optional=values)


def contents_of(
    provider: HardeningProvider, special: dict[PurePosixPath, st.SearchStrategy[bytes | None]]
) -> st.SearchStrategy[Files]:
    """Any bytes in any file, where ``special`` says nothing else."""
    anything = st.none() | st.binary(max_size=20)
    return st.fixed_dictionaries({path: special.get(path, anything) for path in provider.files()})


def apply(host: Host, provider: Provider, desired: Desired, kept: Kept | None = None) -> Rendered:
    """Write and activate as the engine does, without its journal."""
    before = {path: host.read_file(path) for path in provider.files()}
    rendered = provider.render(before, desired, kept or {})
    for path, content in rendered.files.items():
        if content != before.get(path):
            host.write_file(path, content)
    provider.activate(host)
    return rendered


def codes(rendered: Rendered, names: Iterable[SettingId]) -> list[str | None]:
    return [rendered.rejected[name][0].code for name in names]
