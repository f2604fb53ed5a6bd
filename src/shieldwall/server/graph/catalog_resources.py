"""The catalog as Graph resources, shaped once: it does not change while a server runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cached_property

from shieldwall.catalog.categories import categories
from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import SettingId, TemplateId
from shieldwall.server.graph.definition_shapes import category_resource, definition_resource
from shieldwall.server.graph.setting_types import Json
from shieldwall.server.graph.template_shapes import setting_template_resources, template_resource


class CatalogResources:
    """Every resource of one catalog by its id, in the order of the ids."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    @cached_property
    def definitions(self) -> Mapping[str, Json]:
        """The setting definitions."""
        catalog, technologies = self._catalog, self._technologies
        return _in_order(
            definition_resource(catalog, definition, technologies[definition.id])
            for definition in catalog.definitions.values()
        )

    @cached_property
    def categories(self) -> Mapping[str, Json]:
        """The categories, roots included."""
        words: defaultdict[str, set[str]] = defaultdict(set)
        for definition in self._catalog.definitions.values():
            words[definition.platform] |= set(self._technologies[definition.id].split(","))
        return _in_order(
            category_resource(category, _flags(words[category.platform]))
            for category in categories(self._catalog).values()
        )

    @cached_property
    def templates(self) -> Mapping[str, Json]:
        """The policy templates."""
        return _in_order(template_resource(template) for template in self._catalog.templates.values())

    @cached_property
    def _setting_templates(self) -> Mapping[TemplateId, list[Json]]:
        catalog = self._catalog
        return {key: setting_template_resources(catalog, template) for key, template in catalog.templates.items()}

    @cached_property
    def _technologies(self) -> Mapping[SettingId, str]:
        """The technologies of a setting: those of the templates that lead to it, or could refer to it."""
        words: defaultdict[SettingId, set[str]] = defaultdict(set)
        reusable = [definition for definition in self._catalog.definitions.values() if definition.reusable]
        for template in self._catalog.templates.values():
            tops = [setting.definition for setting in template.settings]
            tops += [definition.id for definition in reusable if definition.platform == template.platforms]
            for reached in (below for top in tops for below in self._reached(top)):
                words[reached] |= set(template.technologies.split(","))
        return defaultdict(str, {setting: _flags(own) for setting, own in words.items()})

    def template(self, key: str, expand: frozenset[str]) -> Json | None:
        """Return a policy template, with what is asked for expanded; ``None`` when there is none."""
        found = self.templates.get(key)
        if found is None or "settingTemplates" not in expand:
            return found
        return found | {"settingTemplates": self.setting_templates(key, expand)}

    def setting_templates(self, key: str, expand: frozenset[str]) -> list[Json] | None:
        """Return what a template offers, with its definitions when they are asked for; ``None`` when there is none."""
        found = self._setting_templates.get(TemplateId(key))
        if found is None or "settingDefinitions" not in expand:
            return found
        return [
            each | {"settingDefinitions": self.below(each["settingInstanceTemplate"]["settingDefinitionId"])}
            for each in found
        ]

    def below(self, setting: SettingId) -> list[Json]:
        """Return the definition of a setting and of everything that may stand inside it."""
        return [self.definitions[reached] for reached in self._reached(setting)]

    def _reached(self, setting: SettingId) -> list[SettingId]:
        reached: dict[SettingId, None] = {}
        waiting = [setting]
        while waiting:
            following = waiting.pop()
            definition = self._catalog.definitions.get(following)
            if definition is not None and following not in reached:
                reached[following] = None
                waiting.extend(reversed(definition.nested()))
        return list(reached)


def _in_order(resources: Iterable[Json]) -> dict[str, Json]:
    return {resource["id"]: resource for resource in sorted(resources, key=lambda resource: str(resource["id"]))}


def _flags(words: Iterable[str]) -> str:
    return ",".join(sorted(word for word in words if word))
