"""Killed or out of disk space at any step: the device is as it was or as it should be, never in between."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.policies import (
    EXCLUSIONS,
    FILE_SYSTEMS,
    LEVEL,
    RETENTION,
    THREAT_TYPES,
    catalog,
    choice,
    document,
    documents,
    number,
)
from tests.support.pretend_products import Killed, PretendDevice, PretendProvider
from tests.support.scratch import scratch

from shieldwall.agent.host.errors import DiskFullError
from shieldwall.catalog.validate import validate
from shieldwall.contract.settings import PolicyDocument

BEFORE = {
    PurePosixPath("/etc/first/0.conf"): b"somebody = else\n",
    PurePosixPath("/etc/second/1.conf"): b"last line without end\n",
}
OLD = [document(1, choice(LEVEL, "_0"), number(RETENTION, 90))]
NEW = [document(1, choice(LEVEL, "_1")), document(2, number(RETENTION, 30))]


def a_device(directory: Path) -> PretendDevice:
    first = PretendProvider("first", [LEVEL, RETENTION, EXCLUSIONS])
    second = PretendProvider("second", [LEVEL, FILE_SYSTEMS, THREAT_TYPES])
    return PretendDevice(directory=directory, providers=[first, second], files=dict(BEFORE))


def contents_with(policies: list[PolicyDocument]) -> dict[PurePosixPath, bytes]:
    with TemporaryDirectory(dir=scratch()) as directory:
        device = a_device(Path(directory))
        device.applier().enforce(policies)
        return device.files


def valid(policies: list[PolicyDocument]) -> list[PolicyDocument]:
    """Leave out what a policy may not say; in place of a refused revision the one before would count."""
    return [
        msgspec.structs.replace(
            policy,
            settings=tuple(
                setting
                for setting in policy.settings
                if not validate(catalog(), policy.template_id, policy.platforms, policy.technologies, (setting,))
            ),
        )
        for policy in policies
    ]


def stop_at(last: int, error: BaseException) -> Callable[[str, int], None]:
    def fault(_step: str, number: int) -> None:
        if number == last:
            raise error

    return fault


def full_from(first: int) -> Callable[[str, int], None]:
    def fault(step: str, number: int) -> None:
        if number >= first and step.startswith(("write", "before")):
            raise DiskFullError("The disk is full.")

    return fault


def assert_in_step(device: PretendDevice) -> None:
    """The components run with what their files say."""
    for provider in device.providers:
        if provider.name in device.loaded:
            assert device.loaded[provider.name] == device.files.get(provider.files()[0], b"")


@pytest.mark.parametrize("policies", [NEW, []], ids=["changed", "unassigned"])
def test_killed_at_any_step_the_device_is_old_or_new_and_never_mixed(
    tmp_path: Path, policies: list[PolicyDocument]
) -> None:
    old, new = contents_with(OLD), contents_with(policies)
    for last in itertools.count():
        device = a_device(tmp_path / str(last))
        device.applier().enforce(OLD)
        device.no_more_faults()
        device.fault = stop_at(last, Killed())
        try:
            device.applier().enforce(policies)
        except Killed:
            device.no_more_faults()
        else:
            assert last > 8, "writes, loads and saves of two providers are more steps than that"
            break

        device.applier().recover()

        assert device.files in (old, new)
        assert_in_step(device)
        device.applier().enforce(policies)
        assert device.files == new
        device.applier().release()
        assert device.files == BEFORE


def test_killed_again_while_recovering_it_still_goes_back(tmp_path: Path) -> None:
    old, new = contents_with(OLD), contents_with(NEW)
    for first, second in itertools.product(range(10), range(6)):
        device = a_device(tmp_path / f"{first}-{second}")
        device.applier().enforce(OLD)
        device.no_more_faults()
        device.fault = stop_at(first, Killed())
        with pytest.raises(Killed):
            device.applier().enforce(NEW)
        device.no_more_faults()
        device.fault = stop_at(second, Killed())
        try:
            device.applier().recover()
        except Killed:
            device.no_more_faults()
            device.applier().recover()

        assert device.files in (old, new)
        assert_in_step(device)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    history=st.lists(documents(at_most=3).map(valid), min_size=1, max_size=3),
    steps=st.lists(st.integers(0, 14), max_size=3),
)
def test_no_history_of_policies_and_crashes_leaves_a_trace_after_release(
    history: list[list[PolicyDocument]], steps: list[int]
) -> None:
    with TemporaryDirectory(dir=scratch()) as directory:
        device = a_device(Path(directory))
        for policies, step in itertools.zip_longest(history, steps[: len(history)], fillvalue=None):
            device.no_more_faults()
            if step is not None:
                device.fault = stop_at(step, Killed())
            try:
                device.applier().enforce(policies or [])
            except Killed:
                device.no_more_faults()
        device.no_more_faults()

        device.applier().enforce(history[-1])
        assert device.files == contents_with(history[-1])

        device.applier().release()
        assert device.files == BEFORE


@pytest.mark.parametrize("lasting", [False, True], ids=["one write fails", "the disk stays full"])
def test_with_a_full_disk_at_any_step_nothing_is_lost(tmp_path: Path, *, lasting: bool) -> None:
    old, new = contents_with(OLD), contents_with(NEW)
    clean_runs = 0
    for last in itertools.count():
        device = a_device(tmp_path / str(last))
        device.applier().enforce(OLD)
        device.no_more_faults()
        device.fault = full_from(last) if lasting else stop_at(last, DiskFullError("The disk is full."))
        try:
            report = device.applier().enforce(NEW)
        except DiskFullError:
            device.no_more_faults()
            if not lasting:
                assert device.files == old, "whoever reads the error may rely on the old state at once"
            device.applier().recover()
            assert device.files in (old, new)
        else:
            failed = {status.provider for status in report.settings if status.code == "diskFull"}
            device.no_more_faults()
            device.applier().recover()
            for path in {*old, *new}:
                side = old if path.parts[2] in failed else new
                assert device.files.get(path) == side.get(path)
            clean_runs += not failed
        assert_in_step(device)
        device.applier().enforce(NEW)
        assert device.files == new
        device.applier().release()
        assert device.files == BEFORE
        if clean_runs:
            break
    assert last > 8
