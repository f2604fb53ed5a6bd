"""Key files: complete, private, and never overwritten."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from tests.support.trust import NOON, OTHER_TENANT, TENANT, HandClock

from shieldwall.server.signer.errors import KeyFilesError, OtherTenantError
from shieldwall.server.signer.keys import create_keys, held_tenants, load_keys
from shieldwall.trust.roots import Role


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Make keys once and return the files, as making them takes its time."""
    folder = tmp_path_factory.mktemp("made") / "keys"
    create_keys(folder, TENANT, HandClock())
    return {path.name: path.read_bytes() for path in (folder / TENANT).iterdir()}


@pytest.fixture
def folder(tmp_path: Path, made: dict[str, bytes]) -> Path:
    """Return a directory of keys of the test's own."""
    unit = tmp_path / "keys" / TENANT
    unit.mkdir(parents=True)
    for directory in (unit, unit.parent):
        directory.chmod(0o700)
    for name, data in made.items():
        (unit / name).write_bytes(data)
        (unit / name).chmod(0o600)
    return unit


def test_keys_come_back_as_they_were_made(tmp_path: Path) -> None:
    made = create_keys(tmp_path / "keys", TENANT, HandClock())
    loaded = load_keys(tmp_path / "keys", TENANT)

    assert loaded.trust_root() == made.trust_root()
    assert loaded.token_keys.signing(NOON).name == made.token_keys.signing(NOON).name
    assert loaded.trust_root().tenant_id == TENANT


def test_every_file_is_for_the_owner_alone(tmp_path: Path) -> None:
    create_keys(tmp_path / "keys", TENANT, HandClock())

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "keys").rglob("*")}
    assert modes.pop(TENANT) == 0o700
    assert set(modes.values()) == {0o600}
    assert len(modes) == 8


def test_keys_are_never_overwritten(folder: Path) -> None:
    with pytest.raises(KeyFilesError, match="already holds"):
        create_keys(folder.parent, TENANT, HandClock())


def test_tenants_have_keys_of_their_own_side_by_side(folder: Path) -> None:
    first = load_keys(folder.parent, TENANT)

    create_keys(folder.parent, OTHER_TENANT, HandClock())

    assert sorted(held_tenants(folder.parent)) == sorted((TENANT, OTHER_TENANT))
    assert load_keys(folder.parent, TENANT).trust_root() == first.trust_root()
    second = load_keys(folder.parent, OTHER_TENANT)
    assert second.trust_root().tenant_id == OTHER_TENANT
    for role in Role:
        assert second.roles[role].public != first.roles[role].public
    assert second.token_keys.signing(NOON).name != first.token_keys.signing(NOON).name
    assert second.device_authority.certificate_pem != first.device_authority.certificate_pem


def test_what_a_crash_left_half_made_is_made_anew(tmp_path: Path) -> None:
    leftover = tmp_path / "keys" / f".new-{TENANT}"
    leftover.mkdir(parents=True)
    leftover.parent.chmod(0o700)
    (leftover / "policy.key.pem").write_text("half")

    create_keys(tmp_path / "keys", TENANT, HandClock())

    assert load_keys(tmp_path / "keys", TENANT).unit.tenant_id == TENANT
    assert not leftover.exists()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666, 0o644])
def test_a_file_open_to_others_is_refused(folder: Path, made: dict[str, bytes], mode: int) -> None:
    for name in made:
        (folder / name).chmod(mode)
        with pytest.raises(KeyFilesError, match="open to other users"):
            load_keys(folder.parent, TENANT)
        (folder / name).chmod(0o600)
    load_keys(folder.parent, TENANT)


@pytest.mark.parametrize("level", ["keys", "tenant"])
def test_a_directory_open_to_others_is_refused(folder: Path, level: str) -> None:
    (folder if level == "tenant" else folder.parent).chmod(0o750)

    with pytest.raises(KeyFilesError, match="open to other users"):
        load_keys(folder.parent, TENANT)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_another_user_is_refused(folder: Path) -> None:
    os.chown(folder / "policy.key.pem", 65534, 65534)

    with pytest.raises(KeyFilesError, match="another user"):
        load_keys(folder.parent, TENANT)


def test_a_link_pipe_or_directory_is_no_key_file(folder: Path, tmp_path: Path) -> None:
    path = folder / "policy.key.pem"
    elsewhere = path.rename(tmp_path / "elsewhere")
    path.symlink_to(elsewhere)
    with pytest.raises(KeyFilesError):
        load_keys(folder.parent, TENANT)
    path.unlink()
    os.mkfifo(path, 0o600)
    with pytest.raises(KeyFilesError):
        load_keys(folder.parent, TENANT)
    path.unlink()
    path.mkdir(0o700)
    with pytest.raises(KeyFilesError):
        load_keys(folder.parent, TENANT)


@pytest.mark.parametrize("data", [b"", b"garbage", b"-----BEGIN PRIVATE KEY-----\n", bytes(65_537)])
def test_a_damaged_or_missing_file_is_named(folder: Path, made: dict[str, bytes], data: bytes) -> None:
    for name, sound in made.items():
        (folder / name).write_bytes(data)
        with pytest.raises(KeyFilesError):
            load_keys(folder.parent, TENANT)
        (folder / name).write_bytes(sound)
    (folder / "time.key.pem").unlink()
    with pytest.raises(KeyFilesError, match=r"time\.key\.pem"):
        load_keys(folder.parent, TENANT)


def test_one_key_copied_over_another_is_refused(folder: Path) -> None:
    (folder / "manifest.key.pem").write_bytes((folder / "policy.key.pem").read_bytes())

    with pytest.raises(KeyFilesError, match="another role"):
        load_keys(folder.parent, TENANT)


def test_keys_that_are_not_here_are_of_another_tenant(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(OtherTenantError):
        load_keys(folder.parent, OTHER_TENANT)
    with pytest.raises(KeyFilesError):
        load_keys(tmp_path / "absent", TENANT)


def test_keys_moved_under_another_tenants_name_are_refused(folder: Path) -> None:
    folder.rename(folder.parent / OTHER_TENANT)

    with pytest.raises(KeyFilesError, match=TENANT):
        load_keys(folder.parent, OTHER_TENANT)


def test_a_stray_entry_among_the_tenants_is_refused(folder: Path) -> None:
    (folder.parent / "notes.txt").write_text("hello")

    with pytest.raises(KeyFilesError):
        held_tenants(folder.parent)
