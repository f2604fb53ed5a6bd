"""A server for declared objects that fits on a page: it keeps documents, gives ids, and does what a plan says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from hypothesis import strategies as st
from tests.support.graph_bodies import a_policy, retention

from shieldwall.cli.declared.authored import authored
from shieldwall.cli.declared.objects import FOLDERS, NAMED_BY, Declared, Json, Kind, Present
from shieldwall.cli.declared.planning import Action, Plan
from shieldwall.cli.declared.reading import Declaration, declared_in

_TARGET = "#microsoft.graph."
_REFERENCE = "#microsoft.graph.deviceManagementConfigurationReferenceSettingValue"
_NAMES = st.sampled_from(["Web", "web", "WEB", "Database", "../Büro/5", "Kiosk\u202e", "A " * 60, "x.json"])


def to(group: str, *, excluded: bool = False, only: str | None = None) -> Json:
    """An assignment to a group by its name."""
    kind = "exclusionGroupAssignmentTarget" if excluded else "groupAssignmentTarget"
    target: Json = {"@odata.type": _TARGET + kind, "groupName": group}
    if only is not None:
        target["deviceAndAppManagementAssignmentFilterId"] = only
        target["deviceAndAppManagementAssignmentFilterType"] = "include"
    return {"target": target}


def a_declared_group(name: str = "Web", rule: str | None = None) -> Json:
    """A group as a file has it."""
    return {"displayName": name, "description": "", **({"membershipRule": rule} if rule else {})}


def a_declared_filter(name: str = "Edge", rule: str = '(device.displayName -startsWith "edge")') -> Json:
    """A filter as a file has it."""
    return {"displayName": name, "platform": "linux", "rule": rule}


def a_reusable_setting(name: str = "Offices", address: str = "192.0.2.0/24") -> Json:
    """A reusable setting as a file has it."""
    instance = {
        "@odata.type": "#microsoft.graph.deviceManagementConfigurationSimpleSettingInstance",
        "settingDefinitionId": "addresses",
        "simpleSettingValue": {
            "@odata.type": "#microsoft.graph.deviceManagementConfigurationStringSettingValue",
            "value": address,
        },
    }
    return {"displayName": name, "settingDefinitionId": "addresses", "settingInstance": instance}


def referring(name: str) -> Json:
    """A setting that refers to a reusable setting."""
    return {
        "settingInstance": {
            "@odata.type": "#microsoft.graph.deviceManagementConfigurationSimpleSettingCollectionInstance",
            "settingDefinitionId": "remote",
            "simpleSettingCollectionValue": [{"@odata.type": _REFERENCE, "value": name}],
        }
    }


def declaration_of(*objects: tuple[Kind, Json], kinds: Iterable[Kind] | None = None) -> Declaration:
    """Declare documents, each in a file of its own."""
    declared = tuple(
        Declared(kind=kind, document=authored(kind, document), file=PurePath(FOLDERS[kind], f"{number}.json"))
        for number, (kind, document) in enumerate(objects)
    )
    return Declaration(objects=declared, kinds=frozenset(Kind if kinds is None else kinds))


def read_back(files: Mapping[PurePath, bytes]) -> Declaration:
    """Read files that were written."""
    kinds = {folder: kind for kind, folder in FOLDERS.items()}
    declared = declared_in({file: (kinds[file.parts[0]], content) for file, content in files.items()})
    return Declaration(objects=tuple(declared), kinds=frozenset(Kind))


def applied(plan: Plan, present: Sequence[Present]) -> list[Present]:
    """Do what a plan says."""
    there = {each.id: each for each in present}
    for change in plan.changes:
        if change.present is not None:
            del there[change.present.id]
        if change.action is not Action.DELETE:
            assert change.document is not None
            before = change.present.document if change.present else {"assignments": []}
            kept = before if change.kind is Kind.POLICY else {}
            made_id = change.present.id if change.present else f"{change.kind}-{change.name}"
            there[made_id] = Present(kind=change.kind, id=made_id, document=kept | change.document)
    return list(there.values())


@st.composite
def worlds(draw: st.DrawFn) -> list[tuple[Kind, Json]]:
    """Draw objects with unique names, whose references all lead somewhere."""
    groups = draw(st.lists(_NAMES, unique=True, max_size=4))
    filters = draw(st.lists(_NAMES, unique=True, max_size=3))
    reusable = draw(st.lists(_NAMES, unique=True, max_size=3))
    objects: list[tuple[Kind, Json]] = [(Kind.GROUP, a_declared_group(name, _rule(name))) for name in groups]
    objects += [(Kind.FILTER, a_declared_filter(name, draw(st.sampled_from(["a", "b"])))) for name in filters]
    objects += [
        (Kind.REUSABLE_SETTING, a_reusable_setting(name, draw(st.sampled_from(["192.0.2.1", "::1"]))))
        for name in reusable
    ]
    for name in draw(st.lists(_NAMES, unique=True, max_size=4)):
        objects.append((Kind.POLICY, draw(_policies(name, groups, filters, reusable))))
    return objects


def _rule(name: str) -> str | None:
    """Decide by the name, so that a group is never dynamic here and assigned there."""
    return f'(device.displayName -startsWith "{len(name)}")' if len(name) % 2 else None


@st.composite
def _policies(draw: st.DrawFn, name: str, groups: list[str], filters: list[str], reusable: list[str]) -> Json:
    settings: list[Json] = [retention(draw(st.integers(1, 3)))]
    if reusable:
        settings += draw(st.lists(st.sampled_from(reusable).map(referring), max_size=1))
    policy: dict[str, Any] = a_policy(name, settings=draw(st.permutations(settings)))
    if draw(st.booleans()):
        narrowed = st.none() | st.sampled_from(filters) if filters else st.none()
        targets = st.builds(to, st.sampled_from(groups), only=narrowed) if groups else st.nothing()
        policy["assignments"] = draw(st.lists(targets, max_size=3)) if groups else []
    if draw(st.booleans()):
        policy["description"] = draw(st.sampled_from(["", "Why"]))
    if draw(st.booleans()):
        policy["priorityMetaData"] = {"priority": draw(st.integers(1, 2))}
    return policy


def server_of(objects: Iterable[tuple[Kind, Json]]) -> list[Present]:
    """Put documents on a server; policies without assignments are assigned to nobody."""
    return [
        Present(
            kind=kind,
            id=f"{kind}-{document[NAMED_BY[kind]].strip()}",
            document=({"assignments": []} if kind is Kind.POLICY else {}) | authored(kind, document),
        )
        for kind, document in objects
    ]
