"""Every setting of the catalog can be set, previewed, resolved and explained."""

from __future__ import annotations

import pytest
from tests.support import every_setting
from tests.support import policies as p
from tests.support.manager_world import World
from tests.support.samples import TENANT_ID

from shieldwall.catalog.model import Merge, PolicyTemplate
from shieldwall.catalog.validate import validate
from shieldwall.contract.settings import SettingInstance, walk
from shieldwall.policy.applicability import PLATFORMS
from shieldwall.policy.outcomes import Decided
from shieldwall.policy.prepared import prepare
from shieldwall.policy.resolve import explain
from shieldwall.policy.words import in_words
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.manager.change_plans import ChangeSet, Create
from shieldwall.server.manager.drafts import PolicyDraft
from shieldwall.server.manager.preview import Proposal, preview
from shieldwall.server.manager.revisions import document_of
from shieldwall.server.manager.statuses import effective_of
from shieldwall.server.storage.policies import revisions
from shieldwall.server.storage.records import AssignmentKind

ALL = Assigned(kind=AssignmentKind.ALL_DEVICES)
DELIVERED = [template for template in p.catalog().templates.values() if template.supported]
REFERENCES = ("addressgroups", "dynamickeywords")
"""Members that name reusable settings, which would have to be there."""


def test_a_way_leads_to_every_setting_that_is_delivered() -> None:
    catalog = p.catalog()
    reached = {path[-1][0] for template in DELIVERED for path in every_setting.paths(catalog, template)}
    shown_only = {
        setting
        for template in catalog.templates.values()
        if not template.supported
        for path in every_setting.paths(catalog, template)
        for setting, _ in path
    }
    for_references = {
        member
        for definition in catalog.definitions.values()
        if definition.reusable
        for member in (definition.id, *definition.nested())
    }
    missing = {setting for setting, definition in catalog.definitions.items() if definition.supported} - reached

    assert missing == (for_references | shown_only) - reached


def settings_inside(settings: tuple[SettingInstance, ...]) -> bool:
    """Whether anything is set: a group whose members are decided apart may be empty, and then says nothing."""
    return any(p.catalog().definition(each.definition).merge is not Merge.MEMBERS for each in walk(settings))


@pytest.mark.parametrize("template", DELIVERED, ids=lambda template: f"{template.platforms}-{template.display_name}")
def test_every_setting_can_be_set_previewed_resolved_and_explained(world: World, template: PolicyTemplate) -> None:
    system = next(system for system, platform in PLATFORMS.items() if platform == template.platforms)
    with world.undone() as connection:
        device = world.join(connection, 1, os_type=system, catalog_version=world.catalog.version)
        for path in every_setting.paths(world.catalog, template):
            setting = path[-1][0]
            settings = every_setting.policy(world.catalog, path)
            draft = PolicyDraft(
                name=setting[:200],
                platforms=template.platforms,
                technologies=template.technologies,
                template_id=template.id,
                settings=settings,
            )
            assert validate(world.catalog, template.id, template.platforms, template.technologies, settings) == ()
            if setting.endswith(REFERENCES):
                continue
            proposal = Proposal(change_set=ChangeSet(changes=(Create(draft=draft, assigned=(ALL,)),)))
            shown = preview(connection, world.catalog, world.acting, proposal)
            policy = world.policies.create(connection, world.acting, draft)
            assign(connection, world.acting, policy.id, [ALL])

            sent = prepare(world.catalog, document_of(revisions.get(connection, policy.id, 1)))
            effect = effective_of(connection, world.catalog, TENANT_ID, device)
            found = {each.setting: each.resolution for each in effect.settings}
            changed = {change.setting for change in shown.comparison.changes}
            assert changed == set(sent.contenders)
            for each in sent.contenders:
                resolution = found[each]
                assert isinstance(resolution, Decided)
                assert in_words(world.catalog, each, resolution.value)
                assert policy.name in explain(world.catalog, resolution)
            if settings_inside(settings):
                assert {part.definition for part in walk(settings)} & sent.contenders.keys()
            world.policies.delete(connection, world.acting, policy.id)
