"""A directory that tests mount something over stays for as long as one of them uses it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.places_to_cover import places_to_cover
from tests.support.private_namespaces import mount, privately


@pytest.mark.root
def test_who_made_a_directory_takes_no_mount_of_another_away(tmp_path: Path) -> None:
    place = tmp_path / "place"
    first, second = places_to_cover(place), places_to_cover(place)
    first.__enter__()

    def check() -> None:
        mount("-t", "tmpfs", "cover", str(place))
        (place / "file").touch()
        first.__exit__(None, None, None)
        assert (place / "file").exists()

    with second:
        privately(check)
        assert place.is_dir()
    assert not place.exists()
