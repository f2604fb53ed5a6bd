from __future__ import annotations

from pathlib import Path, PurePosixPath

from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.host.survey import look

ATTACHED = PurePosixPath("/etc/opt/microsoft/mdatp/managed/mdeattach_managed.json")


def test_looking_finds_the_paths_that_matter(tmp_path: Path) -> None:
    host = LocalHost(tmp_path)
    assert look(host) == frozenset()

    host.write_file(ATTACHED, b"{}")

    assert look(host) == {ATTACHED}


def test_a_marker_that_is_a_broken_link_counts_as_there(tmp_path: Path) -> None:
    host = LocalHost(tmp_path)
    host.locate(ATTACHED).parent.mkdir(parents=True)
    host.locate(ATTACHED).symlink_to("/nowhere")

    assert look(host) == {ATTACHED}
