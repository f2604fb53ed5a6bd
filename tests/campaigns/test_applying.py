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
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest
from tests.support.campaign import size, told, tries
from tests.support.kernel_product import KernelProduct
from tests.support.policies import ENGINE, LEVEL, RETENTION, THREADS, catalog, choice, document, number
from tests.support.pretend_products import HandUptime
from tests.support.samples import HandClock

from shieldwall.agent.applier.engine import Applier
from shieldwall.agent.applier.store import Store
from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.providers.clamav import ClamavProvider
from shieldwall.agent.providers.mdatp import MdatpProvider
from shieldwall.contract.settings import PolicyDocument

MANAGED = PurePosixPath("/etc/opt/microsoft/mdatp/managed/mdatp_managed.json")
CLAMD = PurePosixPath("/etc/clamav/clamd.conf")
BEFORE = {
    MANAGED: b'{\n  "other": {"tool": true}\n}\n',
    CLAMD: b"# kept\nLocalSocket /nonexistent/clamd.ctl\n",
    PurePosixPath("/etc/filter/0.conf"): b"somebody = else\n",
}
OLD = [document(1, choice(LEVEL, "_0"), number(RETENTION, 90), number(THREADS, 2))]
NEW = [
    document(1, choice(LEVEL, "_1"), number(RETENTION, 30)),
    document(2, choice(f"{ENGINE}scanarchives", "_true")),
]

Files = dict[str, bytes]


@dataclass(frozen=True)
class Device:
    directory: Path
    uptime: HandUptime

    @property
    def host(self) -> LocalHost:
        return LocalHost(self.directory / "root", program_directories=())

    @property
    def products(self) -> tuple[KernelProduct, ...]:
        return KernelProduct("filter", [RETENTION], risky=True), KernelProduct("values", [THREADS, LEVEL], risky=False)

    def applier(self) -> Applier:
        return Applier(
            host=self.host,
            store=Store(self.directory / "state"),
            providers=[MdatpProvider(catalog()), ClamavProvider(catalog()), *self.products],
            platform="linux",
            catalog=catalog(),
            clock=HandClock(),
            uptime=self.uptime,
        )

    def confirm(self) -> None:
        waiting = self.applier().unconfirmed()
        if waiting is not None:
            self.applier().confirm(waiting.nonce)

    def contents(self) -> Files:
        root = self.directory / "root"
        files = (path for path in (root / "etc").rglob("*") if path.is_file())
        return {str(path.relative_to(root)): path.read_bytes() for path in files if "shieldwall-new" not in path.name}


def managed(directory: Path) -> Device:
    device = Device(directory=directory, uptime=HandUptime())
    for path, content in BEFORE.items():
        device.host.write_file(path, content)
    device.applier().enforce(OLD)
    device.confirm()
    return device


def enforce(policies: list[PolicyDocument]) -> Callable[[Device], object]:
    return lambda device: device.applier().enforce(policies)


def confirmed_change(device: Device) -> None:
    device.applier().enforce(NEW)
    device.confirm()


def change_taken_back(device: Device) -> None:
    device.applier().enforce(NEW)
    device.uptime.pass_by(601)
    device.applier().revert_if_due()


def put_back(device: Device) -> None:
    device.host.write_file(PurePosixPath("/etc/values/0.conf"), None)
    device.applier().refresh()


def crashed_again_and_again(device: Device) -> None:
    device.applier().note_start("applier")
    device.applier().enforce(NEW)
    device.confirm()
    for _ in range(3):
        device.applier().note_start("applier")


ACTS: dict[str, Callable[[Device], object]] = {
    "changed": enforce(NEW),
    "unassigned": enforce([]),
    "confirmed": confirmed_change,
    "taken back": change_taken_back,
    "put back": put_back,
    "fallen back": crashed_again_and_again,
    "released": lambda device: device.applier().release(),
}


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
    """What the files are before and after each act, where nobody dies."""
    directory = tmp_path_factory.mktemp("ends")
    ends = {"old": managed(directory / "old").contents()}
    new = managed(directory / "new")
    confirmed_change(new)
    nothing = managed(directory / "nothing")
    nothing.applier().release()
    return ends | {"new": new.contents(), "nothing": nothing.contents()}


def by_product(files: Files) -> dict[str, Files]:
    parts: dict[str, Files] = {"mdatp": {}, "clamav": {}, "filter": {}, "values": {}}
    for path, content in files.items():
        name = next(name for name in (*parts, "clamav") if f"/{name}" in f"/{path}")
        parts[name][path] = content
    return parts


def test_killed_at_any_instant_a_device_is_old_or_new(tmp_path: Path, ends: dict[str, Files]) -> None:
    seen: Counter[str] = Counter()
    sides = {name: by_product(files) for name, files in ends.items()}
    for trial, chance in tries(size(short=30, full=2_000)):
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
    told("A-APPLY", seen)
    assert sum(count for what, count in seen.items() if what.endswith("killed")) > sum(seen.values()) // 2
