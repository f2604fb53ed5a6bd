"""A-APPLY, each failing call: a disk that refuses one call of whatever the applier does, or every call from then on.

The device is old or new and what the applier remembers agrees with it; letting go leaves no trace.
"""

from __future__ import annotations

import errno
import itertools
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from tests.support.campaign import size, told, tries
from tests.support.steered_device import (
    ACTS,
    NEW,
    Files,
    by_product,
    managed,
    remembers_what_is_there,
    where_nobody_dies,
)

from shieldwall.contract.errors import ShieldwallError

CALLS = ("fsync", "replace", "unlink", "mkdir", "fchmod")
MOST_CALLS = 60
"""As many as any act makes."""


@contextmanager
def refusing(at: int, *, for_good: bool) -> Iterator[Callable[[], bool]]:
    """Let the call of this number fail, whichever it is, and all that follow where the disk is broken for good."""
    count, refused = itertools.count(), []

    def hardly(genuine: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            number = next(count)
            if number == at or (for_good and number > at):
                refused.append(number)
                raise OSError(errno.EIO, "Input/output error")
            return genuine(*arguments, **more)

        return call

    with ExitStack() as patches:
        for name in CALLS:
            patches.enter_context(mock.patch.object(os, name, hardly(getattr(os, name))))
        yield lambda: bool(refused)


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Files]:
    return where_nobody_dies(tmp_path_factory.mktemp("ends"))


def test_whatever_the_disk_refuses_a_device_is_old_or_new(tmp_path: Path, ends: dict[str, Files]) -> None:
    seen: Counter[str] = Counter()
    sides = [by_product(files) for files in ends.values()]
    for trial, chance in tries("A-APPLY (failing calls)", size(short=24, full=1_000)):
        name = sorted(ACTS)[trial % len(ACTS)]
        seen[survived(tmp_path / str(trial), name, chance, ends, sides)] += 1
        shutil.rmtree(tmp_path / str(trial))
    told("A-APPLY (failing calls)", seen)
    assert sum(count for what, count in seen.items() if "refused" in what) > sum(seen.values()) // 2


def survived(
    directory: Path, name: str, chance: random.Random, ends: dict[str, Files], sides: list[dict[str, Files]]
) -> str:
    device, at, for_good = managed(directory), chance.randrange(MOST_CALLS), chance.random() < 0.5
    with refusing(at, for_good=for_good) as is_refused, suppress(ShieldwallError):
        ACTS[name](device)

    device.applier().recover()

    found = by_product(device.contents())
    for product, contents in found.items():
        if name != "put back" or product != "values":  # somebody removed one of its files
            assert contents in [side[product] for side in sides], (name, at, for_good, product)
    if name != "put back":
        assert remembers_what_is_there(device), (name, at, for_good)
    device.applier().release()
    assert device.contents() == ends["nothing"], (name, at, for_good)
    device.applier().enforce(NEW, target=None)
    device.confirm()
    assert device.contents() == ends["new"], (name, at, for_good)
    return f"{name}, {'refused' if is_refused() else 'over by then'}{' for good' * for_good}"
