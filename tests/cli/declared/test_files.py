"""Declared objects as files: read from a directory, written to one."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath

import pytest
from hypothesis import given
from tests.support.command_line import written
from tests.support.declared_world import (
    a_declared_filter,
    a_declared_group,
    a_reusable_setting,
    read_back,
    server_of,
    to,
    worlds,
)
from tests.support.graph_bodies import a_policy

from shieldwall.cli.declared.authored import authored
from shieldwall.cli.declared.objects import InvalidDeclarationError, Json, Kind
from shieldwall.cli.declared.reading import read_directory
from shieldwall.cli.declared.writing import files_of


@given(worlds())
def test_what_is_written_is_what_is_read(there: list[tuple[Kind, Json]]) -> None:
    server = server_of(there)

    files = files_of(server)

    found = {(each.kind, each.name): each.document for each in read_back(files).objects}
    assert found == {(each.kind, each.name): each.document for each in server}
    assert len({str(file).casefold() for file in files}) == len(server)
    assert all(len(file.parts) == 2 and len(file.name) < 100 and ".." not in file.parts for file in files)


def test_files_are_written_as_people_read_them() -> None:
    ((file, content),) = files_of(server_of([(Kind.GROUP, a_declared_group("Büro: \u202eWeb"))])).items()

    assert file == PurePath("groups/Büro_ _Web.json")
    assert content == '{\n  "displayName": "Büro: \u202eWeb",\n  "description": ""\n}\n'.encode()


def test_a_directory_is_read_with_the_folders_that_it_has(tmp_path: Path) -> None:
    written(tmp_path / "policies" / "linux" / "one.json", a_policy("One"), "utf-16")
    written(tmp_path / "policies" / "more.json", [a_policy("Two"), {"RAWJson": json.dumps(a_policy("Three"))}])
    written(tmp_path / "groups" / "web.json", a_declared_group())
    (tmp_path / "policies" / "README.md").write_text("About these.")

    found = read_directory(tmp_path)

    assert [(each.kind, each.name, each.file.name) for each in found.objects] == [
        (Kind.GROUP, "Web", "web.json"),
        (Kind.POLICY, "One", "one.json"),
        (Kind.POLICY, "Two", "more.json"),
        (Kind.POLICY, "Three", "more.json"),
    ]
    assert found.kinds == {Kind.GROUP, Kind.POLICY}


def test_everything_that_is_wrong_is_named_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "a.yaml").write_text("name: x")
    (tmp_path / "policies" / "b.json").write_text("{")
    written(tmp_path / "policies" / "c.json", a_policy(novelty=1))
    written(tmp_path / "policies" / "d.json", a_policy("Twice"))
    written(tmp_path / "policies" / "e.json", a_policy("Twice "))
    written(tmp_path / "groups" / "f.json", a_declared_group() | {"members": []})
    written(tmp_path / "g.json", a_policy("Astray"))

    with pytest.raises(InvalidDeclarationError) as refused:
        read_directory(tmp_path)

    notes = sorted(refused.value.__notes__)
    assert [note.partition(": ")[0] for note in notes] == [
        "The policy 'Twice' is declared 2 times",
        "g.json is in no folder of",
        "groups/f.json",
        "policies/a.yaml",
        "policies/b.json",
        "policies/c.json",
    ]
    assert "policies/d.json, policies/e.json" in notes[0]
    assert "YAML is not read" in notes[3]


def test_nothing_is_passed_over_that_pruning_would_then_delete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("policies/shared", "policies/closed", "elsewhere"):
        written(tmp_path / folder / "one.json", a_policy(folder))
    (tmp_path / "policies" / "linked").symlink_to(tmp_path / "elsewhere")
    scan = os.scandir

    def scandir(path: str) -> Iterator[os.DirEntry[str]]:
        if str(path).endswith("closed"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)  # root, as which tests may run, is kept out of nowhere

    with pytest.raises(InvalidDeclarationError) as refused:
        read_directory(tmp_path)

    assert refused.value.__notes__ == [
        "policies/linked is a link to a folder, which is not followed.",
        "policies/closed cannot be read: Permission denied.",
    ]


def test_what_is_no_file_or_has_no_end_is_not_read(tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    os.mkfifo(folder / "pipe.json")
    (folder / "zero.json").symlink_to("/dev/zero")
    (folder / "gone.json").symlink_to("gone")
    (folder / "loop.json").symlink_to("loop.json")
    with (folder / "huge.json").open("wb") as huge:
        huge.truncate(1 << 40)

    with pytest.raises(InvalidDeclarationError) as refused:
        read_directory(tmp_path)

    assert sorted(refused.value.__notes__) == [
        "policies/gone.json cannot be read: No such file or directory.",
        "policies/huge.json cannot be read: it has more than 64 MiB.",
        "policies/loop.json cannot be read: Too many levels of symbolic links.",
        "policies/pipe.json cannot be read: it is no regular file.",
        "policies/zero.json cannot be read: it is no regular file.",
    ]


@pytest.mark.parametrize(
    ("kind", "document", "cause"),
    [
        (Kind.POLICY, [], "A policy is a JSON object."),
        (Kind.POLICY, {"name": "x"}, "A policy needs the member 'platforms'."),
        (Kind.POLICY, a_policy(" "), "The member 'name' is not a name."),
        (Kind.POLICY, a_policy(platforms=7), "The member 'platforms' is not a string."),
        (Kind.POLICY, a_policy(settings={}), "The member 'settings' is not a list."),
        (Kind.POLICY, a_policy(settings=[{}]), "settings[0] has no settingInstance."),
        (Kind.POLICY, a_policy(assignments=[to("Web"), {}]), "assignments[1] has no target with an @odata.type."),
        (Kind.POLICY, a_policy(templateReference="x"), "The member 'templateReference' is not an object."),
        (Kind.GROUP, {"displayName": 1}, "The member 'displayName' is not a name."),
        (Kind.FILTER, {"displayName": "x", "platform": "linux"}, "A filter needs the member 'rule'."),
        (Kind.REUSABLE_SETTING, a_reusable_setting() | {"x": 1}, "The member 'x' is not one of a reusable setting."),
    ],
)
def test_a_document_that_cannot_be_meant_is_refused(kind: Kind, document: object, cause: str) -> None:
    with pytest.raises(InvalidDeclarationError) as refused:
        authored(kind, document)

    assert refused.value.cause == cause


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        (Kind.POLICY, a_policy),
        (Kind.GROUP, a_declared_group),
        (Kind.FILTER, a_declared_filter),
        (Kind.REUSABLE_SETTING, a_reusable_setting),
    ],
)
def test_what_servers_say_about_an_object_is_not_what_its_author_decides(kind: Kind, make: Callable[[], Json]) -> None:
    said = {"id": "1", "createdDateTime": "x", "@odata.context": "x", "name@odata.type": "x", "#microsoft.graph.x": {}}

    assert authored(kind, make() | said) == authored(kind, make())


def test_assignments_of_backup_tools_name_groups_and_say_more_about_them() -> None:
    target = {"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupName": "Web"}
    noise = {"groupType": "DynamicMembership", "membershipRule": "x"}

    assert authored(Kind.POLICY, a_policy(assignments=[{"id": "1", "source": "direct", "target": target | noise}])) == (
        authored(Kind.POLICY, a_policy(assignments=[to("Web")]))
    )
