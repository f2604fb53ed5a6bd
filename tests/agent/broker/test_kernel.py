"""What is asked of the kernel, and what it may answer."""

from __future__ import annotations

import errno
import os
import platform
import re
import sys
from pathlib import Path

import pytest

from shieldwall.agent.broker import overlays
from shieldwall.agent.broker.fanotify import FanotifyError, Group

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="Only root may watch opens.")


@needs_root
def test_whether_the_kernel_tells_of_layers_is_tried_and_leaves_no_trace() -> None:
    before = Path("/proc/self/mountinfo").read_text()
    found = re.match(r"(\d+)\.(\d+)", platform.release())
    assert found is not None

    told = overlays.tells_of_layers()

    if told is None:
        pytest.skip("This kernel has no overlays.")
    if (int(found[1]), int(found[2])) >= (6, 5):
        assert told
    assert Path("/proc/self/mountinfo").read_text() == before


def test_what_cannot_be_tried_is_neither_yes_nor_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert overlays.tells_of_layers() is None

    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert overlays.tells_of_layers() is None


@needs_root
@pytest.mark.parametrize("number", [errno.ENXIO, errno.EMFILE, errno.ENODEV, errno.EAGAIN, errno.EIO])
def test_a_file_that_the_kernel_cannot_open_for_us_ends_nothing(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    group = Group()
    monkeypatch.setattr(os, "read", lambda *_: (_ for _ in ()).throw(OSError(number, os.strerror(number))))

    assert list(group.events()) == []
    monkeypatch.undo()
    group.close()


@needs_root
def test_a_group_that_is_gone_is_no_single_file() -> None:
    group = Group()
    group.close()

    with pytest.raises(FanotifyError, match="cannot be read"):
        list(group.events())
