"""Keys of tokens turn over: known before they sign, kept until their tokens ended, never back once they are gone."""

from __future__ import annotations

import resource
import stat
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from joserfc.jwk import RSAKey
from tests.support.trust import NOON

from shieldwall.server.signer.errors import KeyFilesError
from shieldwall.server.signer.token_keys import ROTATE_AFTER, TokenKey, TokenKeyRing, key_of

FIRST = TokenKey.of(RSAKey.generate_key(2048), NOON)
DAY = timedelta(days=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "token-keys"


def names(ring: TokenKeyRing, now: datetime) -> list[str]:
    return [each.name for each in ring.published(now)]


def test_the_next_key_is_known_a_day_before_it_signs_and_the_old_one_a_day_after(folder: Path) -> None:
    ring = TokenKeyRing(FIRST, folder)
    made = ring.rotate(NOON, at_once=False)
    assert made is not None
    assert names(ring, NOON) == [FIRST.name, made.name]
    assert ring.signing(NOON + DAY - timedelta(seconds=1)).name == FIRST.name
    assert ring.signing(NOON + DAY).name == made.name
    assert names(ring, NOON + 2 * DAY) == [FIRST.name, made.name]
    assert names(ring, NOON + 2 * DAY + timedelta(minutes=10)) == [made.name]

    again = TokenKeyRing.load(FIRST, folder)

    assert names(again, NOON) == [FIRST.name, made.name]
    assert names(again, NOON + 3 * DAY) == [made.name]


def test_a_key_that_waits_is_not_made_twice(folder: Path) -> None:
    ring = TokenKeyRing(FIRST, folder)
    assert ring.rotate(NOON, at_once=False) == ring.rotate(NOON, at_once=False)


def test_at_once_means_that_nothing_before_counts_also_after_a_restart(folder: Path) -> None:
    ring = TokenKeyRing(FIRST, folder)
    ring.rotate(NOON, at_once=False)
    made = ring.rotate(NOON + timedelta(seconds=7), at_once=True)
    assert made is not None
    moment = NOON + timedelta(seconds=7)
    assert names(ring, moment) == [made.name] == names(TokenKeyRing.load(FIRST, folder), moment)
    assert len(list(folder.iterdir())) == 1

    later = ring.rotate(moment, at_once=False)

    assert later is not None
    assert names(TokenKeyRing.load(FIRST, folder), moment) == [made.name, later.name]
    long_after = moment + 200 * DAY
    ring.rotate(long_after, at_once=False)
    assert FIRST.name not in names(TokenKeyRing.load(FIRST, folder), long_after)


def test_a_key_is_due_after_ninety_days(folder: Path) -> None:
    ring = TokenKeyRing(FIRST, folder)
    assert ring.rotate(NOON + ROTATE_AFTER - timedelta(seconds=1), at_once=False, only_if_due=True) is None
    assert ring.rotate(NOON + ROTATE_AFTER, at_once=False, only_if_due=True) is not None
    assert ring.rotate(NOON + ROTATE_AFTER + 2 * DAY, at_once=False, only_if_due=True) is None


def test_the_files_are_for_the_owner_alone_and_others_are_not_taken(folder: Path) -> None:
    TokenKeyRing(FIRST, folder).rotate(NOON, at_once=False)
    (file,) = folder.iterdir()
    assert (stat.S_IMODE(folder.stat().st_mode), stat.S_IMODE(file.stat().st_mode)) == (0o700, 0o600)
    file.write_text("half")
    with pytest.raises(KeyFilesError, match="damaged"):
        TokenKeyRing.load(FIRST, folder)
    file.rename(folder / "other.pem")
    with pytest.raises(KeyFilesError, match="no key of tokens"):
        TokenKeyRing.load(FIRST, folder)


def test_no_byte_of_a_key_can_change_unseen() -> None:
    sound = FIRST.key.as_der(private=True)
    assert is_read(sound)
    for place in range(len(sound)):
        changed = bytearray(sound)
        changed[place] ^= 1 << place % 8
        assert not is_read(bytes(changed)), place


def test_a_key_is_read_without_proving_its_factors_prime_again() -> None:
    """The signer reads those of all tenants before it is ready, and has a minute for that."""
    pem = FIRST.key.as_pem(private=True)
    proving = shortest(lambda: RSAKey.import_key(pem))
    assert shortest(lambda: key_of(pem)) < proving / 5


def is_read(der: bytes) -> bool:
    try:
        key_of(b"-----BEGIN PRIVATE KEY-----\n" + b64encode(der) + b"\n-----END PRIVATE KEY-----\n")
    except ValueError:
        return False
    return True


def shortest(read: Callable[[], object]) -> float:
    """Say how many seconds of the processor the quickest of a few takes."""
    took = []
    for _ in range(5):
        begun = time.thread_time()
        read()
        took.append(time.thread_time() - begun)
    return min(took)


def test_a_key_that_finds_no_room_is_not_there_in_part(folder: Path) -> None:
    ring = TokenKeyRing(FIRST, folder)
    with nothing_larger_than(100), pytest.raises(KeyFilesError, match="cannot be written"):
        ring.rotate(NOON, at_once=False)
    assert names(TokenKeyRing.load(FIRST, folder), NOON) == [FIRST.name]
    assert list(folder.iterdir()) == []

    made = ring.rotate(NOON, at_once=False)

    assert made is not None
    assert names(TokenKeyRing.load(FIRST, folder), NOON) == [FIRST.name, made.name]


def test_a_key_that_was_half_written_when_the_signer_ended_is_nobodys_key(folder: Path) -> None:
    ring = TokenKeyRing(FIRST, folder)
    ring.rotate(NOON, at_once=False)
    (folder / ".1800000000.key.pem.new").write_text("half")
    ring = TokenKeyRing.load(FIRST, folder)
    assert len(names(ring, NOON)) == 2

    made = ring.rotate(NOON, at_once=True)

    assert made is not None
    assert [path.name for path in folder.iterdir()] == [made.file]


@contextmanager
def nothing_larger_than(size: int) -> Iterator[None]:
    """Let every file end there, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
