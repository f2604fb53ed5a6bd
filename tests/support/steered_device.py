"""A device of four products that an applier steers by real files, and whatever an applier does to one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tests.support.kernel_product import KernelProduct
from tests.support.policies import ENGINE, LEVEL, RETENTION, THREADS, catalog, choice, document, number
from tests.support.pretend_products import HandUptime
from tests.support.samples import HandClock

from shieldwall.agent.applier.engine import Applier
from shieldwall.agent.applier.store import Store
from shieldwall.agent.applier.values import digest_of_desired
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


def where_nobody_dies(directory: Path) -> dict[str, Files]:
    """Say what the files are before management, and before and after each act."""
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


def remembers_what_is_there(device: Device) -> bool:
    """Say whether every product holds what the applier believes it gave it, and nothing where it gave nothing."""
    applier = device.applier()
    given = applier.store.load().providers
    for provider in applier.providers:
        found = provider.read({path: device.host.read_file(path) for path in provider.files()})
        managed = given.get(provider.name)
        if (digest_of_desired(found) != managed.desired) if managed else found:
            return False
    return True
