"""A-APPLY, the power cut, on a real ext4: its disk is copied at some call, and the copy is what a boot finds.

What the kernel had not handed to the disk by then is not in the copy. The disk is a file that is mounted, in a mount
namespace of its own.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from tests.support.campaign import size, told, tries
from tests.support.power import PowerLostError
from tests.support.pretend_products import HandUptime
from tests.support.private_namespaces import mount, privately
from tests.support.steered_device import (
    ACTS,
    NEW,
    Device,
    Files,
    by_product,
    managed,
    remembers_what_is_there,
    where_nobody_dies,
)

CALLS = ("fsync", "replace", "unlink", "mkdir")
MOST_CALLS = 40
"""About as many as an act makes."""
ENDS = {"confirmed": "new", "released": "nothing", "unassigned": "nothing"}
"""What holds for certain once an act is over."""
DATA = ("ordered", "journal", "writeback")
"""What ext4 promises of contents: https://docs.kernel.org/filesystems/ext4/journal.html."""


@contextmanager
def losing_power(image: Path, copy: Path, at: int, chance: random.Random) -> Iterator[None]:
    """Copy the disk before the call of this number; sometimes the kernel has written all that it had shortly before."""
    count, written_at = itertools.count(), at - chance.randrange(1, 10)

    def noted(genuine: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **more: Any) -> Any:
            number = next(count)
            if number == written_at:
                os.sync()
            if number >= at:
                if number == at:
                    shutil.copyfile(image, copy)
                raise PowerLostError
            return genuine(*arguments, **more)

        return call

    with ExitStack() as patches:
        for name in CALLS:
            patches.enter_context(mock.patch.object(os, name, noted(getattr(os, name))))
        yield


@contextmanager
def mounted(image: Path, directory: Path, options: str) -> Iterator[Path]:
    """Mount a disk; the kernel writes on its own once in five minutes, which is never."""
    directory.mkdir(exist_ok=True)
    mount("-o", f"loop,commit=300,{options}", str(image), str(directory))
    try:
        yield directory / "device"
    finally:
        subprocess.run(["/usr/bin/umount", str(directory)], check=True)


@pytest.mark.root
def test_a_boot_from_what_a_real_disk_holds_finds_old_or_new(tmp_path: Path) -> None:
    ends = where_nobody_dies(tmp_path / "ends")
    privately(lambda: _campaign(tmp_path, ends))


def _campaign(directory: Path, ends: dict[str, Files]) -> None:
    seen: Counter[str] = Counter()
    mount("-t", "tmpfs", "disks", str(directory))
    empty = directory / "empty"
    with empty.open("wb") as file:
        file.truncate(16 * 1024 * 1024)
    subprocess.run(["/sbin/mkfs.ext4", "-q", "-b", "1024", "-J", "size=4", str(empty)], check=True)
    for trial, chance in tries("A-APPLY (power cut, ext4)", size(short=4, full=300)):
        shutil.copyfile(empty, directory / "image")
        seen[_tried(directory, chance, ends, trial)] += 1
    told("A-APPLY (power cut, ext4)", seen)


def _tried(directory: Path, chance: random.Random, ends: dict[str, Files], trial: int) -> str:
    image, copy = directory / "image", directory / "copy"
    name, at, options = chance.choice(sorted(ACTS)), chance.randrange(MOST_CALLS), f"data={chance.choice(DATA)}"
    with mounted(image, directory / "before", options) as here:
        device = managed(here)
        os.sync()
        try:
            with losing_power(image, copy, at, chance):
                ACTS[name](device)
            shutil.copyfile(image, copy)
            ended = True
        except PowerLostError:
            ended = False
    with mounted(copy, directory / "after", options) as here:
        device = Device(directory=here, uptime=HandUptime(boot="boot-2"))
        for product in device.products:
            product.activate(device.host)
        device.applier().recover()

        sides = [by_product(files) for files in ends.values()]
        for part, contents in by_product(device.contents()).items():
            if name != "put back" or part != "values":  # somebody removed one of its files
                assert contents in [side[part] for side in sides], (trial, name, at, options, part)
        assert not ended or device.contents() == ends.get(ENDS.get(name, ""), device.contents()), (trial, name, options)
        assert name == "put back" or remembers_what_is_there(device), (trial, name, at, options)
        device.applier().release()
        assert device.contents() == ends["nothing"], (trial, name, at, options)
        device.applier().enforce(NEW, target=None)
        device.confirm()
        assert device.contents() == ends["new"], (trial, name, at, options)
    return f"{name}, cut {'afterwards' if ended else 'at work'}"
