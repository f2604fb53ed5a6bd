"""What has to be done again and again is counted whoever does it: root by hand, and the service's user every night."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shieldwall.server.observing.upkeep import Upkeep, failures, last_done, note

SERVICE_USER = 65_534
HERE = Path()


@contextmanager
def service_user(run: Path) -> Iterator[None]:
    """Act as who owns ``run`` and none of the files in it; who is not root takes the files from himself."""
    if os.geteuid() != 0:
        for file in run.iterdir():
            file.chmod(0)
        yield
        return
    os.chown(run, SERVICE_USER, -1)
    os.seteuid(SERVICE_USER)
    try:
        yield
    finally:
        os.seteuid(0)


def test_the_services_user_counts_on_after_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # whose parents only root may enter
    for is_done in (False, False, True):
        note(HERE, Upkeep.BACKUP, is_done=is_done)
    for file in tmp_path.iterdir():
        file.chmod(0o600)
        os.utime(file, (1, 1))
    for left in ("failed-backup.part", "done-backup.part"):  # by a program that was killed
        (tmp_path / left).touch(0o600)
    with service_user(tmp_path):
        with pytest.raises(PermissionError):
            Path("failed-backup").write_bytes(b"")
        note(HERE, Upkeep.BACKUP, is_done=False)
        note(HERE, Upkeep.BACKUP, is_done=False)
        note(HERE, Upkeep.BACKUP, is_done=True)
        assert failures(HERE, Upkeep.BACKUP) == 4
        assert (last_done(HERE, Upkeep.BACKUP) or 0.0) > 1
    note(HERE, Upkeep.BACKUP, is_done=False)
    assert failures(HERE, Upkeep.BACKUP) == 5
    assert not list(tmp_path.glob("*.part"))
