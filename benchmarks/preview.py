"""What a preview costs on a large fleet, on both engines, and a device that many policies speak to.

The fleet: devices in random groups, policies over the same settings assigned to random groups, so that hardly two
devices get the same policies. The change edits a policy and assigns it to everybody: the widest there is.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select

from benchmarks.bulk_filling import filling
from benchmarks.engines import Measured, on_both
from benchmarks.figures import Bar, Figure
from benchmarks.fleets import TENANT, add_devices, add_tenant, device_id, group_id, median_cost, moment
from shieldwall.catalog.loader import load
from shieldwall.catalog.model import Catalog, Kind
from shieldwall.contract import strict_json
from shieldwall.contract.conflicts import PUBLISHED
from shieldwall.contract.ids import PolicyId, SettingId, TemplateId
from shieldwall.contract.settings import (
    ChoiceSetting,
    ChoiceValue,
    GroupCollectionSetting,
    GroupValue,
    PolicyDocument,
    SettingInstance,
    SimpleSetting,
    SimpleValue,
)
from shieldwall.policy.device_sets import count
from shieldwall.policy.prepared import prepare
from shieldwall.policy.resolve import resolve_prepared
from shieldwall.server.directory.acting import Acting
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.manager.change_plans import ChangeSet, Update
from shieldwall.server.manager.drafts import PolicyDraft
from shieldwall.server.manager.policies import Policies
from shieldwall.server.manager.preview import Proposal, preview
from shieldwall.server.signer.in_process import InProcessSigner
from shieldwall.server.storage.records import AssignmentKind
from shieldwall.server.storage.tables.schema import devices, group_members, groups
from shieldwall.server.system import SystemClock, new_id

DEVICES, POLICIES, GROUPS, GROUPS_OF_A_DEVICE = 100_000, 100, 200, 6
ANTIVIRUS = TemplateId("4cfd164c-5e8a-4ea9-b15d-9aa71e4ffff4_1")
EXCLUSIONS = "linux_mdatp_managed_antivirusengine_exclusions"


def measure(home: Path, *, quick: bool = False) -> list[Figure]:
    """Measure one device's resolution, which needs no database, and a preview for the whole fleet on both engines."""
    fleet = 5_000 if quick else DEVICES
    catalog, chance = load(), random.Random(1)  # noqa: S311 - made-up fleets, nothing secret
    drafts = [antivirus_draft(catalog, chance, number) for number in range(POLICIES)]
    return [
        *_measure_resolve(catalog, drafts[:50]),
        *on_both(home, lambda measured: [_measure_preview(measured, catalog, drafts, fleet=fleet)]),
    ]


def _measure_resolve(catalog: Catalog, drafts: list[PolicyDraft]) -> list[Figure]:
    documents = [_document(draft, number) for number, draft in enumerate(drafts)]
    bodies = [strict_json.encode(document) for document in documents]
    prepared = [prepare(catalog, document) for document in documents]
    settings = len(resolve_prepared(catalog, prepared, PUBLISHED).settings)
    decided = median_cost(50, lambda: resolve_prepared(catalog, prepared, PUBLISHED))
    readied = median_cost(20, lambda: [prepare(catalog, document) for document in documents])
    read = median_cost(10, lambda: [strict_json.decode(body, PolicyDocument) for body in bodies])
    what = f"resolve: one device, {len(drafts)} policies, {settings} settings, made ready before"
    return [
        Figure(what, decided * 1e3, "ms CPU", bar=Bar(2)),
        Figure(f"… making {len(drafts)} policies ready, once a revision", readied * 1e3, "ms CPU"),
        Figure("… reading them from JSON, once a revision", read * 1e3, "ms CPU"),
    ]


def _measure_preview(measured: Measured, catalog: Catalog, drafts: list[PolicyDraft], *, fleet: int) -> Figure:
    acting = Acting(
        tenant_id=TENANT,
        actor="bench",
        clock=SystemClock(),
        new_id=new_id,
        on_devices_changed=lambda _connection, _devices: None,
    )
    authoring = Policies(catalog=catalog, signatures=InProcessSigner.create(measured.home, TENANT, SystemClock()))
    policies = _fill(measured, acting, authoring, drafts, fleet)
    everybody = (Assigned(kind=AssignmentKind.ALL_DEVICES),)
    edited = antivirus_draft(catalog, random.Random(2), POLICIES)  # noqa: S311 - as above
    edit = Update(policy=policies[0], draft=edited, assigned=everybody)
    proposal = Proposal(change_set=ChangeSet(changes=(edit,)))
    with measured.database.read() as connection:
        shown = preview(connection, catalog, acting, proposal)
        cost = measured.median_cost(5, lambda: preview(connection, catalog, acting, proposal))
    found = f"{len(shown.comparison.changes)} changes found on {count(shown.comparison.changed):,} devices"
    what = f"preview: a policy edited and assigned to everybody, {fleet:,} devices, {POLICIES} policies"
    return Figure(what, cost, "s CPU", engine=measured.engine, bar=Bar(3), note=found)


def _fill(
    measured: Measured, acting: Acting, authoring: Policies, drafts: list[PolicyDraft], fleet: int
) -> list[PolicyId]:
    """Make policies, groups and the fleet; return the policies' ids."""
    chance = random.Random(2)  # noqa: S311 - as above
    with measured.database.write() as connection:
        add_tenant(connection)
        policies = [authoring.create(connection, acting, draft).id for draft in drafts]
        connection.execute(groups.insert(), list(_groups()))
        for policy in policies:
            wanted = [
                Assigned(kind=AssignmentKind.INCLUDE, group_id=group_id(number))  # type: ignore[arg-type]  # an id
                for number in chance.sample(range(GROUPS), chance.randint(2, 20))
            ]
            assign(connection, acting, policy, wanted)
        add_devices(connection, range(fleet), catalog_version=authoring.catalog.version)
        numbers = [dict(connection.execute(select(each.c.id, each.c.number)).all()) for each in (groups, devices)]
    with filling(measured.database) as tables:
        tables.write(group_members, list(_memberships(chance, fleet, *numbers)))
    measured.settle()
    return policies


def antivirus_draft(catalog: Catalog, chance: random.Random, number: int) -> PolicyDraft:
    """Write an antivirus policy: half of the plain settings there are, and twenty exclusions."""
    plain = [
        catalog.definition(offered.definition)
        for offered in catalog.template(ANTIVIRUS).settings
        if catalog.definition(offered.definition).kind in {Kind.CHOICE, Kind.SIMPLE_INTEGER}
    ]
    settings: list[SettingInstance] = []
    for definition in chance.sample(plain, len(plain) // 2):
        if definition.options:
            value = ChoiceValue(value=chance.choice(definition.options).item_id)
            settings.append(ChoiceSetting(definition=definition.id, value=value))
        else:
            low, high = definition.limits.minimum or 0, definition.limits.maximum or 10
            simple = SimpleValue(kind="integer", value=chance.randint(low, min(high, low + 5)))
            settings.append(SimpleSetting(definition=definition.id, value=simple))
    paths = chance.sample(range(500), 20)
    settings.append(
        GroupCollectionSetting(
            definition=SettingId(EXCLUSIONS), values=tuple(GroupValue(children=(_excluded(path),)) for path in paths)
        )
    )
    return PolicyDraft(
        name=f"Policy {number}",
        platforms="linux",
        technologies="microsoftSense",
        template_id=ANTIVIRUS,
        settings=tuple(settings),
    )


def _excluded(number: int) -> ChoiceSetting:
    path = SimpleSetting(
        definition=SettingId(f"{EXCLUSIONS}_item_path"), value=SimpleValue(kind="string", value=f"/srv/data/{number}")
    )
    kind = SettingId(f"{EXCLUSIONS}_item_$type")
    return ChoiceSetting(definition=kind, value=ChoiceValue(value=f"{kind}_0", children=(path,)))


def _document(draft: PolicyDraft, number: int) -> PolicyDocument:
    return PolicyDocument(
        tenant_id=TENANT,
        policy_id=PolicyId(f"bbbbbbbb-0000-4000-8000-{number:012x}"),
        revision=1,
        name=draft.name,
        platforms=draft.platforms,
        technologies=draft.technologies,
        template_id=draft.template_id,
        modified_at=(moment() + timedelta(minutes=number)).isoformat(),
        catalog_version="2026.11.2",
        settings=draft.settings,
    )


def _groups() -> Iterator[dict[str, object]]:
    for number in range(GROUPS):
        yield {
            "id": group_id(number),
            "tenant_id": TENANT,
            "display_name": f"Group {number}",
            "description": "",
            "mail_nickname": f"group{number}",
            "membership_rule": None,
            "created_at": moment(),
        }


def _memberships(
    chance: random.Random, fleet: int, of_groups: Mapping[str, int], of_devices: Mapping[str, int]
) -> Iterator[dict[str, object]]:
    for number in range(fleet):
        for group in chance.sample(range(GROUPS), GROUPS_OF_A_DEVICE):
            yield {"group_number": of_groups[group_id(group)], "device_number": of_devices[device_id(number)]}
