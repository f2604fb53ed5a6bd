"""A-APPLY: a real process, killed by the kernel at any instant of whatever the applier does, over real files.

What is on disk and what runs is old or new and never mixed; the next run is whole, and letting go leaves no trace.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.campaign import size, told, tries
from tests.support.steered_device import ACTS, NEW, Files, by_product, managed, where_nobody_dies


def in_another_process(act: Callable[[], object]) -> int:
    child = os.fork()
    if child == 0:
        try:
            act()
        except BaseException:  # noqa: BLE001 - a child must never return into the test runner
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def dying(act: Callable[[], object], chance: random.Random, calls: int) -> None:
    """Act; at a call of fsync or rename, or a little later, the kernel ends the process without a goodbye."""
    left = itertools.count(chance.randrange(calls), -1)
    before, later = chance.random() < 0.5, chance.random() * 0.002

    def die() -> None:
        if later > 0.001:
            time.sleep(later)
        os.kill(os.getpid(), signal.SIGKILL)

    def deadly(genuine: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **more: object) -> object:
            last = next(left) == 0
            if last and before:
                die()
            result = genuine(*arguments, **more)
            if last:
                die()
            return result

        return call

    os.fsync = deadly(os.fsync)  # type: ignore[assignment]  # in the child alone
    os.replace = os.rename = deadly(os.rename)  # type: ignore[assignment]  # as above; pathlib looks it up there
    os.unlink = deadly(os.unlink)  # type: ignore[assignment]
    act()


@pytest.fixture(scope="module")
def ends(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Files]:
    return where_nobody_dies(tmp_path_factory.mktemp("ends"))


def test_killed_at_any_instant_a_device_is_old_or_new(tmp_path: Path, ends: dict[str, Files]) -> None:
    seen: Counter[str] = Counter()
    sides = {name: by_product(files) for name, files in ends.items()}
    for trial, chance in tries("A-APPLY (killed)", size(short=30, full=2_000)):
        name = chance.choice(sorted(ACTS))
        device = managed(tmp_path / str(trial))
        status = in_another_process(
            lambda: dying(lambda: ACTS[name](device), chance, 40)  # noqa: B023 - called at once
        )
        assert status == 0 or os.WTERMSIG(status) == signal.SIGKILL, (trial, name, status)
        seen[f"{name}, {'killed' if status else 'ended'}"] += 1

        device.applier().recover()

        found = by_product(device.contents())
        for product, files in found.items():
            allowed = [side[product] for side in sides.values()]
            if name == "put back" and product == "values":
                continue  # what somebody removed is missing until the next look
            assert files in allowed, (trial, name, product)
        assert all(product.is_in_step(device.host) for product in device.products) or name == "put back", (trial, name)
        assert device.applier().unconfirmed() is None

        device.applier().release()
        device.applier().enforce(NEW, target=None)
        device.confirm()
        device.applier().refresh()
        assert device.contents() == ends["new"], (trial, name)
        device.applier().release()
        assert device.contents() == ends["nothing"], (trial, name)
        shutil.rmtree(device.directory)
    told("A-APPLY (killed)", seen)
    assert sum(count for what, count in seen.items() if what.endswith("killed")) > sum(seen.values()) // 2
