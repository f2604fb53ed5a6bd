"""Coverage: every setting that could be set is told once, with all who set it, whoever they are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.support.manager_world import CLOUD, FIREWALL_ON, World, a_draft, a_firewall_draft
from tests.support.policies import catalog
from tests.support.samples import TENANT_ID

from shieldwall.contract.ids import PolicyId, SettingId
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.manager.coverage import Covered, PolicySets, coverage, policies_of_tenant, summary
from shieldwall.server.storage.records import AssignmentKind

CATALOG = catalog()
TEMPLATES = sorted(CATALOG.templates)
SETTINGS = sorted({entry.definition for template in CATALOG.templates.values() for entry in template.settings})


@st.composite
def policies(draw: st.DrawFn) -> PolicySets:
    template = CATALOG.templates[draw(st.sampled_from(TEMPLATES))]
    mine = [entry.definition for entry in template.settings]
    return PolicySets(
        id=PolicyId(draw(st.uuids().map(str))),
        name=draw(st.sampled_from(["A", "B"])),
        template_id=template.id,
        platforms=template.platforms,
        settings=frozenset(draw(st.lists(st.sampled_from(mine), max_size=4))) if mine else frozenset(),
        is_assigned=draw(st.booleans()),
    )


@given(st.lists(policies(), max_size=6))
def test_coverage_is_what_the_policies_set(every: list[PolicySets]) -> None:
    rows = coverage(CATALOG, every)

    assert len({(row.platform, row.family, row.setting) for row in rows}) == len(rows)
    for row in rows:
        mine = [each for each in every if row.setting in each.settings and row.platform in each.platforms.split(",")]
        assert sorted(each.id for each in row.policies) == sorted(each.id for each in mine)
        wanted = Covered.UNSET if not mine else Covered.UNASSIGNED
        assert row.covered is (Covered.SET if any(each.is_assigned for each in mine) else wanted)
        definition = CATALOG.definition(row.setting)
        assert definition.supported
        assert not definition.deprecated
    counted = summary(rows)
    assert sum(count for each in counted.values() for count in each.values()) == len(rows)


def test_every_setting_that_a_template_offers_is_told() -> None:
    offered = {
        (template.platforms, template.family, entry.definition)
        for template in CATALOG.templates.values()
        if template.supported and "," not in template.platforms
        for entry in template.settings
        if CATALOG.definition(entry.definition).supported and not CATALOG.definition(entry.definition).deprecated
    }
    assert offered <= {(row.platform, row.family, row.setting) for row in coverage(CATALOG, [])}
    assert offered


def test_policies_are_read_with_what_they_set(world: World) -> None:
    with world.database.write() as connection:
        antivirus = world.policies.create(connection, world.acting, a_draft("Antivirus"))
        firewall = world.policies.create(connection, world.acting, a_firewall_draft("Firewall"))
        assign(connection, world.acting, firewall.id, [Assigned(kind=AssignmentKind.ALL_DEVICES)])
        read = {each.id: each for each in policies_of_tenant(connection, TENANT_ID)}

    assert CLOUD in read[antivirus.id].settings
    rows = {row.setting: row for row in coverage(world.catalog, read.values()) if row.platform == "linux"}
    assert rows[CLOUD].covered is Covered.UNASSIGNED
    assert rows[FIREWALL_ON].covered is Covered.SET
    assert [each.name for each in rows[FIREWALL_ON].policies] == ["Firewall"]
    unset = [row.setting for row in rows.values() if row.covered is Covered.UNSET]
    assert SettingId("linux_mdatp_managed_cloudservice_diagnosticlevel") in unset
